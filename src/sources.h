#pragma once

/*
 * The limits of each source, put in force: the table's key, and the census of the connections that
 * came in before there was a limit. For the main thread.
 */

#include <stdint.h>

#include "source_table.h"

struct arrival;
struct config;
struct pool;

/* An empty table with a random key. An error of getrandom(2): it must be destroyed all the same. */
int sources_init(struct source_table *table);

/*
 * Puts the configuration's limits in force. Where connections are limited and were not before,
 * those that are open are counted: waits for the workers. Logs if some could not be.
 */
void sources_limit(struct source_table *table, struct pool *pool, const struct config *config,
                   uint64_t now_ns);

/* Counts an arrival that is open already, while connections are limited; see source_table_count().
 */
int sources_count(struct source_table *table, struct arrival *arrival);
