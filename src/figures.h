#pragma once

/*
 * Everything that the daemon counts, at one moment. The metrics and the statistics of SIGUSR1 are
 * two ways to write the same figures.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admission.h"
#include "listener_queue.h"
#include "process.h"
#include "stats.h"

struct acceptor;
struct pool;

/* Reloads so far. Owned by the server. */
struct figures_reloads {
        uint64_t n_succeeded, n_failed;
        bool has_failed; /* the last one */
};

struct figures_listener {
        const char *name; /* the label's, which lives as long as the acceptor */
        uint64_t n_accepted;
        struct listener_queue queue; /* its drops are those of all sockets of that name */
        bool has_queue;              /* it is open, and the kernel tells */
};

struct figures_worker {
        uint64_t n_connections;
        uint64_t busy_ns; /* since the start */
};

/* Where the figures come from. For the main thread. */
struct figures_sources {
        const struct acceptor *acceptor; /* and its pool */
        struct figures_reloads reloads;
        struct process process;
};

struct figures {
        uint64_t n_connections; /* open, or on their way to a worker */
        uint64_t max_connections;
        uint64_t n_refused[N_ADMISSION_VERDICTS];
        uint64_t n_probes; /* gone before the first byte of the PROXY header that had to come */
        uint64_t n_awaiting_header; /* waiting for theirs now; none of n_connections */
        struct stats_total total;
        struct figures_listener *listeners;
        size_t n_listeners; /* those that are gone included */
        struct figures_worker *workers;
        size_t n_workers;
        struct figures_reloads reloads;
        struct process process;
};

/* Collects them. -ENOMEM: there are none. figures_free() releases what is in them. */
int figures_collect(struct figures *ret_figures, struct figures_sources *sources);

void figures_free(struct figures *figures);

/* Clients admitted so far, of all listeners. */
uint64_t figures_accepted(const struct figures *figures);
