#pragma once

/*
 * What a configuration means on this machine: its limits in the terms of those who keep them.
 */

#include <stdint.h>

#include "deadline.h"

struct config;

struct connection_limits settings_limits(const struct config *config);

/* The descriptors for connections, see descriptors.h, whose errors it logs and returns. */
int64_t settings_descriptors(const struct config *config);

/*
 * The configured limit on connections, as far as there are descriptors for it; a warning says if
 * it was lowered. `n_descriptors`: of settings_descriptors(). At least 1.
 */
uint64_t settings_max_connections(const struct config *config, int64_t n_descriptors);

/* How many workers: as configured, or one for each usable processor. */
unsigned settings_n_workers(const struct config *config);

/*
 * How long a worker polls at most, in nanoseconds. With one processor, whoever polls keeps the
 * peer from running: 0. Others than those that echod may use count, since the peer may have them.
 */
uint64_t settings_busy_poll_ns(const struct config *config);

/* Puts the log's level into force, raised by `verbosity`. */
void settings_set_log_level(const struct config *config, int verbosity);

/* The same, and the format: the daemon's. A command's log is for people, whatever is configured. */
void settings_set_log(const struct config *config, int verbosity);
