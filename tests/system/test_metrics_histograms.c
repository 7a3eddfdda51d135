/* Metrics of connections that have ended: what they were like, in a few buckets each. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "observe.h"
#include "page.h"
#include "scratch.h"

TestSuite(metrics_histograms, .init = scratch_make, .fini = scratch_remove);

/*
 * Until the connections of the server so far have ended and left the last trace, which is that they
 * are not open any more; and a millisecond more: of those that end within one, only the first is
 * asked for its round-trip time.
 */
static void await_ended(struct daemon *daemon, double n)
{
        page_await(daemon, "echod_connection_bytes_count", n);
        page_await(daemon, "echod_connections", 0);
        usleep(2000);
}

Test(metrics_histograms, what_connections_were_like_is_in_the_histograms)
{
        struct daemon *daemon = DAEMON("-o", METRICS);
        const char *text;
        double rtt;

        exchange_and_close(client_connect(daemon->port), 500);
        await_ended(daemon, 1);
        exchange_and_close(client_connect(daemon->port), 20000);
        await_ended(daemon, 2);
        close(client_connect(daemon->port));
        await_ended(daemon, 3);
        text = page_metrics(daemon);
        cr_assert_eq(page_value(text, "echod_connection_bytes_sum"), 20500);
        cr_assert_eq(page_value(text, "echod_connection_bytes_bucket{le=\"0\"}"), 1);
        cr_assert_eq(page_value(text, "echod_connection_bytes_bucket{le=\"100\"}"), 1);
        cr_assert_eq(page_value(text, "echod_connection_bytes_bucket{le=\"1000\"}"), 2);
        cr_assert_eq(page_value(text, "echod_connection_bytes_bucket{le=\"1000000\"}"), 3);
        cr_assert_eq(page_value(text, "echod_connection_bytes_bucket{le=\"+Inf\"}"), 3);
        cr_assert_eq(page_value(text, "echod_connection_duration_seconds_count"), 3);
        cr_assert_eq(page_value(text, "echod_connection_rtt_seconds_count"), 3);
        rtt = page_value(text, "echod_connection_rtt_seconds_sum");
        cr_assert(rtt > 0 && rtt < 3, "%g", rtt);
        daemon_stop(daemon);
}

Test(metrics_histograms, a_unix_socket_has_no_round_trip_time)
{
        const char *path = scratch_path("socket");
        struct daemon *daemon = DAEMON("-o", scratch_listener("socket"), "-o", METRICS);

        exchange_and_close(client_connect_unix(path), 10);
        await_ended(daemon, 1);
        cr_assert_eq(page_now(daemon, "echod_connection_duration_seconds_count"), 1);
        cr_assert_eq(page_now(daemon, "echod_connection_rtt_seconds_count"), 0);
        daemon_stop(daemon);
}

/* The page counts up to each bound, the log in each bucket. */
static void expect_same_buckets(struct daemon *daemon, const char *page, const char *histogram)
{
        char begin[96], expected[1024], bound[32];
        const char *p = page;
        double n, n_below = 0;
        int length;

        snprintf(begin, sizeof(begin), "echod_%s_bucket{le=\"", histogram);
        length = snprintf(expected, sizeof(expected), "histogram=%s", histogram);
        for (; (p = strstr(p, begin)); n_below = n) {
                p += strlen(begin);
                cr_assert_eq(sscanf(p, "%31[^\"]\"} %lf", bound, &n), 2);
                length += snprintf(expected + length, sizeof(expected) - (size_t)length,
                                   " %s%s=%.0f", bound[0] == '+' ? "more" : "le_",
                                   bound[0] == '+' ? "" : bound, n - n_below);
        }
        cr_assert(daemon_has_logged(daemon, expected), "%s", expected);
}

Test(metrics_histograms, the_histograms_of_usr1_have_the_same_buckets)
{
        struct daemon *daemon = DAEMON("-o", METRICS);
        const char *page;

        exchange_and_close(client_connect(daemon->port), 5);
        exchange_and_close(client_connect(daemon->port), 5000);
        await_ended(daemon, 2);
        page = page_metrics(daemon);
        statistic(daemon, "accepted");
        expect_same_buckets(daemon, page, "connection_rtt_seconds");
        expect_same_buckets(daemon, page, "connection_duration_seconds");
        expect_same_buckets(daemon, page, "connection_bytes");
        daemon_stop(daemon);
}
