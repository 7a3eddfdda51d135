#pragma once

/*
 * The signals that the daemon obeys, as events of a loop; of those that come together,
 * SIGNAL_LEAVE first. They are blocked in every thread and read from a signalfd(2): none comes too
 * early to be obeyed, none interrupts a thread in the middle of something, and the workers never
 * see one.
 */

#include <signal.h>
#include <uv.h>

/*
 * Leave everything to systemd for the next echod. Its value, sigqueue(3), is how many descriptors
 * there is room for. Without one it comes in place of SIGTERM.
 */
#define SIGNAL_LEAVE SIGRTMIN

struct signals {
        uv_poll_t poll;
        int descriptor;
        void (*on_signal)(void *user, int number, int value);
        void *user;
};

/*
 * To be called before any thread is made: blocks SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 and
 * SIGNAL_LEAVE, and ignores SIGPIPE.
 */
void signals_block(void);

/*
 * Has `on_signal` called in the loop for each of the blocked signals; the value is -1 unless
 * sigqueue(3) gave one. Negative errno of signalfd(2), or an error of uv_poll_init() or
 * uv_poll_start(); the loop must then run once more.
 */
int signals_open(struct signals *signals, uv_loop_t *loop,
                 void (*on_signal)(void *user, int number, int value), void *user);

/* The signals stay blocked. Only after signals_open() has succeeded. */
void signals_close(struct signals *signals);
