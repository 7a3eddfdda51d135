#pragma once

/*
 * Counters. Each is written by one thread only and may be read by any, so that counting is a plain
 * load and store: no lock prefix, no contention. Readers sum over the workers.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "echo.h"

typedef _Atomic uint64_t stats_counter;

/* What is counted of each connection when it ends, into few fixed buckets. */
enum stats_histogram {
        STATS_RTT,      /* microseconds: the kernel's smoothed round-trip time at the end */
        STATS_DURATION, /* milliseconds */
        STATS_BYTES,    /* received from the client */
        N_STATS_HISTOGRAMS,
};

#define STATS_BOUNDS 7

/* Upper bounds of the buckets, included, in the units above; one more bucket has what is beyond. */
extern const uint64_t STATS_BUCKETS[N_STATS_HISTOGRAMS][STATS_BOUNDS];

/* What one worker counts. Aligned, so that two workers never share a cache line. */
struct stats {
        _Alignas(64) stats_counter opened; /* connections taken over */
        stats_counter closed[N_ECHO_REASONS];
        stats_counter received_bytes;
        stats_counter sent_bytes;
        stats_counter observed[N_STATS_HISTOGRAMS][STATS_BOUNDS + 1];
        stats_counter sums[N_STATS_HISTOGRAMS]; /* of what was observed */
        stats_counter
                pending_bytes; /* a gauge: received, and held for a peer that is slow to read */
};

/* A sum of the above at one moment, as plain numbers. */
struct stats_total {
        uint64_t opened;
        uint64_t closed[N_ECHO_REASONS];
        uint64_t received_bytes;
        uint64_t sent_bytes;
        uint64_t pending_bytes;
        uint64_t observed[N_STATS_HISTOGRAMS][STATS_BOUNDS + 1];
        uint64_t sums[N_STATS_HISTOGRAMS];
};

/* Only from the thread that owns the counter. A gauge goes down by adding a negative number. */
static inline void stats_add(stats_counter *counter, uint64_t n)
{
        uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

        atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

static inline uint64_t stats_read(const stats_counter *counter)
{
        return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Counts one value. Only from the thread that owns the counters. */
void stats_observe(struct stats *stats, enum stats_histogram histogram, uint64_t value);

/* Adds one worker's counters to a total. Any thread. */
void stats_sum(struct stats_total *total, const struct stats *stats);
