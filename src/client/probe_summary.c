#include "probe_summary.h"

#include <inttypes.h>
#include <stdio.h>

#include "exit_status.h"

static double in_ms(double ns)
{
        return ns / 1e6;
}

static void print_times(const struct histogram *times)
{
        printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n",
               in_ms((double)histogram_min(times)), in_ms(histogram_mean(times)),
               in_ms((double)histogram_max(times)), in_ms(histogram_deviation(times)));
        printf("rtt p50/p90/p99 = %.3f/%.3f/%.3f ms\n",
               in_ms((double)histogram_quantile(times, 0.5)),
               in_ms((double)histogram_quantile(times, 0.9)),
               in_ms((double)histogram_quantile(times, 0.99)));
}

int probe_summary_print(const struct probe_summary *summary, const char *host)
{
        uint64_t n_due = summary->n_sent - summary->n_under_way;
        uint64_t n_lost = n_due - summary->n_received;

        printf("\n--- %s echo statistics ---\n", host);
        printf("%" PRIu64 " sent, %" PRIu64 " received, %.4g%% lost, %" PRIu64 " late, %" PRIu64
               " wrong, time %.0f ms\n",
               summary->n_sent, summary->n_received,
               n_due > 0 ? 100 * (double)n_lost / (double)n_due : 0.0, summary->n_late,
               summary->n_faults, in_ms((double)summary->duration_ns));
        if (summary->n_under_way > 0)
                printf("%" PRIu64 " still under way\n", summary->n_under_way);
        if (summary->n_received > 0)
                print_times(summary->times);
        return n_lost + summary->n_late + summary->n_faults > 0 || summary->is_broken ? STATUS_BAD
                                                                                      : STATUS_GOOD;
}
