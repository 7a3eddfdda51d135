#pragma once

/*
 * Connections taken out of their loop, to be taken up in another one, of this process or of the
 * next. Nothing is read or written meanwhile, and the peer notices nothing but a pause.
 */

#include <stdint.h>

#include "connection.h"
#include "echo.h"
#include "list.h"

struct pending;

/* A connection that is open nowhere. Owns its descriptor and what it points to. */
struct frozen {
        struct list link;
        struct arrival arrival; /* whose `frozen` is this */
        struct echo echo;
        uint64_t opened_ms, active_ms; /* of the loop's clock: CLOCK_MONOTONIC */
        int n_unsent;                  /* what the kernel held when idle_timeout came last */
        struct pending *pending;       /* echo.pending bytes; in OPEN: NULL */
};

/*
 * Takes all open connections out of the context's loop and appends them to the list. -ENOMEM:
 * nothing has changed. They no longer count as the context's; on_closed comes for each, later.
 */
int connection_freeze_all(struct connection_context *context, struct list *frozen);

/* Frees it without touching its socket. NULL is allowed. */
void connection_free_frozen(struct frozen *frozen);
