/* Behind a proxy, which the test plays. */

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "observe.h"

TestSuite(proxied, .timeout = 60);

#define LINE "PROXY TCP4 192.0.2.1 192.0.2.7 51000 7\r\n"
#define BINARY6                                                                    \
        "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0" \
        "\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\xc7\x38\0\x07"

#define PROXIED                                                                      \
        "-o", "listeners = ( { address = \"127.0.0.1\"; port = 0; proxy_protocol = " \
              "true; } ); proxy_sources = [ \"127.0.0.1\" ];"

/* Connects, sends the header, and then a text in the same write. */
static int come(const struct daemon *daemon, const char *bytes, size_t length)
{
        int client = client_connect(daemon->port);

        client_send(client, bytes, length);
        return client;
}

/* Connects, and says nothing yet. */
static int wait_silently(struct daemon *daemon)
{
        int client = client_connect(daemon->port);

        await_statistic(daemon, "awaiting_header", 1);
        return client;
}

Test(proxied, the_log_speaks_of_the_client)
{
        struct daemon *daemon = DAEMON(PROXIED, "-o", "log_connections = true;");
        int one = come(daemon, LINE "hello", strlen(LINE "hello")), two;

        client_receive(one, (char[5]){0}, 5);
        client_half_close(one);
        client_expect_eof(one);
        daemon_await_log(daemon, "closed peer=192.0.2.1:51000 listener=127.0.0.1:");
        daemon_await_log(daemon, " in=5 out=5 ");
        two = come(daemon, BINARY6, sizeof(BINARY6) - 1);
        client_echo(two, "hello");
        client_half_close(two);
        client_expect_eof(two);
        daemon_await_log(daemon, "closed peer=[2001:db8::1]:51000 ");
        cr_assert_not(daemon_has_logged(daemon, "peer=127.0.0.1"));
        close(one);
        close(two);
        daemon_stop(daemon);
}

Test(proxied, a_large_stream_behind_the_header_comes_back)
{
        struct daemon *daemon = DAEMON(PROXIED);
        int client = come(daemon, LINE, strlen(LINE));

        client_exchange(client, 5000000, 70000);
        close(client);
        daemon_stop(daemon);
}

Test(proxied, statistics_tell_refusals_probes_and_who_waits)
{
        struct daemon *daemon = DAEMON(PROXIED);
        int refused = come(daemon, "hello", 5), waiting;

        client_expect_reset(refused);
        close(client_connect(daemon->port));
        await_statistic(daemon, "probes", 1);
        waiting = wait_silently(daemon);
        cr_assert_eq(statistic(daemon, "refused_proxy_header"), 1);
        cr_assert_eq(statistic(daemon, "accepted"), 0);
        cr_assert_eq(statistic(daemon, "connections"), 0);
        close(refused);
        close(waiting);
        await_statistic(daemon, "awaiting_header", 0);
        daemon_stop(daemon);
}

Test(proxied, a_probe_is_logged_for_who_debugs)
{
        struct daemon *daemon = DAEMON(PROXIED, "-o", "log_level = \"debug\";");

        close(client_connect(daemon->port));
        daemon_await_log(daemon, "probe peer=127.0.0.1:");
        daemon_stop(daemon);
}

Test(proxied, a_stop_serves_who_waits_for_a_header)
{
        struct daemon *daemon = DAEMON(PROXIED);
        int client = wait_silently(daemon);

        daemon_signal(daemon, SIGTERM);
        daemon_await_log(daemon, "no longer accepting, waiting 30.000 s for 1 connections");
        client_send(client, LINE, strlen(LINE));
        client_echo(client, "served");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
}

Test(proxied, a_stop_ends_with_the_last_who_waited_for_a_header)
{
        struct daemon *daemon = DAEMON(PROXIED);
        int client = wait_silently(daemon);

        daemon_signal(daemon, SIGTERM);
        daemon_await_log(daemon, "no longer accepting");
        close(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
}

Test(proxied, drain_timeout_resets_who_waits_for_a_header)
{
        struct daemon *daemon = DAEMON(PROXIED, "-o", "drain_timeout = 0.2;");
        int client = wait_silently(daemon);

        daemon_signal(daemon, SIGTERM);
        client_expect_reset(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        cr_assert(daemon_has_logged(daemon, "drain_timeout: resetting 1 connections"));
        cr_assert_not(daemon_has_logged(daemon, "problem=late"));
        close(client);
        daemon_free(daemon);
}

Test(proxied, a_second_signal_resets_who_waits_for_a_header)
{
        struct daemon *daemon = DAEMON(PROXIED);
        int client = wait_silently(daemon);

        daemon_signal(daemon, SIGTERM);
        daemon_await_log(daemon, "no longer accepting");
        daemon_signal(daemon, SIGTERM);
        client_expect_reset(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        cr_assert_not(daemon_has_logged(daemon, "problem=late"));
        close(client);
        daemon_free(daemon);
}
