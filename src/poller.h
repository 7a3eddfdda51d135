#pragma once

/*
 * The descriptors of connections and listeners, watched at the least cost: an epoll(7) set, in
 * which libuv's loop is one descriptor among many. For each descriptor that comes and goes,
 * uv_poll_t would cost four system calls more, and as much memory as the rest of the connection.
 * Whatever else there is (timers, wake-ups, signals) stays with libuv, in the same thread.
 * Level-triggered.
 *
 * A turn that finds nothing to do is neither asleep nor busy: so somebody polls. libuv's own count,
 * UV_METRICS_IDLE_TIME, takes that for work, and costs an epoll_wait(2) more for each wake-up.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "list.h"

/*
 * One descriptor under watch. Lies in its owner, who sets the callbacks before poller_add(), and
 * frees it in on_removed.
 */
struct watch {
        struct list link; /* the poller's */
        /* Nothing refers to the watch any more. Never called from within an on_event. */
        void (*on_removed)(struct watch *watch);
        /* As epoll_wait(2) gives them: what was asked for, or EPOLLERR or EPOLLHUP. */
        void (*on_event)(struct watch *watch, uint32_t events);
        uint32_t events; /* EPOLLIN or EPOLLOUT; 0: paused or removed, nothing is told */
};

struct poller {
        uv_loop_t *loop;
        int descriptor;
        bool is_dispatching; /* events at hand may point to watches that have been removed */
        struct list watches;
        struct list removed; /* wait for the end of the turn */
        unsigned n_ready;    /* descriptors that had events in the latest turn */
        uint64_t clock_ns;   /* uv_hrtime() at the latest look; a look costs, so there are few */
        uint64_t slept_ns;   /* in the latest turn */
        _Atomic uint64_t idle_ns; /* spent asleep in all; any thread may read it */
        _Atomic uint64_t busy_ns; /* spent on what there was to do; the same */
};

/* Takes `loop` in, which must outlive it. An error of epoll_create1(2) or epoll_ctl(2). */
int poller_init(struct poller *poller, uv_loop_t *loop);

/* Every watch must have been removed. */
void poller_free(struct poller *poller);

/* Watches a descriptor for `events` (EPOLLIN, EPOLLOUT or 0). An error of epoll_ctl(2). */
int poller_add(struct poller *poller, struct watch *watch, int descriptor, uint32_t events);

/* Watches it for `events` instead. An error of epoll_ctl(2). */
int poller_change(struct poller *poller, struct watch *watch, int descriptor, uint32_t events);

/*
 * Ends the watch; to be called while the descriptor is open, since a duplicate of it elsewhere
 * would keep it in the set. on_removed follows at the end of the turn.
 */
void poller_remove(struct poller *poller, struct watch *watch, int descriptor);

/* Calls on_removed for all that wait for it, now. Not from within an on_event. */
void poller_release(struct poller *poller);

/*
 * One turn: waits for events, if `can_wait` and there is nothing to do, and has them seen to, those
 * of the loop included. False: neither the poller nor the loop has anything left to wait for.
 */
bool poller_turn(struct poller *poller, bool can_wait);
