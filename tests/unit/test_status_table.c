#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status_table.h"

static const char NOW[] = "# TYPE echod_connections gauge\nechod_connections 1234567\n"
                          "# TYPE echod_received_bytes_total counter\n"
                          "echod_received_bytes_total 3000\n"
                          "# TYPE echod_worker_busy_seconds_total counter\n"
                          "echod_worker_busy_seconds_total{worker=\"0\"} 2.5\n"
                          "process_open_fds 17\n";
static const char BEFORE[] = "echod_connections 1\n"
                             "echod_received_bytes_total 1000\n"
                             "echod_worker_busy_seconds_total{worker=\"0\"} 1.5\n";

static const char HISTOGRAM[] = "# TYPE echod_x_seconds histogram\n"
                                "echod_x_seconds_bucket{le=\"0.1\"} 50\n"
                                "echod_x_seconds_bucket{le=\"1\"} 90\n"
                                "echod_x_seconds_bucket{le=\"+Inf\"} 100\n"
                                "echod_x_seconds_sum 200\n"
                                "echod_x_seconds_count 100\n"
                                "echod_y 1\n";

/* The table of a page. Valid until the next call. */
static const char *table(const char *now, const char *before, double seconds, size_t n_lines)
{
        struct samples samples = SAMPLES_NULL, earlier = SAMPLES_NULL;
        static char text[4096];
        FILE *file = fmemopen(text, sizeof(text), "w");

        cr_assert_eq(samples_parse(&samples, strdup(now)), 0);
        if (before)
                cr_assert_eq(samples_parse(&earlier, strdup(before)), 0);
        status_table_print(file, &samples, before ? &earlier : NULL, seconds, n_lines);
        fclose(file);
        samples_free(&samples);
        samples_free(&earlier);
        return text;
}

Test(status_table, is_aligned_with_thousands_apart)
{
        cr_assert_str_eq(table(NOW, NULL, 0, SIZE_MAX),
                         "FIGURE                     LABEL           VALUE\n"
                         "connections                            1,234,567\n"
                         "received_bytes_total                       3,000\n"
                         "worker_busy_seconds_total  worker=\"0\"      2.500\n"
                         "process_open_fds                              17\n");
}

Test(status_table, what_only_grows_has_a_rate)
{
        cr_assert_str_eq(table(NOW, BEFORE, 2, SIZE_MAX),
                         "FIGURE                     LABEL           VALUE  PER SECOND\n"
                         "connections                            1,234,567            \n"
                         "received_bytes_total                       3,000      1000.0\n"
                         "worker_busy_seconds_total  worker=\"0\"      2.500         0.5\n"
                         "process_open_fds                              17            \n");
}

/* After a restart there is less than before. */
Test(status_table, a_counter_that_began_anew_has_no_rate)
{
        const char *text = table("# TYPE a counter\na 1\n", "a 5\n", 1, SIZE_MAX);

        cr_assert_not_null(strstr(text, "\na                  1            \n"), "%s", text);
}

Test(status_table, a_histogram_is_its_count_mean_and_percentiles)
{
        cr_assert_str_eq(table(HISTOGRAM, NULL, 0, SIZE_MAX), "FIGURE     LABEL  VALUE\n"
                                                              "x_seconds  count    100\n"
                                                              "x_seconds  mean       2\n"
                                                              "x_seconds  p50    0.100\n"
                                                              "x_seconds  p90        1\n"
                                                              "x_seconds  p99        1\n"
                                                              "y                     1\n");
}

Test(status_table, an_empty_histogram_is_its_count)
{
        cr_assert_str_eq(
                table("x_bucket{le=\"1\"} 0\nx_bucket{le=\"+Inf\"} 0\nx_sum 0\nx_count 0\n", NULL,
                      0, SIZE_MAX),
                "FIGURE  LABEL  VALUE\n"
                "x       count      0\n");
}

Test(status_table, percentiles_are_interpolated_in_their_bucket)
{
        const char *text = table("x_bucket{le=\"10\"} 0\nx_bucket{le=\"20\"} 100\n"
                                 "x_bucket{le=\"+Inf\"} 100\nx_sum 1\nx_count 100\n",
                                 NULL, 0, SIZE_MAX);

        cr_assert_not_null(strstr(text, "p50          15\n"), "%s", text);
        cr_assert_not_null(strstr(text, "p90          19\n"), "%s", text);
}

Test(status_table, what_does_not_fit_is_counted)
{
        cr_assert_str_eq(table(NOW, NULL, 0, 3),
                         "FIGURE                     LABEL           VALUE\n"
                         "connections                            1,234,567\n"
                         "... and 3 more\n");
        cr_assert_not_null(strstr(table(NOW, NULL, 0, 6), "process_open_fds"));
        cr_assert_null(strstr(table(NOW, NULL, 0, 6), "..."));
}

Test(status_table, values_of_every_magnitude_can_be_read)
{
        const char *text = table("a 0\nb 0.000021\nc 123456.789\nd 1e20\ne -1234\nf +Inf\n", NULL,
                                 0, SIZE_MAX);

        cr_assert_not_null(strstr(text, " 0.000021\n"), "%s", text);
        cr_assert_not_null(strstr(text, " 123,456.789\n"), "%s", text);
        cr_assert_not_null(strstr(text, " 1e+20\n"), "%s", text);
        cr_assert_not_null(strstr(text, " -1,234\n"), "%s", text);
        cr_assert_not_null(strstr(text, " inf\n"), "%s", text);
}

Test(status_table, what_is_no_figure_is_left_to_the_head)
{
        cr_assert_str_eq(table("echod_build_info{version=\"1\"} 1\n"
                               "process_start_time_seconds 1.7e9\na 1\n",
                               NULL, 0, SIZE_MAX),
                         "FIGURE  LABEL  VALUE\n"
                         "a                  1\n");
}
