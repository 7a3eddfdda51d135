#include "busy_poll.h"

#include "util.h"

/* Less than a few calls of epoll_wait(2) is not worth starting. */
#define BUDGET_MIN_NS 5000

/* At most 2^10 spared sleeps pass between two attempts. */
#define FAILED_MAX 10

void busy_poll_set(struct busy_poll *busy_poll, uint64_t max_ns)
{
        *busy_poll = (struct busy_poll){.max_ns = max_ns};
}

void busy_poll_found(struct busy_poll *busy_poll)
{
        busy_poll->budget_ns = MIN(busy_poll->budget_ns * 2, busy_poll->max_ns);
        busy_poll->n_failed = 0;
}

void busy_poll_missed(struct busy_poll *busy_poll)
{
        busy_poll->budget_ns /= 2;
        if (busy_poll->budget_ns >= BUDGET_MIN_NS)
                return;
        busy_poll->budget_ns = 0;
        busy_poll->n_failed = MIN(busy_poll->n_failed + 1, (unsigned)FAILED_MAX);
        busy_poll->n_to_skip = 1U << busy_poll->n_failed;
}

void busy_poll_slept(struct busy_poll *busy_poll, uint64_t slept_ns)
{
        if (busy_poll->budget_ns > 0 || slept_ns > busy_poll->max_ns)
                return;
        if (busy_poll->n_to_skip > 0)
                busy_poll->n_to_skip--;
        else
                busy_poll->budget_ns = busy_poll->max_ns;
}
