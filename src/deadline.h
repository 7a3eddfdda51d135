#pragma once

/*
 * When a connection that does nothing more has to end, and why. Pure: it is told the times.
 */

#include <stdbool.h>
#include <stdint.h>

#include "echo.h"
#include "timer_wheel.h"

/* What a reload may change while connections are open. Milliseconds; 0: no limit. */
struct connection_limits {
        uint64_t idle_timeout_ms;
        uint64_t write_timeout_ms;
        uint64_t max_lifetime_ms;
        bool log_connections;
};

/*
 * The earliest of a connection's deadlines, in ms of the clock that `opened_ms` and the time of
 * the last byte either way, `active_ms`, are told in; and for which reason it is to end then.
 * NO_DEADLINE: none; *ret_reason is left alone.
 */
uint64_t deadline_next(const struct connection_limits *limits, const struct echo *echo,
                       uint64_t opened_ms, uint64_t active_ms, enum echo_reason *ret_reason);

/*
 * When to look again, after `now_ms`, whether the kernel got rid of something: while it does, or
 * has just done so, often; else after an eighth of the time that it has not, at most a second.
 */
uint64_t deadline_next_look(uint64_t now_ms, uint64_t active_ms);
