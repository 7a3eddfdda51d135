#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "samples.h"

static struct samples samples;

static void tear_down(void)
{
        samples_free(&samples);
}

TestSuite(samples, .fini = tear_down);

static int parse(const char *page)
{
        samples_free(&samples);
        return samples_parse(&samples, strdup(page));
}

static void expect(size_t i, const char *name, const char *labels, double value)
{
        cr_assert_lt(i, samples.n_samples);
        cr_assert_str_eq(samples.samples[i].name, name);
        cr_assert_str_eq(samples.samples[i].labels, labels);
        cr_assert_eq(samples.samples[i].value, value);
}

Test(samples, each_line_is_a_sample_in_its_order)
{
        cr_assert_eq(parse("echod_connections 12\n"
                           "echod_worker_connections{worker=\"0\"} 1.5e3\n"
                           "with_time_stamp -7 1700000000000\n"),
                     0);
        cr_assert_eq(samples.n_samples, 3);
        expect(0, "echod_connections", "", 12);
        expect(1, "echod_worker_connections", "worker=\"0\"", 1500);
        expect(2, "with_time_stamp", "", -7);
}

Test(samples, counters_are_known_by_their_type)
{
        cr_assert_eq(parse("# HELP a_total What counter it is.\n# TYPE a_total counter\n"
                           "a_total{x=\"1\"} 1\na_total{x=\"2\"} 2\n"
                           "# TYPE b gauge\nb 3\n# a comment\n"),
                     0);
        cr_assert(samples.samples[0].is_counter && samples.samples[1].is_counter);
        cr_assert_not(samples.samples[2].is_counter);
}

Test(samples, infinite_and_missing_values_are_numbers)
{
        cr_assert_eq(parse("a +Inf\nb -Inf\nc NaN\n"), 0);
        cr_assert(isinf(samples.samples[0].value) && samples.samples[1].value < 0);
        cr_assert(isnan(samples.samples[2].value));
}

Test(samples, a_brace_or_quote_in_a_label_is_part_of_it)
{
        char value[64];

        cr_assert_eq(parse("a{x=\"}\",y=\"\\\"}\\\\\",z=\"3\"} 1\n"), 0);
        expect(0, "a", "x=\"}\",y=\"\\\"}\\\\\",z=\"3\"", 1);
        cr_assert(sample_label(&samples.samples[0], "x", value, sizeof(value)));
        cr_assert_str_eq(value, "}");
        cr_assert(sample_label(&samples.samples[0], "y", value, sizeof(value)));
        cr_assert_str_eq(value, "\"}\\");
        cr_assert(sample_label(&samples.samples[0], "z", value, sizeof(value)));
        cr_assert_str_eq(value, "3");
        cr_assert_not(sample_label(&samples.samples[0], "xx", value, sizeof(value)));
        cr_assert_not(sample_label(&samples.samples[0], "", value, sizeof(value)));
}

Test(samples, a_long_label_is_cut)
{
        char value[4];

        cr_assert_eq(parse("a{x=\"12345\"} 1\n"), 0);
        cr_assert(sample_label(&samples.samples[0], "x", value, sizeof(value)));
        cr_assert_str_eq(value, "123");
}

Test(samples, what_is_no_page_of_metrics_is_an_error)
{
        cr_assert_eq(parse("<html>\n"), -EINVAL);
        cr_assert_eq(parse("name\n"), -EINVAL);
        cr_assert_eq(parse("name x\n"), -EINVAL);
        cr_assert_eq(parse("name{x=\"1\" 1\n"), -EINVAL);
        cr_assert_eq(parse("name{x=\"1} 1\n"), -EINVAL);
        cr_assert_eq(parse(" 1\n"), -EINVAL);
        cr_assert_eq(parse("name 1x\n"), -EINVAL);
        cr_assert_eq(samples.n_samples, 0);
}

/* Whatever is missing at its end, a page is taken apart or refused. */
Test(samples, a_page_cut_anywhere_does_no_harm)
{
        const char page[] = "# TYPE a_total counter\na_total{x=\"\\\\\",y=\"\\\"\"} 17\nb 2\n";

        for (size_t length = 0; length < sizeof(page); length++) {
                char *cut = strndup(page, length), value[8];

                samples_free(&samples);
                if (samples_parse(&samples, cut) == 0 && samples.n_samples > 0)
                        cr_assert(sample_label(&samples.samples[0], "y", value, sizeof(value)));
        }
        cr_assert_eq(samples.n_samples, 2);
}

Test(samples, a_thousand_are_kept)
{
        char page[32000];
        size_t length = 0;

        for (unsigned i = 0; i < 1000; i++)
                length += (size_t)sprintf(page + length, "a{i=\"%u\"} %u\n", i, i);
        cr_assert_eq(parse(page), 0);
        cr_assert_eq(samples.n_samples, 1000);
        cr_assert_eq(samples_find(&samples, "a", "i=\"777\"")->value, 777);
        cr_assert_null(samples_find(&samples, "a", ""));
        cr_assert_null(samples_find(&samples, "b", "i=\"777\""));
}
