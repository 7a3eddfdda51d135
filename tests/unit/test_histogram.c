#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "histogram.h"

static struct histogram *histogram;

static void begin(void)
{
        histogram = histogram_new();
        cr_assert_not_null(histogram);
}

static void end(void)
{
        histogram_free(histogram);
}

TestSuite(histogram, .init = begin, .fini = end);

Test(histogram, an_empty_one_is_zero)
{
        cr_assert_eq(histogram_count(histogram), 0);
        cr_assert_eq(histogram_min(histogram), 0);
        cr_assert_eq(histogram_max(histogram), 0);
        cr_assert_eq(histogram_mean(histogram), 0);
        cr_assert_eq(histogram_deviation(histogram), 0);
        cr_assert_eq(histogram_quantile(histogram, 0.5), 0);
}

Test(histogram, a_single_value_is_every_quantile)
{
        histogram_add(histogram, 123456789);
        cr_assert_eq(histogram_quantile(histogram, 0), 123456789);
        cr_assert_eq(histogram_quantile(histogram, 0.5), 123456789);
        cr_assert_eq(histogram_quantile(histogram, 1), 123456789);
        cr_assert_eq(histogram_mean(histogram), 123456789);
        cr_assert_eq(histogram_deviation(histogram), 0);
}

Test(histogram, small_values_are_exact)
{
        for (uint64_t value = 1; value <= 1000; value++)
                histogram_add(histogram, value);
        cr_assert_eq(histogram_quantile(histogram, 0.5), 500);
        cr_assert_eq(histogram_quantile(histogram, 0.9), 900);
        cr_assert_eq(histogram_quantile(histogram, 0.99), 990);
        cr_assert_eq(histogram_quantile(histogram, 0.999), 999);
        cr_assert_eq(histogram_quantile(histogram, 1), 1000);
        cr_assert_eq(histogram_min(histogram), 1);
        cr_assert_float_eq(histogram_mean(histogram), 500.5, 1e-9);
        cr_assert_float_eq(histogram_deviation(histogram), 288.675, 0.001);
}

/* Between a smaller and a larger one, so that the median is not known from the extremes. */
static uint64_t median_of(uint64_t value)
{
        end();
        begin();
        histogram_add(histogram, 0);
        histogram_add(histogram, value);
        histogram_add(histogram, UINT64_MAX);
        return histogram_quantile(histogram, 0.5);
}

Test(histogram, every_magnitude_keeps_three_significant_digits)
{
        for (unsigned bit = 0; bit < 64; bit++) {
                for (int step = -1; step <= 1; step++) {
                        uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)step;
                        double found = (double)median_of(value);

                        if (value > 0)
                                cr_assert_leq(fabs(found - (double)value), (double)value * 0.0005,
                                              "%lu is %.0f", (unsigned long)value, found);
                }
        }
}

Test(histogram, merging_is_as_adding_to_one)
{
        struct histogram *other = histogram_new(), *both = histogram_new();

        for (uint64_t i = 0; i < 10000; i++) {
                uint64_t value = i * i * 17 % 1000003;

                histogram_add(i % 3 == 0 ? histogram : other, value);
                histogram_add(both, value);
        }
        histogram_merge(histogram, other);
        cr_assert_eq(histogram_count(histogram), 10000);
        cr_assert_eq(histogram_min(histogram), histogram_min(both));
        cr_assert_eq(histogram_max(histogram), histogram_max(both));
        cr_assert_float_eq(histogram_mean(histogram), histogram_mean(both), 1e-3);
        for (double share = 0; share <= 1; share += 0.001)
                cr_assert_eq(histogram_quantile(histogram, share), histogram_quantile(both, share));
        histogram_free(other);
        histogram_free(both);
}

Test(histogram, merging_an_empty_one_changes_nothing)
{
        struct histogram *empty = histogram_new();

        histogram_add(histogram, 42);
        histogram_merge(histogram, empty);
        cr_assert_eq(histogram_min(histogram), 42);
        cr_assert_eq(histogram_max(histogram), 42);
        cr_assert_eq(histogram_count(histogram), 1);
        histogram_free(empty);
}

Test(histogram, ranges_side_by_side_hold_every_value_once)
{
        uint64_t n = 0, from = 0;

        for (uint64_t value = 1; value < 10000000; value += 1 + value / 10)
                histogram_add(histogram, value);
        for (uint64_t to = 10; to <= 10000000; to *= 10) {
                n += histogram_count_between(histogram, from, to);
                from = to;
        }
        cr_assert_eq(n, histogram_count(histogram));
}

Test(histogram, many_of_a_value_are_as_good_as_one_after_the_other)
{
        histogram_add(histogram, 5);
        histogram_add_many(histogram, 1000, 3);
        histogram_add_many(histogram, 7, 0);
        cr_assert_eq(histogram_count(histogram), 4);
        cr_assert_eq(histogram_quantile(histogram, 0.25), 5);
        cr_assert_eq(histogram_quantile(histogram, 0.5), 1000);
        cr_assert_float_eq(histogram_mean(histogram), 751.25, 1e-9);
        cr_assert_float_eq(histogram_deviation(histogram), 430.848, 0.001);
}
