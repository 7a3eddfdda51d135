#pragma once

/*
 * Connections on a loop that the test turns itself, and their clients; and what every component
 * test asks at its end: whether anything was left behind.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "connection.h"

/* How long a test may take: only a hang does. */
#define HANG_S 60

/* How late a timeout may be. */
#define LATE_MS 100

struct stage {
        uv_loop_t loop;
        struct poller poller;
        struct stats stats;
        struct connection_context context;
        unsigned n_closed;  /* connections that have ended */
        uint64_t closed_ms; /* loop time of the last one's end */
        int descriptor;     /* the last one's own end */
        unsigned n_descriptors;
};

void stage_open(struct stage *stage);

/* Opens a connection over TCP on loopback; returns the client's end. */
int stage_connect(struct stage *stage);

/* The same over a pair of Unix sockets. */
int stage_connect_unix(struct stage *stage);

/* How many connections have ended for this reason. */
uint64_t stage_n_closed(const struct stage *stage, enum echo_reason reason);

/* Lets the loop do what there is to do now. */
void stage_turn(struct stage *stage);

/* The same so much later, by the frozen clock; or when the next timer is due, which there must be.
 */
void stage_advance(struct stage *stage, uint64_t ms);
void stage_advance_to_timer(struct stage *stage);

/* Turns until so many connections have ended. */
void stage_await_closed(struct stage *stage, unsigned n);

/* Turns until so many have ended, expects the end of the stream at this client, and closes it. */
void stage_expect_end(struct stage *stage, int client, unsigned n);

/* The client has said all it had to say; its connection is the next one that ends. */
void stage_finish(struct stage *stage, int client);

/* Turns until the first connection has ended, for this reason, by a fault, which is cleared; then
 * expects a reset at its client, and closes it. */
void stage_expect_fault(struct stage *stage, int client, int error, enum echo_reason reason);

/* Turns until `counter` has reached `value`. */
void stage_await(struct stage *stage, const stats_counter *counter, uint64_t value);

/* Lets the time pass until the first connection ends, at that time of the loop and for this reason.
 */
void stage_expect_timeout(struct stage *stage, uint64_t due_ms, enum echo_reason reason);

/* Sends so many bytes of the pattern at most `chunk` at a time, and expects them back. */
void stage_exchange(struct stage *stage, int client, uint64_t length, size_t chunk);

/* Sends the pattern without reading until the connection holds bytes back; returns bytes sent. */
uint64_t stage_fill(struct stage *stage, int client);

/* Expects bytes of the pattern from `offset` on. */
void stage_receive(struct stage *stage, int client, uint64_t offset, uint64_t length);

/*
 * Has the last connection's client acknowledge now what it would a moment later, and waits until it
 * has: that moment passes on the machine's clock, not on the frozen one, and what is under way is
 * no idleness.
 */
void stage_acknowledge(const struct stage *stage, int client);

/* Whether neither of its two ends has ended the last connection, over TCP. */
bool stage_is_established(const struct stage *stage);

/* Ends the loop; expects that everything is closed, freed and counted out. */
void stage_close(struct stage *stage);

/* Has libuv open what it keeps for the whole process, and ignores SIGPIPE as the server does. */
void warm_up(void);

/* Descriptors that are open now. */
unsigned count_descriptors(void);

/* Memory that nobody refers to any more fails the test; in a build with the sanitizer. */
void expect_no_leaks(void);

/* Two connected TCP sockets over loopback; the second one as a listener would give it. */
void tcp_pair(int ret_sockets[2]);

/* The same with Unix sockets. */
void unix_pair(int ret_sockets[2]);

/* Waits until so many bytes can be read: over TCP they arrive a moment after they were sent. */
void await_bytes(int socket, size_t n);

/* A new directory for files, and the path of a Unix socket in it. */
struct place {
        char directory[64];
        char path[80];
};

struct place make_place(void);

/* Expects that the directory is empty, and removes it. */
void leave_place(const struct place *place);
