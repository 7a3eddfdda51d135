/* Every metric of the contract, against a traffic that is known. */

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "observe.h"
#include "page.h"
#include "reload.h"
#include "scratch.h"

TestSuite(metrics, .init = scratch_make, .fini = scratch_remove);

Test(metrics, every_family_is_there_from_the_start)
{
        static const char *const zeros[] = {
                "echod_connections",
                "echod_connections_refused_total{reason=\"deny\"}",
                "echod_connections_refused_total{reason=\"full\"}",
                "echod_connections_refused_total{reason=\"source_limit\"}",
                "echod_connections_refused_total{reason=\"source_rate\"}",
                "echod_connections_refused_total{reason=\"proxy_header\"}",
                "echod_connections_closed_total{reason=\"eof\"}",
                "echod_connections_closed_total{reason=\"reset\"}",
                "echod_connections_closed_total{reason=\"idle_timeout\"}",
                "echod_connections_closed_total{reason=\"write_timeout\"}",
                "echod_connections_closed_total{reason=\"max_lifetime\"}",
                "echod_connections_closed_total{reason=\"drain\"}",
                "echod_connections_closed_total{reason=\"error\"}",
                "echod_received_bytes_total",
                "echod_sent_bytes_total",
                "echod_pending_bytes",
                "echod_worker_connections{worker=\"0\"}",
                "echod_worker_connections{worker=\"1\"}",
                "echod_reloads_total{result=\"success\"}",
                "echod_reloads_total{result=\"failure\"}",
        };
        struct daemon *daemon = DAEMON("-o", METRICS "workers = 2;");
        const char *text = page_metrics(daemon);
        char accepted[128];

        for (size_t i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++)
                cr_assert_eq(page_value(text, zeros[i]), 0, "%s in:\n%s", zeros[i], text);
        snprintf(accepted, sizeof(accepted),
                 "echod_connections_accepted_total{listener=\"127.0.0.1:%u\"}", daemon->port);
        cr_assert_eq(page_value(text, accepted), 0, "%s in:\n%s", accepted, text);
        cr_assert_eq(page_value(text, "echod_config_last_reload_success"), 1);
        cr_assert(command_matches(
                text, "^echod_build_info\\{version=\"[0-9.]+\",libuv=\"[0-9.]+\"\\} 1$"));
        daemon_stop(daemon);
}

Test(metrics, bytes_and_ends_are_counted)
{
        struct daemon *daemon = DAEMON("-o", METRICS);
        int client;

        exchange_and_close(client_connect(daemon->port), 12345);
        exchange_and_close(client_connect(daemon->port), 55);
        client = client_connect(daemon->port);
        client_echo(client, "abc");
        client_abort(client);
        page_await(daemon, "echod_connections_closed_total{reason=\"eof\"}", 2);
        page_await(daemon, "echod_connections_closed_total{reason=\"reset\"}", 1);
        cr_assert_eq(page_now(daemon, "echod_received_bytes_total"), 12403);
        cr_assert_eq(page_now(daemon, "echod_sent_bytes_total"), 12403);
        page_await(daemon, "echod_connections", 0);
        daemon_stop(daemon);
}

Test(metrics, connections_are_counted_by_the_listener_they_came_in_by)
{
        const char *path = scratch_path("socket");
        char override[512], by_path[256];
        struct daemon *daemon;
        const char *text;

        snprintf(override, sizeof(override),
                 METRICS "listeners = ( " ANY_PORT ", { address = \"%s\"; } );", path);
        daemon = DAEMON("-o", override);
        snprintf(by_path, sizeof(by_path), "echod_connections_accepted_total{listener=\"%s\"}",
                 path);
        exchange_and_close(client_connect_unix(path), 1);
        exchange_and_close(client_connect(daemon->port), 1);
        exchange_and_close(client_connect_unix(path), 1);
        text = page_metrics(daemon);
        cr_assert_eq(page_value(text, by_path), 2, "%s", text);
        cr_assert(command_matches(
                text, "^echod_connections_accepted_total\\{listener=\"127.0.0.1:[0-9]+\"\\} 1$"));
        daemon_stop(daemon);
}

Test(metrics, open_connections_are_spread_over_the_workers)
{
        struct daemon *daemon = DAEMON("-o", METRICS "workers = 2; max_connections = 100;");
        int clients[4];

        for (int i = 0; i < 4; i++) {
                clients[i] = client_connect(daemon->port);
                client_echo(clients[i], "here");
        }
        cr_assert_eq(page_now(daemon, "echod_connections"), 4);
        cr_assert_eq(page_now(daemon, "echod_max_connections"), 100);
        cr_assert_eq(page_now(daemon, "echod_worker_connections{worker=\"0\"}"), 2);
        cr_assert_eq(page_now(daemon, "echod_worker_connections{worker=\"1\"}"), 2);
        for (int i = 0; i < 4; i++)
                close(clients[i]);
        page_await(daemon, "echod_connections", 0);
        daemon_stop(daemon);
}

