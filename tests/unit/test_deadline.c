#include <criterion/criterion.h>

#include "deadline.h"

/* Opened at 1,000 ms, last byte at 5,000 ms. */
#define OPENED_MS 1000
#define ACTIVE_MS 5000

#define NO_REASON N_ECHO_REASONS

static void expect(struct connection_limits limits, struct echo echo, uint64_t deadline_ms,
                   enum echo_reason expected)
{
        enum echo_reason reason = NO_REASON;

        cr_assert_eq(deadline_next(&limits, &echo, OPENED_MS, ACTIVE_MS, &reason), deadline_ms);
        cr_assert_eq(reason, expected);
}

static const struct echo OPEN = {.state = ECHO_OPEN};
static const struct echo PAUSED = {.state = ECHO_PAUSED, .pending = 1};
static const struct echo LINGERING = {.state = ECHO_LINGERING};
static const struct echo FLUSHING = {.state = ECHO_FLUSHING, .pending = 1};

Test(deadline, without_limits_there_is_none)
{
        const struct connection_limits none = {0};

        expect(none, OPEN, NO_DEADLINE, NO_REASON);
        expect(none, PAUSED, NO_DEADLINE, NO_REASON);
        expect(none, FLUSHING, NO_DEADLINE, NO_REASON);
}

Test(deadline, idle_counts_from_the_last_byte)
{
        expect((struct connection_limits){.idle_timeout_ms = 300}, OPEN, ACTIVE_MS + 300,
               ECHO_IDLE_TIMEOUT);
}

Test(deadline, a_lifetime_counts_from_the_opening)
{
        expect((struct connection_limits){.max_lifetime_ms = 9000}, OPEN, OPENED_MS + 9000,
               ECHO_MAX_LIFETIME);
}

Test(deadline, write_timeout_counts_only_while_output_is_pending)
{
        const struct connection_limits limits = {.write_timeout_ms = 300};

        expect(limits, OPEN, NO_DEADLINE, NO_REASON);
        expect(limits, PAUSED, ACTIVE_MS + 300, ECHO_WRITE_TIMEOUT);
        expect(limits, FLUSHING, ACTIVE_MS + 300, ECHO_WRITE_TIMEOUT);
}

Test(deadline, the_earliest_wins)
{
        struct connection_limits limits = {
                .idle_timeout_ms = 300,
                .write_timeout_ms = 200,
                .max_lifetime_ms = 9000,
        };

        expect(limits, OPEN, ACTIVE_MS + 300, ECHO_IDLE_TIMEOUT);
        expect(limits, PAUSED, ACTIVE_MS + 200, ECHO_WRITE_TIMEOUT);
        limits.max_lifetime_ms = 4001;
        expect(limits, PAUSED, OPENED_MS + 4001, ECHO_MAX_LIFETIME);
}

Test(deadline, a_lifetime_that_is_over_does_not_come_again)
{
        const struct connection_limits limits = {.max_lifetime_ms = 10};

        expect(limits, FLUSHING, NO_DEADLINE, NO_REASON);
        expect(limits, LINGERING, NO_DEADLINE, NO_REASON);
}

Test(deadline, a_lingering_peer_may_not_stand_still_for_longer_than_write_timeout)
{
        expect((struct connection_limits){.write_timeout_ms = 300}, LINGERING, ACTIVE_MS + 300,
               ECHO_WRITE_TIMEOUT);
}

Test(deadline, looks_often_at_first_and_then_ever_more_seldom_but_each_second)
{
        cr_assert_eq(deadline_next_look(ACTIVE_MS, ACTIVE_MS), ACTIVE_MS + 25);
        cr_assert_eq(deadline_next_look(ACTIVE_MS + 200, ACTIVE_MS), ACTIVE_MS + 225);
        cr_assert_eq(deadline_next_look(ACTIVE_MS + 800, ACTIVE_MS), ACTIVE_MS + 900);
        cr_assert_eq(deadline_next_look(ACTIVE_MS + 80000, ACTIVE_MS), ACTIVE_MS + 81000);
}
