#pragma once

/*
 * A listener in a loop that the test turns itself, and who came in by it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "listener.h"

#define PORCH_MAX 512

struct porch {
        uv_loop_t loop;
        struct poller poller;
        struct listener *listener;
        int accepted[PORCH_MAX]; /* in the order in which they came */
        struct address peers[PORCH_MAX];
        unsigned n_accepted;
        unsigned n_shortages;
        int shortage; /* the last one's error */
        unsigned n_retired;
        unsigned pause_after; /* so many were accepted; 0: never */
        unsigned n_descriptors;
};

void porch_init(struct porch *porch);

/* TCP on 127.0.0.1 and any free port, with sensible options. */
struct listener_options porch_ipv4(void);

struct listener_options porch_unix(const char *path);

/* listener_open() with the porch's callbacks. */
int porch_try(struct porch *porch, const struct listener_options *options);

/* The same; it must succeed. Accepts. */
void porch_open(struct porch *porch, const struct listener_options *options);

uint16_t porch_port(const struct porch *porch);

/* Connects and waits until the client is in the queue: that is a moment after connect(2) is back.
 */
int porch_connect(const struct porch *porch);

/* Lets the loop do what there is to do now. */
void porch_turn(struct porch *porch);

/* Turns until so many have been accepted. */
void porch_await(struct porch *porch, unsigned n);

/* Closes what was accepted and the loop; expects that nothing is left. The listener is closed. */
void porch_close(struct porch *porch);
