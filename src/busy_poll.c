#include "busy_poll.h"

#include "util.h"

/* Less than a few calls of epoll_wait(2) is not worth starting. */
#define BUDGET_MIN_NS 5000

/* At most 2^13 spared sleeps pass between two attempts. */
#define FAILED_MAX 13

/*
 * A peer on this very processor can answer only by preempting whoever polls: once for each answer.
 * Of so many answers a few may be due to somebody else.
 */
#define FOUND_EACH_CHECK 8
#define PREEMPTIONS_MAX  2

void busy_poll_set(struct busy_poll *busy_poll, uint64_t max_ns)
{
        *busy_poll = (struct busy_poll){.max_ns = max_ns};
}

static void fail(struct busy_poll *busy_poll)
{
        busy_poll->budget_ns = 0;
        backoff_failed(&busy_poll->backoff, FAILED_MAX);
}

bool busy_poll_slept(struct busy_poll *busy_poll, uint64_t slept_ns)
{
        if (busy_poll->budget_ns > 0 || slept_ns > busy_poll->max_ns)
                return false;
        if (!backoff_may_try(&busy_poll->backoff))
                return false;
        busy_poll->budget_ns = busy_poll->max_ns;
        return busy_poll->budget_ns > 0;
}

void busy_poll_begin(struct busy_poll *busy_poll, uint64_t n_preemptions)
{
        busy_poll->n_preemptions = n_preemptions;
        busy_poll->n_found = 0;
}

bool busy_poll_found(struct busy_poll *busy_poll)
{
        busy_poll->budget_ns = MIN(busy_poll->budget_ns * 2, busy_poll->max_ns);
        return ++busy_poll->n_found >= FOUND_EACH_CHECK;
}

void busy_poll_check(struct busy_poll *busy_poll, uint64_t n_preemptions)
{
        bool is_in_the_way = n_preemptions - busy_poll->n_preemptions > PREEMPTIONS_MAX;

        busy_poll_begin(busy_poll, n_preemptions);
        if (is_in_the_way)
                fail(busy_poll);
        else
                backoff_succeeded(&busy_poll->backoff);
}

void busy_poll_missed(struct busy_poll *busy_poll)
{
        busy_poll->budget_ns /= 2;
        if (busy_poll->budget_ns < BUDGET_MIN_NS)
                fail(busy_poll);
}
