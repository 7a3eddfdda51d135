#pragma once

/*
 * The workers, as one: gives each connection to the least loaded, and tells when places come free.
 * For the main thread.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "connection.h"
#include "list.h"
#include "poller.h"
#include "stats.h"

struct worker;

struct pool {
        struct poller poller; /* the main loop's */
        bool is_open;
        struct worker **workers;
        size_t n_workers;
        uint64_t n_pings;
        uv_async_t release; /* a worker wakes the main loop with it */
        _Atomic bool is_waiting;
        void (*on_release)(void *user);
        void *user;
};

/*
 * Starts so many workers (1-1024): each in a thread of its own, but a single one in `loop`, the
 * main loop, so that a connection wakes one thread and not two. After pool_await_release(),
 * `on_release` is called in that loop. On failure (-ENOMEM, or an error of libuv's or epoll's)
 * nothing is left running; the loop must run once more for a handle to close.
 */
int pool_start(struct pool *pool, uv_loop_t *loop, size_t n_workers, size_t read_buffer,
               const struct connection_limits *limits, void (*on_release)(void *user), void *user);

/* Turns the main loop until it has run out. Its turns are poller_turn()'s, not uv_run()'s. */
void pool_run(struct pool *pool);

/* Resets what is open and ends all workers and connections. Closes the pool's handles. */
void pool_stop(struct pool *pool);

/* Frees all there is: once the pool has stopped, and the loop has run out. Twice is allowed. */
void pool_free(struct pool *pool);

/* Gives an accepted socket to the worker with the fewest connections; see worker_post(). */
int pool_post(struct pool *pool, const struct arrival *arrival);

/*
 * Takes all connections out of the workers, see worker_freeze(). On failure those that were taken
 * are in the list all the same, to be posted again.
 */
int pool_freeze(struct pool *pool, struct list *frozen);

/* See worker_take_census(). Waits for one worker after the other. */
int pool_take_census(struct pool *pool, const struct census *census);

void pool_set_limits(struct pool *pool, const struct connection_limits *limits);

/* See worker_set_busy_poll(). */
void pool_set_busy_poll(struct pool *pool, uint64_t max_ns);

void pool_reset_all(struct pool *pool);

/* Asks all workers whether their loops come round. */
void pool_ping(struct pool *pool);

/* Whether all have answered the last pool_ping(). */
bool pool_has_answered(const struct pool *pool);

/* Connections that are open or on their way to a worker. */
uint64_t pool_load(const struct pool *pool);

/* Asks for a call of on_release as soon as a connection ends. It has to be asked for each time. */
void pool_await_release(struct pool *pool);

/* A place that is none of the workers' has come free: if it was asked for, on_release is called. */
void pool_release(struct pool *pool);

/* Adds up the workers' counters. */
void pool_stats(const struct pool *pool, struct stats_total *ret_total);
