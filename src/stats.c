#include "stats.h"

void stats_sum(struct stats_total *total, const struct stats *stats)
{
        total->opened += stats_read(&stats->opened);
        for (unsigned reason = 0; reason < N_ECHO_REASONS; reason++)
                total->closed[reason] += stats_read(&stats->closed[reason]);
        total->received_bytes += stats_read(&stats->received_bytes);
        total->sent_bytes += stats_read(&stats->sent_bytes);
        total->pending_bytes += stats_read(&stats->pending_bytes);
}
