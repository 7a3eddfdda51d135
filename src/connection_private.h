#pragma once

/*
 * What the files of the connection share, and nobody else includes.
 */

#include <assert.h>

#include "connection.h"
#include "echo.h"

struct pending;

/*
 * What every message touches lies together, since with thousands of ready connections cache misses
 * are what is left to save: from the watch's on_event on it is one cache line.
 */
struct connection {
        struct timer_entry timer;
        const char *listener;
        uint64_t opened_ms;
        struct watch watch;
        struct connection_context *context;
        struct echo echo;
        uint64_t last_activity_ms; /* loop time of the last byte, either way */
        struct pending *pending;   /* what the socket did not take, or NULL */
        int descriptor;
        uint8_t n_bypasses; /* so many turns yet it is taken for a stream */
        int n_unsent;       /* what the kernel held of the output when idle_timeout came last */
        struct address peer;
        struct source *source; /* counts it, or NULL */
};

static_assert(offsetof(struct connection, watch.on_event) % SLAB_ALIGNMENT == 0,
              "the hot fields begin a cache line");
static_assert(sizeof(struct connection) <= 192, "an idle connection costs less than 200 bytes");

/* The poller's callback, by which a connection is told from other watches. */
void connection_on_event(struct watch *watch, uint32_t events);

/* Visits all open connections of the context. The visitor may end the one it is at. */
void connection_for_each(struct connection_context *context,
                         void (*visit)(struct connection *connection, void *user), void *user);

/* Takes a connection out of its loop, and leaves its descriptor open. It is freed later. */
void connection_leave(struct connection *connection);

/*
 * For a fresh connection: goes on where the frozen one has stopped, and frees that. Returns what
 * comes first.
 */
enum echo_action connection_thaw(struct connection *connection, struct frozen *frozen);

/* Counts and logs what it was like. Before its socket is closed, with which the kernel's view ends.
 */
void connection_observe_end(const struct connection *connection);

/* Ends the connection for that reason, as the echo's table says. */
void connection_end(struct connection *connection, enum echo_reason reason);

/*
 * To be called when a deadline may have come nearer. A timer that already fires early enough stays
 * as it is: the deadline is looked up again then.
 */
void connection_set_timer(struct connection *connection);

/* A deadline of this connection may have come, or its peer may have got something. */
void connection_on_due(struct timer_entry *entry);
