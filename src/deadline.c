#include "deadline.h"

#include "util.h"

#define LOOK_MIN_MS ((uint64_t)25)
#define LOOK_MAX_MS ((uint64_t)1000)

uint64_t deadline_next(const struct connection_limits *limits, const struct echo *echo,
                       uint64_t opened_ms, uint64_t active_ms, enum echo_reason *ret_reason)
{
        /* While it flushes and lingers its lifetime is over, and only the peer's patience counts.
         */
        bool is_ending = echo->state == ECHO_FLUSHING || echo->state == ECHO_LINGERING;
        bool is_pending = echo->pending > 0 || echo->state == ECHO_LINGERING;
        const struct {
                uint64_t since_ms, limit_ms;
                enum echo_reason reason;
        } candidates[] = {
                {active_ms, is_pending ? limits->write_timeout_ms : 0, ECHO_WRITE_TIMEOUT},
                {active_ms, limits->idle_timeout_ms, ECHO_IDLE_TIMEOUT},
                {opened_ms, is_ending ? 0 : limits->max_lifetime_ms, ECHO_MAX_LIFETIME},
        };
        uint64_t deadline_ms = NO_DEADLINE;

        for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
                uint64_t candidate_ms = candidates[i].since_ms + candidates[i].limit_ms;

                if (candidates[i].limit_ms == 0 || candidate_ms >= deadline_ms)
                        continue;
                deadline_ms = candidate_ms;
                *ret_reason = candidates[i].reason;
        }
        return deadline_ms;
}

uint64_t deadline_next_look(uint64_t now_ms, uint64_t active_ms)
{
        return now_ms + MIN(MAX((now_ms - active_ms) / 8, LOOK_MIN_MS), LOOK_MAX_MS);
}
