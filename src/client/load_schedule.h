#pragma once

/*
 * When the messages of a load are due by its rate: one on each connection in turn, evenly in time.
 * Pure. Nothing here takes longer where more messages are due.
 */

#include <stdint.h>

#include "histogram.h"

struct load_schedule {
        uint64_t start_ns, end_ns; /* nothing is due at the end any more */
        double rate;               /* of all connections together, a second */
        uint64_t n_connections;
};

/* When the n-th message of a connection is due, or would be after the end. */
uint64_t load_schedule_due_ns(const struct load_schedule *schedule, uint64_t connection,
                              uint64_t n);

/* How many messages of a connection are due at a time, at the latest. */
uint64_t load_schedule_count(const struct load_schedule *schedule, uint64_t connection,
                             uint64_t now_ns);

/*
 * Adds to `waits` how long the messages of a connection from the `from`-th to below the `to`-th
 * have been due. `n_values`: where there are more, neighbours count as if they were due together.
 */
void load_schedule_add_waits(const struct load_schedule *schedule, uint64_t connection,
                             uint64_t from, uint64_t to, uint64_t now_ns, uint64_t n_values,
                             struct histogram *waits);
