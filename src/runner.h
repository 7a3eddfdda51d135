#pragma once

/*
 * Turns the loop that a worker's connections live in, and polls it for a while where that is worth
 * it; busy_poll.h decides. For the worker's thread.
 */

#include "busy_poll.h"

struct connection_context;

struct runner {
        struct connection_context *context;
        struct busy_poll busy_poll;
};

/* Returns when the loop has run out. */
void runner_run(struct runner *runner);
