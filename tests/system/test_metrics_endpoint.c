/* Where the metrics are served, and at what price. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "observe.h"
#include "page.h"
#include "reload.h"
#include "scratch.h"

TestSuite(metrics_endpoint, .init = scratch_make, .fini = scratch_remove);

Test(metrics_endpoint, without_the_option_nothing_is_served)
{
        struct daemon *daemon = DAEMON();

        cr_assert_eq(daemon_count_log(daemon, "metrics on"), 0);
        daemon_stop(daemon);
}

Test(metrics_endpoint, a_change_of_their_address_waits_for_a_restart)
{
        const char *path = scratch_write("echod.conf", "listeners = ( " ANY_PORT " ); " METRICS);
        struct daemon *daemon = DAEMON("-c", path);

        scratch_write("echod.conf",
                      "listeners = ( " ANY_PORT " ); metrics = { address = \"::1\"; port = 0; };");
        reload(daemon);
        daemon_await_log(daemon, "metrics: a change needs a restart");
        cr_assert_eq(page_status(page_port(daemon), "/healthz"), 200);
        daemon_stop(daemon);
}

Test(metrics_endpoint, what_cannot_be_bound_ends_the_start_and_is_named)
{
        struct daemon *daemon = DAEMON("-o", METRICS);
        struct outcome outcome;
        char override[128], expected[128];

        snprintf(override, sizeof(override),
                 "listeners = ( " ANY_PORT " ); metrics = { port = %u; };", page_port(daemon));
        snprintf(expected, sizeof(expected),
                 "cannot serve metrics on 127.0.0.1:%u: Address already in use", page_port(daemon));
        RUN_ECHOD(&outcome, "-c", "/dev/null", "-o", override);
        cr_assert_eq(outcome.status, 1);
        cr_assert(strstr(outcome.err, expected), "%s", outcome.err);
        daemon_stop(daemon);
}

Test(metrics_endpoint, their_descriptors_are_not_for_connections)
{
        struct daemon *without = DAEMON("-o", "workers = 1;");
        struct daemon *with = DAEMON("-o", METRICS "workers = 1;");
        uint64_t n = statistic(without, "max_connections");

        cr_assert_eq(statistic(with, "max_connections"), n - 20);
        daemon_stop(without);
        daemon_stop(with);
}

/* As many as there may be, none of which reads or even asks. */
Test(metrics_endpoint, stuck_scrapers_hold_up_no_client)
{
        struct daemon *daemon = DAEMON("-o", METRICS);
        int stuck[16], client;

        for (int i = 0; i < 16; i++) {
                stuck[i] =
                        client_connect_from(i % 2 ? "127.0.0.2" : "127.0.0.3", page_port(daemon));
                if (i % 4)
                        client_send(stuck[i], "GET /metrics HTTP/1.1\r\n", 23);
        }
        client = client_connect(daemon->port);
        client_echo(client, "served");
        exchange_and_close(client_connect(daemon->port), 100000);
        cr_assert_eq(statistic(daemon, "accepted"), 2);
        for (int i = 0; i < 16; i++)
                close(stuck[i]);
        page_await(daemon, "echod_connections", 1);
        close(client);
        daemon_stop(daemon);
}

Test(metrics_endpoint, promtool_has_nothing_to_say)
{
        struct daemon *daemon = DAEMON("-o", METRICS);
        struct outcome outcome;
        const char *path;

        exchange_and_close(client_connect(daemon->port), 1000);
        path = scratch_write("page", "%s", page_metrics(daemon));
        daemon_stop(daemon);
        command_run(&outcome, NULL, (const char *const[]){"sh", "-c", "command -v promtool", NULL});
        if (outcome.status != 0)
                cr_skip_test("promtool, of the package prometheus, is not installed");
        command_run(&outcome, NULL,
                    (const char *const[]){"sh", "-c", "promtool check metrics <\"$1\"", "sh", path,
                                          NULL});
        cr_assert_eq(outcome.status, 0, "%s%s", outcome.out, outcome.err);
        cr_assert_str_eq(outcome.out, "");
        cr_assert_str_eq(outcome.err, "");
}
