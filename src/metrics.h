#pragma once

/*
 * Metrics and health over HTTP: /metrics, /healthz and /readyz. It knows nothing of what it tells.
 * Belongs to the main loop, in which it takes its turns as any other socket does: it has no thread
 * of its own, and never blocks. Built without libmicrohttpd, it cannot be opened.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "exposition.h"
#include "metrics_socket.h"

struct metrics;

/* What is told. */
struct metrics_events {
        /* Writes the page. Negative errno: there is none now. */
        int (*write)(void *user, struct exposition *exposition);
        /* Whether clients are accepted, and will be for some time. */
        bool (*is_ready)(void *user);
};

/* Who asks for more at once waits in the kernel's queue. */
#define METRICS_CONNECTIONS_MAX 16

/* What it may have open: those connections, its socket, an epoll instance, and what that needs. */
#define METRICS_DESCRIPTORS (METRICS_CONNECTIONS_MAX + 4)

/* Room for a message on why it cannot be opened. */
#define METRICS_PROBLEM_MAX 256

/* "+metrics" or "-metrics", for -V. */
const char *metrics_feature(void);

/*
 * Listens. Negative errno of socket(2), bind(2), listen(2), inherited_take(), or -ENOMEM; `problem`
 * then says what is wrong. `events` and `user` must outlive it.
 */
int metrics_open(struct metrics **ret_metrics, uv_loop_t *loop,
                 const struct metrics_options *options, const struct metrics_events *events,
                 void *user, char problem[static METRICS_PROBLEM_MAX]);

/* The address with the real port. */
const char *metrics_name(const struct metrics *metrics);

/* Closes everything, whoever is being answered, and frees it in a later callback. NULL is allowed.
 */
void metrics_close(struct metrics *metrics);
