#pragma once

/*
 * A restart that loses nobody. The earlier echod freezes its connections and leaves them, with a
 * state that says how far they have come (handover_state.h), and its listening sockets: over an
 * execve(2), or in systemd's descriptor store. The next one takes them up where they stopped. For
 * the main thread.
 */

#include <stddef.h>

struct acceptor;
struct inherited;
struct pool;
struct successor;

/* Who takes part. */
struct handover {
        struct acceptor *acceptor;
        struct pool *pool;
        struct inherited *inherited;
};

/*
 * Leaves everything to the successor in this process. Returns only on failure, with a negative
 * errno; then everything goes on as before. Logs what happens.
 */
int handover_exec(const struct handover *handover, const struct successor *successor);

/*
 * Leaves everything to systemd's descriptor store, in which there is room for `n_places`
 * descriptors, for the echod that it starts next. On success nothing is left but listeners, which
 * are to be closed, and the process is to end; else everything goes on: -ENOSPC: there is no room;
 * -ETIMEDOUT: systemd does not answer; -ENOTSUP, -ENOMEM and so on. Logs what happens.
 */
int handover_store(const struct handover *handover, size_t n_places);

/*
 * At start: all descriptors that came with the process, of the service manager and of an earlier
 * echod, see inherited.h. Logs what goes wrong; negative errno of inherited_open(): nobody knows
 * what the service manager wants.
 */
int handover_receive(struct inherited *inherited);

/*
 * Takes up what was left, if anything, from `inherited`; says in the log how much, and what could
 * not be taken up. The listeners must be open. Those connections are admitted whatever the limits
 * are. Never fails: whom it cannot serve it closes or resets.
 */
void handover_take_up(const struct handover *handover);
