#pragma once

/*
 * The way in: the listeners, admission, and the hand-over to the pool. One place decides, so the
 * limits are exact. For the main thread.
 */

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "admission.h"
#include "arrival_log.h"
#include "listener_set.h"
#include "source_table.h"
#include "vestibule.h"

struct config;
struct frozen;
struct inherited;
struct pool;

struct acceptor {
        uv_loop_t *loop;
        struct pool *pool;
        struct listener_set listeners;
        struct vestibule vestibule; /* clients whose PROXY header has not come yet */
        struct admission admission;
        struct source_table sources;
        bool is_rejecting; /* when_full = "reject" */
        bool is_full;      /* paused until the pool has room */
        bool is_short;     /* paused until the timer, for lack of descriptors or memory */
        uv_timer_t retry;  /* after a shortage */
        struct arrival_log log;
        uint64_t n_accepted;
        uint64_t n_refused[N_ADMISSION_VERDICTS];
        uint64_t n_probes; /* gone before the first byte of a PROXY header */
};

/* Room for a message on what could not be bound. */
#define ACCEPTOR_PROBLEM_MAX LISTENER_SET_PROBLEM_MAX

/*
 * `pool` must have started, in `loop`, before acceptor_apply(). An error of uv_timer_init(), or of
 * getrandom(2).
 */
int acceptor_init(struct acceptor *acceptor, uv_loop_t *loop, struct pool *pool);

/* See listener_set_inherit(). */
void acceptor_inherit(struct acceptor *acceptor, struct inherited *inherited);

/*
 * Puts a configuration into force, which must outlive it: opens listeners that are new, retires
 * those that are gone, leaves the others open. All or nothing: on failure (listener_open()'s)
 * everything is as before, and `problem` names the address. `max_connections` is at least 1.
 * Where connections are limited by their source and were not before, those that are open are
 * counted: waits for the workers.
 */
int acceptor_apply(struct acceptor *acceptor, const struct config *config, uint64_t max_connections,
                   char problem[static ACCEPTOR_PROBLEM_MAX]);

/*
 * Admits a connection that was frozen, whatever the limits are, and takes it over. It counts like
 * any other, in its source too. Negative errno: it has been reset.
 */
int acceptor_readmit(struct acceptor *acceptor, struct frozen *frozen);

/* The same with one who was in an earlier vestibule; his bytes are taken over in any case. */
int acceptor_readmit_guest(struct acceptor *acceptor, struct guest *guest);

/* Connections that are open, on their way to a worker, or waiting for a PROXY header. */
uint64_t acceptor_load(const struct acceptor *acceptor);

/* To be called when connections have ended. */
void acceptor_on_release(struct acceptor *acceptor);

/*
 * Stops accepting: serves what is in the queues now, and closes the listeners. Those who wait for a
 * PROXY header are served, too, as soon as it has come.
 */
void acceptor_finish(struct acceptor *acceptor);

/* Resets those who wait for a PROXY header. */
void acceptor_reset_guests(struct acceptor *acceptor);

/* Closes everything in the loop and the pool's poller; acceptor_free() once those are done. */
void acceptor_close(struct acceptor *acceptor);

/* The workers must have ended: connections refer to the labels. */
void acceptor_free(struct acceptor *acceptor);
