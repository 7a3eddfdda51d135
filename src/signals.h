#pragma once

/*
 * The signals that the daemon obeys, as events of a loop. They are blocked in every thread and
 * read from a signalfd(2): none comes too early to be obeyed, none interrupts a thread in the
 * middle of something, and the workers never see one.
 */

#include <uv.h>

struct signals {
        uv_poll_t poll;
        int descriptor;
        void (*on_signal)(void *user, int number);
        void *user;
};

/* To be called before any thread is made: blocks SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2, and
 * ignores SIGPIPE. */
void signals_block(void);

/*
 * Has `on_signal` called in the loop for each of the blocked signals. Negative errno of
 * signalfd(2), or an error of uv_poll_init() or uv_poll_start(); the loop must then run once more.
 */
int signals_open(struct signals *signals, uv_loop_t *loop,
                 void (*on_signal)(void *user, int number), void *user);

/* The signals stay blocked. Only after signals_open() has succeeded. */
void signals_close(struct signals *signals);
