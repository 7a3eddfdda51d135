#pragma once

/*
 * How long a loop that has just been busy polls before it sleeps. With one connection the wake-up
 * is most of a round trip, so polling for a little longer than the peer takes is worth it; with
 * sparse traffic, or a peer that needs this very processor, it is not. Pure: it is told the time.
 *
 * As in the kernel's haltpoll governor the budget follows what was found: it grows when polling
 * finds work, and shrinks to nothing when it does not, or when whoever polls is preempted again and
 * again. It is tried anew only after a sleep that polling would have spared, and, as long as that
 * proves wrong, more and more seldom.
 */

#include <stdbool.h>
#include <stdint.h>

#include "backoff.h"

struct busy_poll {
        uint64_t max_ns;        /* 0: never polls */
        uint64_t budget_ns;     /* how long to poll now; 0: not at all */
        struct backoff backoff; /* of attempts; a chance is a sleep that would be spared */
        unsigned n_found;       /* since the last look at the preemptions */
        uint64_t n_preemptions; /* then */
};

/* Starts over, with another limit. */
void busy_poll_set(struct busy_poll *busy_poll, uint64_t max_ns);

/* The loop slept so long until there was work. True: an attempt begins, see busy_poll_begin(). */
bool busy_poll_slept(struct busy_poll *busy_poll, uint64_t slept_ns);

/* How often the thread has been preempted so far: its involuntary context switches, getrusage(2).
 */
void busy_poll_begin(struct busy_poll *busy_poll, uint64_t n_preemptions);

/* Polling found work within the budget. True: it is time for busy_poll_check(). */
bool busy_poll_found(struct busy_poll *busy_poll);

/* Goes on, unless the thread has been preempted often since the last look. */
void busy_poll_check(struct busy_poll *busy_poll, uint64_t n_preemptions);

/* The budget was spent in vain. */
void busy_poll_missed(struct busy_poll *busy_poll);
