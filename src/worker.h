#pragma once

/*
 * A loop, and the connections that were given to it: a thread with a loop of its own, or, where one
 * worker is enough, the main thread in the main loop. All functions but where said are for the main
 * thread. Between it and a worker's there are only the mailbox, the counters, and the call back of
 * on_released.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "connection.h"
#include "list.h"
#include "stats.h"

struct poller;
struct worker;

struct worker_options {
        struct poller *poller; /* the main loop's, to be part of it; NULL: a thread of its own */
        unsigned index;        /* for the thread's name */
        size_t read_buffer;    /* bytes */
        struct connection_limits limits;
        /* Called in the worker's thread after connections have ended. */
        void (*on_released)(void *user);
        void *user;
};

/*
 * Starts a worker, with a thread where it is to have one. -ENOMEM, or what uv_loop_init(),
 * uv_async_init(), uv_thread_create() or poller_init() say. worker_stop() and worker_free() end it.
 */
int worker_start(struct worker **ret_worker, const struct worker_options *options);

/*
 * Hands over an accepted socket. -ENOMEM: the descriptor and the count in the source are still the
 * caller's. The arrival's listener must outlive the worker.
 */
int worker_post(struct worker *worker, const struct arrival *arrival);

/*
 * Takes all connections out of the worker, those on their way included, and appends them to the
 * list, see connection_freeze.h; waits until that is done. They can be posted again. -ENOMEM, or an
 * error of uv_sem_init(): nothing has changed.
 */
int worker_freeze(struct worker *worker, struct list *frozen);

/*
 * Has every connection counted that is not, those on their way included. The census's function is
 * called in the worker's thread while the caller waits, so it may use what is the caller's. An
 * error of uv_sem_init(): nobody is counted.
 */
int worker_take_census(struct worker *worker, const struct census *census);

/* Puts new limits in force, for open connections too. */
void worker_set_limits(struct worker *worker, const struct connection_limits *limits);

/* How long the worker polls at most before it sleeps, in nanoseconds; see busy_poll.h. Starts as 0.
 */
void worker_set_busy_poll(struct worker *worker, uint64_t max_ns);

/* Resets all connections, those on their way included. */
void worker_reset_all(struct worker *worker);

/* Has the worker's loop, when it comes round, give this number (from 1 on) as its answer. */
void worker_ping(struct worker *worker, uint64_t number);

/* The number of the last ping that was answered. */
uint64_t worker_answer(const struct worker *worker);

/* Connections given to the worker and not yet ended. Any thread; exact in the main thread. */
uint64_t worker_load(const struct worker *worker);

/* Nanoseconds in which its loop was neither asleep nor looking for work in vain. Any thread. */
uint64_t worker_busy_ns(const struct worker *worker);

const struct stats *worker_stats(const struct worker *worker);

/* Resets what is open, and ends the thread. All connections have ended when it returns. */
void worker_stop(struct worker *worker);

/*
 * Frees the worker once it has been stopped; one in the main loop once that has run out, too. NULL
 * is allowed.
 */
void worker_free(struct worker *worker);

/* Of a worker in the main loop: turns the loop until it has run out, polling busily. */
void worker_run(struct worker *worker);