Test(metrics, bytes_that_a_client_does_not_take_are_pending)
{
        struct daemon *daemon = DAEMON("-o", METRICS "read_buffer = 65536;");
        int client = connect_narrow(daemon->port);
        uint64_t deadline = now_ms() + PATIENCE_MS, sent = 0;
        double received, pending;
        const char *text;

        fill_until_pending(daemon, &client, &sent, 1);
        do {
                text = page_metrics(daemon);
                received = page_value(text, "echod_received_bytes_total");
                pending = page_value(text, "echod_pending_bytes");
                cr_assert(pending > 0 && pending <= 65536, "%s", text);
                cr_assert_lt(now_ms(), deadline, "the sum is wrong: %s", text);
        } while (received != page_value(text, "echod_sent_bytes_total") + pending);
        client_abort(client);
        page_await(daemon, "echod_pending_bytes", 0);
        daemon_stop(daemon);
}

/* A name of the daemon's listener with its label. */
static const char *of_listener(const struct daemon *daemon, const char *name)
{
        static char sample[128];

        snprintf(sample, sizeof(sample), "%s{listener=\"127.0.0.1:%u\"}", name, daemon->port);
        return sample;
}

Test(metrics, who_waits_at_a_listener_is_to_be_seen)
{
        struct daemon *daemon =
                DAEMON("-o", METRICS "max_connections = 1; listeners = ( "
                                     "{ address = \"127.0.0.1\"; port = 0; backlog = 5; } );");
        int served = client_connect(daemon->port), waiting[3];

        client_echo(served, "served");
        cr_assert_eq(page_now(daemon, of_listener(daemon, "echod_listener_queue_limit")), 5);
        cr_assert_eq(page_now(daemon, of_listener(daemon, "echod_listener_queue_length")), 0);
        for (int i = 0; i < 3; i++)
                waiting[i] = client_connect(daemon->port);
        page_await(daemon, of_listener(daemon, "echod_listener_queue_length"), 3);
        cr_assert_eq(page_now(daemon, of_listener(daemon, "echod_listener_drops_total")), 0);
        close(served);
        for (int i = 0; i < 3; i++)
                close(waiting[i]);
        page_await(daemon, of_listener(daemon, "echod_listener_queue_length"), 0);
        daemon_stop(daemon);
}

#define BUSY "echod_worker_busy_seconds_total{worker=\"0\"}"

/* In which part of the time the only worker was busy, with messages so seldom that it polls in
 * vain, again and again. */
static double share_of_seldom_messages(struct daemon *daemon, int client)
{
        double before = page_now(daemon, BUSY), busy;
        uint64_t began_ms = now_ms();

        for (int i = 0; i < 200; i++) {
                client_echo(client, "a message");
                sleep_ms(2);
        }
        busy = page_now(daemon, BUSY) - before;
        cr_assert_gt(busy, 0);
        return busy * 1e3 / (double)(now_ms() - began_ms);
}

/* Three times, as a worker that is held up in its work is busy meanwhile. */
Test(metrics, a_worker_that_polls_or_sleeps_is_idle)
{
        struct daemon *daemon = DAEMON("-o", METRICS "workers = 1; busy_poll = 0.001;");
        int client = client_connect(daemon->port);
        double share = 1;

        for (int attempt = 0; attempt < 3 && share >= 0.25; attempt++)
                share = share_of_seldom_messages(daemon, client);
        cr_assert(share < 0.25 || daemon_is_sanitized(), "%g of the time", share);
        close(client);
        daemon_stop(daemon);
}

/* It is in work that it uses the processor, but for the way to sleep and back; how much of the time
 * that is depends on who else wants the processor. */
Test(metrics, a_worker_that_has_much_to_do_is_busy)
{
        struct daemon *daemon = DAEMON("-o", METRICS "workers = 1; busy_poll = 0.0;");
        double before = page_now(daemon, BUSY), busy;
        uint64_t began_ms = now_ms(), n_ticks = daemon_cpu_ticks(daemon);

        exchange_and_close(client_connect(daemon->port), 64 << 20);
        n_ticks = daemon_cpu_ticks(daemon) - n_ticks;
        busy = page_now(daemon, BUSY) - before;
        cr_assert_gt(busy, 0);
        cr_assert_geq(busy, (double)n_ticks / (double)sysconf(_SC_CLK_TCK) / 4);
        cr_assert_leq(busy, (double)(now_ms() - began_ms) / 1e3);
        daemon_stop(daemon);
}

Test(metrics, refusals_are_counted_by_reason)
{
        struct daemon *daemon =
                DAEMON("-o", METRICS "deny = [ \"127.0.0.2\" ]; "
                                     "max_connections = 1; when_full = \"reject\";");
        int client = client_connect(daemon->port), refused;

        client_echo(client, "in");
        for (int i = 0; i < 3; i++) {
                refused = client_connect_from(i < 2 ? "127.0.0.2" : "127.0.0.1", daemon->port);
                client_expect_reset(refused);
                close(refused);
        }
        cr_assert_eq(page_now(daemon, "echod_connections_refused_total{reason=\"deny\"}"), 2);
        cr_assert_eq(page_now(daemon, "echod_connections_refused_total{reason=\"full\"}"), 1);
        close(client);
        daemon_stop(daemon);
}

