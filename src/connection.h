#pragma once

/*
 * One accepted stream: between the poller's events and the echo. Belongs to the worker whose
 * context it was opened in; nobody else touches it. It frees itself once it is closed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "address.h"
#include "backoff.h"
#include "bypass.h"
#include "deadline.h"
#include "poller.h"
#include "slab.h"
#include "stats.h"
#include "timers.h"

struct frozen;
struct source;

/* A connection that has been admitted, on its way to a worker. */
struct arrival {
        int descriptor; /* an accepted, non-blocking stream socket */
        struct address peer;
        const char *listener;  /* names where it came in; must outlive the connection */
        struct source *source; /* counts it, or NULL; see source_table.h */
        struct frozen *frozen; /* how far it had come in another loop; NULL: it is new */
};

/* How connections are counted that were not when they came. */
struct census {
        struct source *(*count)(void *user, const struct address *peer); /* may return NULL */
        void *user;
};

/* What all connections of a worker share. Owned by the worker. */
struct connection_context {
        uv_loop_t *loop;
        struct poller *poller;
        struct timers timers;
        struct slab slab;
        char *buffer; /* every read goes into it, and is written out of it at once */
        size_t buffer_size;
        struct bypass bypass; /* of the buffer, for streams */
        struct connection_limits limits;
        struct stats *stats;
        uint64_t path_seen_ms;     /* loop time when a connection's path was looked at last */
        struct backoff first_read; /* of reading before a connection is known to be readable */
        /* That connections had; whoever polls sees by it whether there was work. What moves much
         * counts twice: it is not for a stream that anybody should poll. */
        uint64_t n_events;
        uint64_t n_repeats;            /* messages that were not their connection's first */
        void (*on_closed)(void *user); /* after a connection has been freed */
        void *user;
};

/*
 * Sets up what connections need with this poller and its loop, with a read buffer of so many
 * bytes. `poller` and `stats` must outlive the context. -ENOMEM, or an error of uv_timer_init().
 */
int connection_context_init(struct connection_context *context, struct poller *poller,
                            size_t buffer_size, struct stats *stats);

/* Closes the timer; call connection_context_free() once the loop has closed. */
void connection_context_close(struct connection_context *context);

/* Every connection must have ended. */
void connection_context_free(struct connection_context *context);

/*
 * Takes over the arrival's socket and echoes on it; goes on where a frozen one has stopped, and
 * frees that. On success the descriptor and the count in the source are the connection's; on
 * failure (-ENOMEM, or what poller_add() says) still the caller's, as is what was frozen.
 */
int connection_open(struct connection_context *context, const struct arrival *arrival);

/* Has every connection counted that is not. Visits each. */
void connection_take_census(struct connection_context *context, const struct census *census);

/* Puts new limits in force for every connection, open ones included. Visits each. */
void connection_set_limits(struct connection_context *context,
                           const struct connection_limits *limits);

/* Resets every open connection, for the reason ECHO_DRAIN. */
void connection_reset_all(struct connection_context *context);
