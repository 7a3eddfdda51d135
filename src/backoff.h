#pragma once

/*
 * Exponential back-off of something that is only worth trying while it works: after each failure
 * in a row twice as many chances pass by unused. Pure.
 */

#include <stdbool.h>

struct backoff {
        unsigned n_failed;  /* in a row */
        unsigned n_to_skip; /* chances, before the next attempt */
};

/* A chance. True: it is to be tried. */
static inline bool backoff_may_try(struct backoff *backoff)
{
        if (backoff->n_to_skip == 0)
                return true;
        backoff->n_to_skip--;
        return false;
}

static inline void backoff_succeeded(struct backoff *backoff)
{
        backoff->n_failed = 0;
}

/* At most 2^`max_doublings` chances pass by. */
static inline void backoff_failed(struct backoff *backoff, unsigned max_doublings)
{
        if (backoff->n_failed < max_doublings)
                backoff->n_failed++;
        backoff->n_to_skip = 1U << backoff->n_failed;
}
