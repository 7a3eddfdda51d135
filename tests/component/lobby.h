#pragma once

/*
 * An acceptor with a pool of workers, in a main loop that the test turns itself.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "acceptor.h"
#include "config_data.h"
#include "pool.h"

#define LOBBY_LISTENERS_MAX 4

struct lobby {
        uv_loop_t loop;
        struct pool pool;
        struct acceptor acceptor;
        struct config config; /* in force after lobby_apply() */
        struct config_listener listeners[LOBBY_LISTENERS_MAX];
        uint64_t max_connections;
        char problem[ACCEPTOR_PROBLEM_MAX];
        unsigned n_descriptors;
};

/* Everything but the listeners; the configuration has none yet, and no limits. */
void lobby_init(struct lobby *lobby);

/* The configuration's listeners from now on: an address and a port each. */
void lobby_set_listeners(struct lobby *lobby, size_t n, ...);

int lobby_apply(struct lobby *lobby);

/* Has it listen at this address, a path or one with a port, and at no other from now on. */
void lobby_listen(struct lobby *lobby, const char *address, int port);

/* All of it, listening there; so many connections, then clients wait. */
void lobby_open_at(struct lobby *lobby, uint64_t max_connections, const char *address, int port);

/* The same on 127.0.0.1 and any free port. */
void lobby_open(struct lobby *lobby, uint64_t max_connections);

/* Denies a network from now on, and nobody else. The prefix is the test's, for as long. */
void lobby_deny(struct lobby *lobby, struct prefix *prefix, const char *network);

/* The i-th listener that is open. */
struct listener *lobby_listener(struct lobby *lobby, unsigned i);

uint16_t lobby_port(struct lobby *lobby, unsigned i);

/* Connects to 127.0.0.1 and waits until the client is in a listener's queue: that is a moment after
 * connect(2) is back. */
int lobby_queue(struct lobby *lobby, uint16_t port);

/* The same at the first listener. */
int lobby_connect(struct lobby *lobby);

/* Expects that the client is served, and closes it. */
void lobby_part(int client);

/* Waits until so many clients, one after the other, are served as places come free. */
void lobby_expect_served_in_order(struct lobby *lobby, const int *clients, unsigned n);

/* Closes a client whose connection is open, and turns until it is counted out. */
void lobby_leave(struct lobby *lobby, int client);

/* Whether another socket may bind the listener's address too. */
bool lobby_is_shared(const struct listener *listener);

/* Lets the main loop do what there is to do now. */
void lobby_turn(struct lobby *lobby);

/* The same a good many times, for what must not happen. */
void lobby_turn_often(struct lobby *lobby);

/* Lets so much time pass on the frozen clock, and turns. */
void lobby_advance(struct lobby *lobby, unsigned ms);

/* One more client comes, is served, and leaves. */
void lobby_serve_one(struct lobby *lobby);

/* Turns until so many were accepted. */
void lobby_await_accepted(struct lobby *lobby, uint64_t n);

/* Turns until so many were refused for this reason. */
void lobby_await_refused(struct lobby *lobby, enum admission_verdict verdict, uint64_t n);

/* Turns until no more than so many connections are open. */
void lobby_await_load(struct lobby *lobby, uint64_t n);

/* Turns until retired listeners have gone. */
void lobby_await_retired(struct lobby *lobby);

/* Ends all of it; expects that nothing is left. */
void lobby_close(struct lobby *lobby);
