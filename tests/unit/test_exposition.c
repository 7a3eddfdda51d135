/* The text format, byte by byte. */

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exposition.h"
#include "util.h"

static bool is_memory_out;

void *__real_realloc(void *pointer, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void *__wrap_realloc(void *pointer, size_t size)
{
        return is_memory_out ? NULL : __real_realloc(pointer, size);
}

/* Expects exactly this text, and frees it. */
static void expect_text(struct exposition *exposition, const char *expected)
{
        size_t length;
        char *text = exposition_take(exposition, &length);

        cr_assert_not_null(text);
        cr_assert_eq(length, strlen(expected), "%.*s", (int)length, text);
        cr_assert_eq(memcmp(text, expected, length), 0, "%.*s", (int)length, text);
        free(text);
}

/* Expects that the number is written so. */
static void expect_number(double number, const char *expected)
{
        struct exposition exposition = EXPOSITION_NULL;
        char text[64];

        exposition.family = "x";
        exposition_value(&exposition, number);
        snprintf(text, sizeof(text), "x %s\n", expected);
        expect_text(&exposition, text);
}

Test(exposition, a_family_has_its_help_its_type_and_its_samples)
{
        struct exposition exposition = EXPOSITION_NULL;

        exposition_family(&exposition, "a_total", "counter", "How many.");
        exposition_labelled(&exposition, "reason", "deny", 3);
        exposition_labelled(&exposition, "reason", "full", 0);
        exposition_family(&exposition, "b", "gauge", "How much.");
        exposition_value(&exposition, 1.5);
        expect_text(&exposition, "# HELP a_total How many.\n"
                                 "# TYPE a_total counter\n"
                                 "a_total{reason=\"deny\"} 3\n"
                                 "a_total{reason=\"full\"} 0\n"
                                 "# HELP b How much.\n"
                                 "# TYPE b gauge\n"
                                 "b 1.5\n");
}

Test(exposition, several_labels_are_separated_by_commas)
{
        const struct exposition_label labels[] = {{"version", "1"}, {"libuv", "2"}};
        struct exposition exposition = EXPOSITION_NULL;

        exposition.family = "build_info";
        exposition_sample(&exposition, labels, ARRAY_SIZE(labels), 1);
        expect_text(&exposition, "build_info{version=\"1\",libuv=\"2\"} 1\n");
}

Test(exposition, quotes_backslashes_and_line_feeds_are_escaped_in_values_of_labels)
{
        struct exposition exposition = EXPOSITION_NULL;

        exposition.family = "x";
        exposition_labelled(&exposition, "listener", "/a\"b\\c\nd\te\xc3\xa9", 1);
        expect_text(&exposition, "x{listener=\"/a\\\"b\\\\c\\nd\te\xc3\xa9\"} 1\n");
}

Test(exposition, a_help_text_has_no_line_feed_and_keeps_its_quotes)
{
        struct exposition exposition = EXPOSITION_NULL;

        exposition_family(&exposition, "x", "gauge", "a \"b\" \\ c\nd");
        expect_text(&exposition, "# HELP x a \"b\" \\\\ c\\nd\n# TYPE x gauge\n");
}

Test(exposition, whole_numbers_are_written_in_full)
{
        expect_number(0, "0");
        expect_number(1e15, "1000000000000000");
        expect_number(9007199254740991, "9007199254740991");
        expect_number(-3, "-3");
}

Test(exposition, other_numbers_have_as_few_digits_as_read_back)
{
        expect_number(0.1, "0.1");
        expect_number(1.0 / 3, "0.3333333333333333");
        expect_number(1792345.678901, "1792345.678901");
        expect_number(1.5e-9, "1.5e-09");
        expect_number(1e300, "1e+300");
}

Test(exposition, what_is_no_number_has_the_names_of_the_format)
{
        expect_number(NAN, "NaN");
        expect_number(INFINITY, "+Inf");
        expect_number(-INFINITY, "-Inf");
}

Test(exposition, a_histogram_is_cumulative_and_ends_with_everything)
{
        static const double bounds[] = {0.001, 0.5, 10};
        const struct exposition_buckets buckets = {bounds, ARRAY_SIZE(bounds)};
        static const uint64_t counts[] = {2, 0, 3, 4};
        struct exposition exposition = EXPOSITION_NULL;

        exposition.family = "h_seconds";
        exposition_histogram(&exposition, &buckets, counts, 61.25);
        expect_text(&exposition, "h_seconds_bucket{le=\"0.001\"} 2\n"
                                 "h_seconds_bucket{le=\"0.5\"} 2\n"
                                 "h_seconds_bucket{le=\"10\"} 5\n"
                                 "h_seconds_bucket{le=\"+Inf\"} 9\n"
                                 "h_seconds_sum 61.25\n"
                                 "h_seconds_count 9\n");
}

Test(exposition, a_long_text_grows_and_loses_nothing)
{
        struct exposition exposition = EXPOSITION_NULL;
        size_t length;
        char *text;

        exposition.family = "x";
        for (unsigned i = 0; i < 10000; i++)
                exposition_value(&exposition, 1);
        text = exposition_take(&exposition, &length);
        cr_assert_not_null(text);
        cr_assert_eq(length, 40000);
        for (size_t i = 0; i < length; i += 4)
                cr_assert_eq(memcmp(text + i, "x 1\n", 4), 0);
        free(text);
}

/* Half a page would pass for a whole one. */
Test(exposition, without_memory_there_is_no_text_at_all)
{
        struct exposition exposition = EXPOSITION_NULL;
        size_t length;

        exposition.family = "x";
        exposition_value(&exposition, 1);
        is_memory_out = true;
        while (!exposition.has_failed)
                exposition_value(&exposition, 1);
        is_memory_out = false;
        exposition_value(&exposition, 1);
        cr_assert_null(exposition_take(&exposition, &length));
        exposition.family = "x";
        exposition_value(&exposition, 2);
        expect_text(&exposition, "x 2\n");
}
