#pragma once

/*
 * What the daemon says of itself in the log.
 */

#include "config_data.h"

struct acceptor;
struct figures;
struct pool;

/* The settings in force. */
void report_settings(const struct config *config, const struct pool *pool,
                     const struct acceptor *acceptor);

/* Warns of each backlog that the kernel silently cuts to its own limit. */
void report_backlogs(const struct config *config);

/* The figures: a line for each listener, one for each worker, and the sums last. */
void report_statistics(const struct figures *figures);
