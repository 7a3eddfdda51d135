#include "restart.h"

#include <errno.h>
#include <string.h>

#include "log.h"
#include "service_manager.h"
#include "util.h"

/* FileDescriptorStoreMax= of the units that come with echod. */
#define USUAL_PLACES 256

static void on_checked(void *user, const char *problem);

void restart_init(struct restart *restart, uv_loop_t *loop, const struct handover *handover,
                  char *const argv[])
{
        restart->loop = loop;
        restart->is_possible = true;
        restart->n_places = USUAL_PLACES;
        restart->handover = *handover;
        successor_init(&restart->successor, argv);
}

static bool check_possible(const struct restart *restart)
{
        if (!restart->is_possible)
                log_notice("no restart while stopping");
        return restart->is_possible;
}

void restart_in_place(struct restart *restart)
{
        int r;

        if (!check_possible(restart))
                return;
        r = successor_check(&restart->successor, restart->loop, on_checked, restart);

        if (r == -EALREADY)
                log_notice("a restart is under way already");
        else if (r < 0)
                log_error("no restart: cannot run %s: %s", restart->successor.path, strerror(-r));
}

static void on_checked(void *user, const char *problem)
{
        struct restart *restart = user;
        int r;

        if (problem) {
                log_error("no restart: %s -t: %s", restart->successor.path, problem);
                return;
        }
        r = handover_exec(&restart->handover, &restart->successor);
        log_error("no restart: %s: %s", restart->successor.path, strerror(-r));
}

bool restart_by_systemd(struct restart *restart, int n_places)
{
        int r;

        if (!check_possible(restart))
                return false;
        if (n_places >= 0)
                restart->n_places = n_places;
        service_manager_stopping();
        successor_cancel(&restart->successor);
        r = handover_store(&restart->handover, (size_t)restart->n_places);
        if (r == -ENOSPC)
                log_warning("connections cannot outlast the restart: "
                            "the descriptor store has room for %d descriptors",
                            restart->n_places);
        else if (r < 0)
                log_error("connections cannot outlast the restart: %s", strerror(-r));
        return r == 0;
}

void restart_cancel(struct restart *restart)
{
        restart->is_possible = false;
        successor_cancel(&restart->successor);
}
