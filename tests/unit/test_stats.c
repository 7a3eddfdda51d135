/* Counters, and the few buckets of what is observed. */

#include <criterion/criterion.h>

#include "stats.h"

static struct stats stats;

static struct stats_total sum(void)
{
        struct stats_total total = {0};

        stats_sum(&total, &stats);
        return total;
}

Test(stats, the_bounds_of_each_histogram_ascend)
{
        for (unsigned i = 0; i < N_STATS_HISTOGRAMS; i++)
                for (unsigned j = 1; j < STATS_BOUNDS; j++)
                        cr_assert_lt(STATS_BUCKETS[i][j - 1], STATS_BUCKETS[i][j]);
}

/* As Prometheus has it: le, less or equal. */
Test(stats, a_bound_belongs_to_its_bucket_and_what_is_above_to_the_next)
{
        for (unsigned i = 0; i < N_STATS_HISTOGRAMS; i++) {
                for (unsigned j = 0; j < STATS_BOUNDS; j++) {
                        stats_observe(&stats, i, STATS_BUCKETS[i][j]);
                        cr_assert_eq(sum().observed[i][j], j == 0 ? 1 : 2);
                        stats_observe(&stats, i, STATS_BUCKETS[i][j] + 1);
                        cr_assert_eq(sum().observed[i][j + 1], 1);
                }
        }
}

Test(stats, what_is_beyond_all_bounds_has_a_bucket_of_its_own)
{
        stats_observe(&stats, STATS_DURATION, UINT64_MAX / 2);
        cr_assert_eq(sum().observed[STATS_DURATION][STATS_BOUNDS], 1);
        cr_assert_eq(sum().observed[STATS_RTT][STATS_BOUNDS], 0);
}

Test(stats, what_is_observed_adds_up)
{
        stats_observe(&stats, STATS_BYTES, 5);
        stats_observe(&stats, STATS_BYTES, 70);
        cr_assert_eq(sum().sums[STATS_BYTES], 75);
        cr_assert_eq(sum().sums[STATS_RTT], 0);
}

Test(stats, workers_are_summed)
{
        struct stats_total total = {0};
        static struct stats other;

        stats_add(&stats.received_bytes, 3);
        stats_observe(&stats, STATS_RTT, 50);
        stats_observe(&other, STATS_RTT, 70);
        stats_add(&other.received_bytes, 4);
        stats_sum(&total, &stats);
        stats_sum(&total, &other);
        cr_assert_eq(total.received_bytes, 7);
        cr_assert_eq(total.observed[STATS_RTT][0], 2);
        cr_assert_eq(total.sums[STATS_RTT], 120);
}
