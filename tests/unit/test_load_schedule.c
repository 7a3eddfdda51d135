#include <criterion/criterion.h>

#include "load_schedule.h"

/* A message every 2 ns for 1 s, on five connections in turn. */
static const struct load_schedule FAST = {
        .start_ns = 1000, .end_ns = 1000001000, .rate = 5e8, .n_connections = 5};

Test(load_schedule, connections_take_turns)
{
        for (uint64_t connection = 0; connection < 5; connection++) {
                cr_assert_eq(load_schedule_due_ns(&FAST, connection, 0), 1000 + 2 * connection);
                cr_assert_eq(load_schedule_due_ns(&FAST, connection, 7), 1070 + 2 * connection);
        }
}

/* With a rate in which nothing is even. */
Test(load_schedule, it_counts_what_is_due)
{
        const struct load_schedule schedule = {
                .start_ns = 12345, .end_ns = UINT64_MAX, .rate = 299999.7, .n_connections = 7};

        for (uint64_t n = 0; n < 100000; n++) {
                uint64_t due_ns = load_schedule_due_ns(&schedule, n % 7, n);

                cr_assert_eq(load_schedule_count(&schedule, n % 7, due_ns), n + 1);
                cr_assert_eq(load_schedule_count(&schedule, n % 7, due_ns - 1), n);
        }
}

Test(load_schedule, nothing_is_due_before_the_start_or_at_the_end)
{
        const struct load_schedule slow = {
                .start_ns = 1000, .end_ns = 3000001000, .rate = 1, .n_connections = 1};

        cr_assert_eq(load_schedule_count(&slow, 0, 999), 0);
        cr_assert_eq(load_schedule_count(&slow, 0, 1000), 1);
        cr_assert_eq(load_schedule_count(&slow, 0, UINT64_MAX), 3);
        for (uint64_t connection = 0; connection < 5; connection++)
                cr_assert_eq(load_schedule_count(&FAST, connection, UINT64_MAX), 100000000);
}

Test(load_schedule, waits_are_those_of_each_message)
{
        struct histogram *waits = histogram_new();

        load_schedule_add_waits(&FAST, 1, 10, 14, 2000, 4, waits);
        cr_assert_eq(histogram_count(waits), 4);
        cr_assert_eq(histogram_max(waits), 2000 - 1102);
        cr_assert_eq(histogram_min(waits), 2000 - 1132);
        cr_assert_float_eq(histogram_mean(waits), 2000 - 1117, 1e-6);
        histogram_free(waits);
}

Test(load_schedule, waits_of_many_are_added_together)
{
        struct histogram *waits = histogram_new();
        uint64_t now_ns = FAST.end_ns;

        load_schedule_add_waits(&FAST, 0, 0, 100000000, now_ns, 10000, waits);
        cr_assert_eq(histogram_count(waits), 100000000);
        cr_assert_float_eq((double)histogram_quantile(waits, 0.5), 5e8, 1e6);
        cr_assert_float_eq((double)histogram_quantile(waits, 0.99), 99e7, 2e6);
        cr_assert_float_eq(histogram_mean(waits), 5e8, 1e5);
        histogram_free(waits);
}
