#pragma once

/*
 * A worker in a thread of its own, and what it says about connections that have ended.
 */

#include <semaphore.h>
#include <stdatomic.h>

#include "worker.h"

struct yard {
        struct worker *worker;
        sem_t n_released;
        sem_t gate; /* while it is closed the worker's thread waits */
        atomic_bool is_gated;
        unsigned n_descriptors;
};

/* With a worker that runs. */
void yard_open(struct yard *yard);

/* worker_start() */
int yard_start(struct yard *yard);

/* Ends and frees the worker. */
void yard_join(struct yard *yard);

/* The same; expects that nothing is left. */
void yard_close(struct yard *yard);

/* Posts a socket, which stays the test's if that fails. */
int yard_try_to_post(struct yard *yard, int descriptor);

/* Posts one of two connected sockets; returns the other, the client's. */
int yard_post(struct yard *yard);

/* Waits until so many more connections have ended. */
void yard_await_released(struct yard *yard, unsigned n);

/* Has the worker's thread wait, so that what it is sent stays in the mailbox. */
void yard_close_gate(struct yard *yard);
void yard_open_gate(struct yard *yard);
