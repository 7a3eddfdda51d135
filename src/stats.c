#include "stats.h"

const uint64_t STATS_BUCKETS[N_STATS_HISTOGRAMS][STATS_BOUNDS] = {
        [STATS_RTT] = {100, 1000, 5000, 20000, 50000, 200000, 1000000},
        [STATS_DURATION] = {10, 100, 1000, 10000, 60000, 600000, 3600000},
        [STATS_BYTES] = {0, 100, 1000, 10000, 1000000, 100000000, 10000000000},
};

void stats_observe(struct stats *stats, enum stats_histogram histogram, uint64_t value)
{
        unsigned bucket = 0;

        while (bucket < STATS_BOUNDS && value > STATS_BUCKETS[histogram][bucket])
                bucket++;
        stats_add(&stats->observed[histogram][bucket], 1);
        stats_add(&stats->sums[histogram], value);
}

void stats_sum(struct stats_total *total, const struct stats *stats)
{
        total->opened += stats_read(&stats->opened);
        for (unsigned reason = 0; reason < N_ECHO_REASONS; reason++)
                total->closed[reason] += stats_read(&stats->closed[reason]);
        total->received_bytes += stats_read(&stats->received_bytes);
        total->sent_bytes += stats_read(&stats->sent_bytes);
        total->pending_bytes += stats_read(&stats->pending_bytes);
        for (unsigned histogram = 0; histogram < N_STATS_HISTOGRAMS; histogram++) {
                for (unsigned bucket = 0; bucket <= STATS_BOUNDS; bucket++)
                        total->observed[histogram][bucket] +=
                                stats_read(&stats->observed[histogram][bucket]);
                total->sums[histogram] += stats_read(&stats->sums[histogram]);
        }
}
