#include "restart.h"

#include <errno.h>
#include <string.h>

#include "log.h"

static void on_checked(void *user, const char *problem);

void restart_init(struct restart *restart, uv_loop_t *loop, const struct handover *handover,
                  char *const argv[])
{
        restart->loop = loop;
        restart->handover = *handover;
        successor_init(&restart->successor, argv);
}

void restart_in_place(struct restart *restart)
{
        int r = successor_check(&restart->successor, restart->loop, on_checked, restart);

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

void restart_cancel(struct restart *restart)
{
        successor_cancel(&restart->successor);
}
