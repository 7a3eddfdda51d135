#include "runner.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "connection.h"

/*
 * It may poll after a turn only if connections had this many events at most: with more, the next
 * ones are not long in coming, and a wake-up is shared by many messages anyway.
 */
#define FEW_EVENTS 1

/* What connections did in one turn. */
struct work {
        uint64_t n_events;
        uint64_t n_repeats;
};

/* False: the loop has run out. */
static bool turn(struct runner *runner, bool can_wait, struct work *ret_work)
{
        struct connection_context *context = runner->context;
        const struct work before = {context->n_events, context->n_repeats};
        bool is_alive = poller_turn(context->poller, can_wait);

        ret_work->n_events = context->n_events - before.n_events;
        ret_work->n_repeats = context->n_repeats - before.n_repeats;
        return is_alive;
}

/* The thread's involuntary context switches so far. */
static uint64_t n_preemptions(void)
{
        struct rusage usage = {0};

        getrusage(RUSAGE_THREAD, &usage);
        return (uint64_t)usage.ru_nivcsw;
}

/* Polls until the budget is spent without work; work starts it anew. False: the loop has run out.
 */
static bool poll_busily(struct runner *runner)
{
        struct busy_poll *busy_poll = &runner->busy_poll;
        struct poller *poller = runner->context->poller;
        uint64_t started_ns = poller->clock_ns;
        struct work work;

        while (poller->clock_ns - started_ns < busy_poll->budget_ns) {
                if (!turn(runner, false, &work))
                        return false;
                if (work.n_events == 0)
                        continue;
                started_ns = poller->clock_ns;
                if (busy_poll_found(busy_poll))
                        busy_poll_check(busy_poll, n_preemptions());
                if (work.n_events > FEW_EVENTS || busy_poll->budget_ns == 0)
                        return true;
        }
        busy_poll_missed(busy_poll);
        return true;
}

/*
 * Sleeps until there is work, does it, and polls for more where that is worth it. A connection's
 * first message is no reason to begin: many a client sends one, and leaves.
 */
static bool sleep_and_poll(struct runner *runner)
{
        struct busy_poll *busy_poll = &runner->busy_poll;
        struct work work;
        bool is_alive = turn(runner, true, &work);

        if (!is_alive || work.n_events > FEW_EVENTS)
                return is_alive;
        if (work.n_repeats > 0 && busy_poll_slept(busy_poll, runner->context->poller->slept_ns))
                busy_poll_begin(busy_poll, n_preemptions());
        return busy_poll->budget_ns == 0 || poll_busily(runner);
}

void runner_run(struct runner *runner)
{
        while (sleep_and_poll(runner))
                ;
}