/* A client that says nothing until a timeout, the only one that there is, ends it. */
static void be_ended_by(struct daemon *daemon, const char *timeout)
{
        int client;

        scratch_write("echod.conf", "listeners = ( " ANY_PORT " ); " METRICS "%s = 0.05;", timeout);
        reload(daemon);
        client = client_connect(daemon->port);
        client_expect_eof(client);
        close(client);
}

Test(metrics, timeouts_are_counted_as_what_they_are)
{
        struct daemon *daemon =
                DAEMON("-c", scratch_write("echod.conf", "listeners = ( " ANY_PORT " ); " METRICS));

        be_ended_by(daemon, "idle_timeout");
        page_await(daemon, "echod_connections_closed_total{reason=\"idle_timeout\"}", 1);
        be_ended_by(daemon, "max_lifetime");
        page_await(daemon, "echod_connections_closed_total{reason=\"max_lifetime\"}", 1);
        cr_assert_eq(page_now(daemon, "echod_connections_closed_total{reason=\"idle_timeout\"}"),
                     1);
        daemon_stop(daemon);
}

Test(metrics, reloads_are_counted_by_result)
{
        const char *path = scratch_write("echod.conf", "listeners = ( " ANY_PORT " ); " METRICS);
        struct daemon *daemon = DAEMON("-c", path);

        reload(daemon);
        cr_assert_eq(page_now(daemon, "echod_reloads_total{result=\"success\"}"), 1);
        scratch_write("echod.conf", "nonsense");
        reload_in_vain(daemon);
        cr_assert_eq(page_now(daemon, "echod_reloads_total{result=\"failure\"}"), 1);
        cr_assert_eq(page_now(daemon, "echod_config_last_reload_success"), 0);
        scratch_write("echod.conf", "listeners = ( " ANY_PORT " ); " METRICS);
        reload(daemon);
        cr_assert_eq(page_now(daemon, "echod_reloads_total{result=\"success\"}"), 2);
        cr_assert_eq(page_now(daemon, "echod_config_last_reload_success"), 1);
        daemon_stop(daemon);
}

Test(metrics, the_process_is_described_as_the_kernel_describes_it)
{
        struct daemon *daemon = DAEMON("-o", METRICS);
        unsigned n_descriptors = daemon_count_descriptors(daemon);
        const char *text = page_metrics(daemon);
        double now = (double)time(NULL);

        /* Beside those that are open always: the scrape's own connection. */
        cr_assert_eq(page_value(text, "process_open_fds"), n_descriptors + 1);
        cr_assert_gt(page_value(text, "process_max_fds"), 100);
        cr_assert_gt(page_value(text, "process_cpu_seconds_total"), 0);
        cr_assert_gt(page_value(text, "process_virtual_memory_bytes"),
                     page_value(text, "process_resident_memory_bytes"));
        cr_assert_gt(page_value(text, "process_resident_memory_bytes"), 1e5);
        cr_assert_leq(fabs(page_value(text, "process_start_time_seconds") - now), 60);
        daemon_stop(daemon);
}

/* Compares one of the statistics of SIGUSR1 with one of the metrics. */
static void expect_same(struct daemon *daemon, const char *page, const char *name,
                        const char *sample)
{
        cr_assert_eq((double)statistic(daemon, name), page_value(page, sample), "%s and %s", name,
                     sample);
}

Test(metrics, the_statistics_of_usr1_are_the_same_figures)
{
        struct daemon *daemon = DAEMON("-o", METRICS "deny = [ \"127.0.0.2\" ];");
        int client = client_connect(daemon->port), refused;
        const char *page;

        exchange_and_close(client_connect(daemon->port), 1000);
        client_echo(client, "abc");
        refused = client_connect_from("127.0.0.2", daemon->port);
        client_expect_reset(refused);
        close(refused);
        page_await(daemon, "echod_connections_closed_total{reason=\"eof\"}", 1);
        page_await(daemon, "echod_connections", 1);
        /* A worker counts a moment after the client has its bytes. */
        page_await(daemon, "echod_sent_bytes_total", 1003);
        page = page_metrics(daemon);
        expect_same(daemon, page, "connections", "echod_connections");
        expect_same(daemon, page, "refused_deny",
                    "echod_connections_refused_total{reason=\"deny\"}");
        expect_same(daemon, page, "closed_eof", "echod_connections_closed_total{reason=\"eof\"}");
        expect_same(daemon, page, "received_bytes", "echod_received_bytes_total");
        expect_same(daemon, page, "sent_bytes", "echod_sent_bytes_total");
        expect_same(daemon, page, "pending_bytes", "echod_pending_bytes");
        expect_same(daemon, page, "max_connections", "echod_max_connections");
        expect_same(daemon, page, "process_max_fds", "process_max_fds");
        cr_assert_eq(statistic(daemon, "accepted"), 2);
        close(client);
        daemon_stop(daemon);
}
