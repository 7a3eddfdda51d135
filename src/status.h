#pragma once

/*
 * The line of systemctl status: how many connections there are, every few seconds.
 */

#include <stdint.h>
#include <uv.h>

struct acceptor;

struct status {
        uv_timer_t timer;
        const struct acceptor *acceptor;
        uint64_t told; /* in the last line */
};

/*
 * Begins, if there is a service manager; the acceptor may be initialized later, before the loop
 * runs. Whoever closes the loop closes the timer. An error of uv_timer_init() or uv_timer_start().
 */
int status_start(struct status *status, uv_loop_t *loop, const struct acceptor *acceptor);
