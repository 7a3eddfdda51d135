/* The record of a closed connection, field by field, for every way in which one ends. */

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "observe.h"
#include "scratch.h"

#define RECORDS "log_connections = true;"

#define DURATION "duration=[0-9]+\\.[0-9]{3}"

/* The contract's two, and what comes behind them. */
#define PATH_STATE                                                          \
        "rtt_ms=[0-9]+\\.[0-9]{2} retransmits=[0-9]+ "                      \
        "rttvar_ms=[0-9]+\\.[0-9]{2} mss=[0-9]+ busy_ms=[0-9]+\\.[0-9]{3} " \
        "rwnd_limited_ms=[0-9]+\\.[0-9]{3} sndbuf_limited_ms=[0-9]+\\.[0-9]{3}"

TestSuite(log_closed, .init = scratch_make, .fini = scratch_remove);

static uint16_t port_of(int socket)
{
        struct sockaddr_storage address;
        socklen_t length = sizeof(address);

        cr_assert_eq(getsockname(socket, (struct sockaddr *)&address, &length), 0);
        return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                                  : ((struct sockaddr_in6 *)&address)->sin6_port);
}

/* Waits for the record and expects exactly this, with extended regular expressions inside. */
static void assert_record(struct daemon *daemon, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void assert_record(struct daemon *daemon, const char *format, ...)
{
        char pattern[1024] = " info: ";
        size_t position = 0, length = strlen(pattern);
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(pattern + length, sizeof(pattern) - length - 1, format, arguments);
        va_end(arguments);
        strcat(pattern, "$");
        daemon_await_log_from(daemon, &position, "closed ");
        daemon_await_log_from(daemon, &position, "\n");
        cr_assert(command_matches(daemon->log, pattern), "no '%s' in:\n%s", pattern, daemon->log);
}

/* The record of a connection over IPv4 with these numbers of bytes and this reason. */
static void assert_tcp_record(struct daemon *daemon, uint16_t peer, const char *in, const char *out,
                              const char *reason)
{
        assert_record(
                daemon,
                "closed peer=127\\.0\\.0\\.1:%u listener=127\\.0\\.0\\.1:%u in=%s out=%s " DURATION
                " reason=%s " PATH_STATE,
                peer, daemon->port, in, out, reason);
}

Test(log_closed, eof)
{
        struct daemon *daemon = DAEMON("-o", RECORDS);
        int client = client_connect(daemon->port);
        uint16_t port = port_of(client);

        client_echo(client, "1234");
        client_half_close(client);
        client_expect_eof(client);
        assert_tcp_record(daemon, port, "4", "4", "eof");
        close(client);
        daemon_stop(daemon);
}

Test(log_closed, eof_without_a_byte)
{
        struct daemon *daemon = DAEMON("-o", RECORDS);
        int client = client_connect(daemon->port);
        uint16_t port = port_of(client);

        close(client);
        assert_tcp_record(daemon, port, "0", "0", "eof");
        daemon_stop(daemon);
}

Test(log_closed, reset)
{
        struct daemon *daemon = DAEMON("-o", RECORDS);
        int client = client_connect(daemon->port);
        uint16_t port = port_of(client);

        client_echo(client, "1234");
        client_abort(client);
        assert_tcp_record(daemon, port, "4", "4", "reset");
        daemon_stop(daemon);
}

/* A client that a timeout ends. */
static void assert_timeout(const char *options, const char *reason)
{
        struct daemon *daemon = DAEMON("-o", options);
        int client = enter_at_once(daemon, "1234");
        uint16_t port = port_of(client);

        client_expect_eof(client);
        assert_tcp_record(daemon, port, "4", "4", reason);
        close(client);
        daemon_stop(daemon);
}

Test(log_closed, idle_timeout)
{
        assert_timeout(RECORDS "idle_timeout = 0.3;", "idle_timeout");
}

Test(log_closed, write_timeout_has_more_in_than_out)
{
        struct daemon *daemon = DAEMON("-o", RECORDS "write_timeout = 0.3;");
        int client = connect_narrow(daemon->port);
        unsigned long long in = 0, out = 0;
        uint16_t port = port_of(client);
        char *p;

        fcntl(client, F_SETFL, O_NONBLOCK);
        while (!daemon_has_logged(daemon, "reason=write_timeout")) {
                static const char bytes[65536];

                if (send(client, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
                        sleep_ms(10);
        }
        assert_tcp_record(daemon, port, "[0-9]+", "[0-9]+", "write_timeout");
        p = strstr(daemon->log, " in=");
        cr_assert_eq(sscanf(p, " in=%llu out=%llu ", &in, &out), 2);
        cr_assert_gt(in, out);
        close(client);
        daemon_stop(daemon);
}

Test(log_closed, a_client_that_does_not_read_limits_by_its_window)
{
        struct daemon *daemon = DAEMON("-o", RECORDS);
        int client = connect_narrow(daemon->port);
        uint64_t sent = 0;
        size_t position = 0;
        const char *line;

        fill_until_pending(daemon, &client, &sent, 1);
        sleep_ms(QUIET_MS);
        client_abort(client);
        line = await_line(daemon, &position, "closed peer=");
        cr_assert_gt(value_in(line, "rwnd_limited_ms"), QUIET_MS / 2.0);
        cr_assert_geq(value_in(line, "busy_ms"), value_in(line, "rwnd_limited_ms"));
        cr_assert_gt(value_in(line, "mss"), 500);
        daemon_stop(daemon);
}

Test(log_closed, max_lifetime)
{
        assert_timeout(RECORDS "max_lifetime = 0.3;", "max_lifetime");
}

Test(log_closed, drain)
{
        struct daemon *daemon = DAEMON("-o", RECORDS "drain_timeout = 0;");
        int client = client_connect(daemon->port);
        uint16_t port = port_of(client);

        client_echo(client, "1234");
        daemon_signal(daemon, SIGTERM);
        client_expect_reset(client);
        assert_tcp_record(daemon, port, "4", "4", "drain");
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
        close(client);
}

Test(log_closed, an_ipv6_address_stands_in_brackets)
{
        struct daemon *daemon =
                DAEMON("-o", RECORDS "listeners = ( { address = \"::1\"; port = 0; } );");
        int client = client_connect_to("::1", daemon->port);

        client_echo(client, "1234");
        client_half_close(client);
        client_expect_eof(client);
        assert_record(daemon,
                      "closed peer=\\[::1\\]:%u listener=\\[::1\\]:%u in=4 out=4 " DURATION
                      " reason=eof " PATH_STATE,
                      port_of(client), daemon->port);
        close(client);
        daemon_stop(daemon);
}

Test(log_closed, a_unix_socket_has_no_state_of_the_path)
{
        const char *path = scratch_path("echod.sock");
        struct daemon *daemon = DAEMON("-o", scratch_listener("echod.sock"), "-o", RECORDS);
        int client = client_connect_unix(path);

        client_echo(client, "1234");
        client_half_close(client);
        client_expect_eof(client);
        assert_record(daemon, "closed peer=unix listener=%s in=4 out=4 " DURATION " reason=eof",
                      path);
        close(client);
        daemon_stop(daemon);
}

Test(log_closed, duration_is_the_time_it_was_open)
{
        /* The worker's clock may have been read last when its thread began. */
        uint64_t begin = now_ms(), connected, open_ms;
        struct daemon *daemon = DAEMON("-o", RECORDS);
        int client = client_connect(daemon->port);
        double duration = -1;

        client_echo(client, "it is open now");
        connected = now_ms();
        sleep_ms(400);
        open_ms = now_ms() - connected;
        close(client);
        daemon_await_log(daemon, " reason=eof ");
        sscanf(strstr(daemon->log, " duration="), " duration=%lf", &duration);
        /* The loop's clock stands still while it works: a few milliseconds either way. */
        cr_assert_geq(duration * 1000, (double)open_ms - 20);
        cr_assert_leq(duration * 1000, (double)(now_ms() - begin) + 20);
        daemon_stop(daemon);
}

Test(log_closed, nothing_is_recorded_unless_asked_for)
{
        struct daemon *daemon = DAEMON("-o", "log_level = \"debug\";");
        int client = client_connect(daemon->port);

        client_half_close(client);
        client_expect_eof(client);
        close(client);
        daemon_signal(daemon, SIGTERM);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        cr_assert_eq(daemon_count_log(daemon, "closed peer"), 0);
        daemon_free(daemon);
}
