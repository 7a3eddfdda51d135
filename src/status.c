#include "status.h"

#include "acceptor.h"
#include "service_manager.h"
#include "util.h"

#define INTERVAL_MS 5000

static void on_timer(uv_timer_t *timer);

int status_start(struct status *status, uv_loop_t *loop, const struct acceptor *acceptor)
{
        int r = uv_timer_init(loop, &status->timer);

        status->acceptor = acceptor;
        status->told = UINT64_MAX;
        if (r == 0 && service_manager_is_there())
                r = uv_timer_start(&status->timer, on_timer, 0, INTERVAL_MS);
        return r;
}

static void on_timer(uv_timer_t *timer)
{
        struct status *status = CONTAINER_OF(timer, struct status, timer);
        uint64_t load = acceptor_load(status->acceptor);

        if (load == status->told)
                return;
        status->told = load;
        service_manager_status("Serving %llu connections", (unsigned long long)load);
}
