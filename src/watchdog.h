#pragma once

/*
 * systemd's watchdog, sd_watchdog_enabled(3): it is fed for as long as the main loop and every
 * worker's loop come round, and not by a thread that sees nothing but itself.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct pool;

struct watchdog {
        uv_timer_t timer;
        struct pool *pool;
        uint64_t half_interval_ms;
        bool has_pinged;
};

/*
 * Feeds from the loop's next turn on, if the service manager has a watchdog for this process. The
 * pool must have started by then. An error of uv_timer_init() or uv_timer_start(). The timer is
 * closed with the loop.
 */
int watchdog_start(struct watchdog *watchdog, uv_loop_t *loop, struct pool *pool);
