#pragma once

/*
 * What the daemon says of itself in the log.
 */

#include "config_data.h"

struct acceptor;
struct pool;

/* The settings in force. */
void report_settings(const struct config *config, const struct pool *pool,
                     const struct acceptor *acceptor);

/* Warns of each backlog that the kernel silently cuts to its own limit. */
void report_backlogs(const struct config *config);

/* The figures so far. */
void report_statistics(const struct pool *pool, const struct acceptor *acceptor);
