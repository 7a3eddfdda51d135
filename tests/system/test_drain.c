/* TERM and INT: from the last accept to the exit status. A handle left open is status 134. */

#include <criterion/criterion.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "observe.h"
#include "port.h"
#include "reload.h"
#include "scratch.h"

/* More than echod accepts at one go, so that some are left in the queue when it sees the signal. */
#define N_QUEUED 200

#define FOREVER "drain_timeout = 3600;"

TestSuite(drain, .init = scratch_make, .fini = scratch_remove);

static void assert_exits_0(struct daemon *daemon)
{
        int status = daemon_await_exit(daemon);

        cr_assert_eq(status, 0, "exit status %d; the log:\n%s", status, daemon->log);
        daemon_free(daemon);
}

/* Sends the signal and waits until the drain has begun. */
static void begin_drain(struct daemon *daemon, int number)
{
        daemon_signal(daemon, number);
        daemon_await_log(daemon, "no longer accepting");
}

/* Until SIGCONT. */
static void stop_for_a_while(const struct daemon *daemon)
{
        int status;

        daemon_signal(daemon, SIGSTOP);
        cr_assert_eq(waitpid(daemon->pid, &status, WUNTRACED), daemon->pid);
        cr_assert(WIFSTOPPED(status));
}

/* How many clients wait to be accepted. */
static unsigned queue_length(uint16_t port)
{
        FILE *file = fopen("/proc/net/tcp", "re");
        unsigned local, state, length, n = 0;
        char line[256];

        cr_assert_not_null(file);
        while (fgets(line, sizeof(line), file))
                if (sscanf(line, " %*u: %*x:%x %*x:%*x %x %*x:%x", &local, &state, &length) == 3 &&
                    local == port && state == TCP_LISTEN)
                        n += length;
        fclose(file);
        return n;
}

/* A client is in the queue a moment after connect(2) is back. */
static void await_queue(uint16_t port, unsigned n)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        while (queue_length(port) < n) {
                cr_assert_lt(now_ms(), deadline, "%u clients wait", queue_length(port));
                sleep_ms(1);
        }
}

Test(drain, term_without_connections_exits_0_at_once)
{
        struct daemon *daemon = DAEMON("-o", FOREVER);

        daemon_signal(daemon, SIGTERM);
        assert_exits_0(daemon);
}

static void assert_waits_for_connections(int number)
{
        struct daemon *daemon = DAEMON("-o", FOREVER);
        int first = client_enter(daemon->port), second = client_enter(daemon->port);

        begin_drain(daemon, number);
        client_echo(first, "still served");
        client_half_close(first);
        client_expect_eof(first);
        client_echo(second, "still served");
        cr_assert_not(daemon_has_logged(daemon, "stopped"));
        client_half_close(second);
        client_expect_eof(second);
        assert_exits_0(daemon);
        close(first);
        close(second);
}

Test(drain, term_waits_for_open_connections_and_exits_0_when_they_end)
{
        assert_waits_for_connections(SIGTERM);
}

Test(drain, int_does_the_same)
{
        assert_waits_for_connections(SIGINT);
}

Test(drain, connections_left_at_drain_timeout_are_reset)
{
        struct daemon *daemon =
                DAEMON("-o", "drain_timeout = 0.2;", "-o", "log_connections = true;");
        int clients[50];

        for (unsigned i = 0; i < 50; i++)
                clients[i] = client_enter(daemon->port);
        daemon_signal(daemon, SIGTERM);
        for (unsigned i = 0; i < 50; i++) {
                client_expect_reset(clients[i]);
                close(clients[i]);
        }
        cr_assert_eq(daemon_await_exit(daemon), 0);
        cr_assert_eq(daemon_count_log(daemon, " reason=drain "), 50);
        daemon_free(daemon);
}

Test(drain, clients_that_are_stuck_are_reset_too)
{
        struct daemon *daemon = DAEMON("-o", "drain_timeout = 0.2; write_timeout = 0;");
        int client = connect_narrow(daemon->port);
        uint64_t sent = 0;

        fill_until_pending(daemon, &client, &sent, 1);
        daemon_signal(daemon, SIGTERM);
        client_expect_reset(client);
        assert_exits_0(daemon);
        close(client);
}

static void assert_second_ends_at_once(int first, int second)
{
        struct daemon *daemon = DAEMON("-o", FOREVER);
        int client = client_enter(daemon->port);

        begin_drain(daemon, first);
        daemon_signal(daemon, second);
        client_expect_reset(client);
        assert_exits_0(daemon);
        close(client);
}

Test(drain, a_second_term_ends_it_at_once)
{
        assert_second_ends_at_once(SIGTERM, SIGTERM);
}

Test(drain, a_second_int_ends_it_at_once)
{
        assert_second_ends_at_once(SIGINT, SIGINT);
}

Test(drain, term_after_int_ends_it_at_once)
{
        assert_second_ends_at_once(SIGINT, SIGTERM);
}

Test(drain, a_third_signal_does_no_harm)
{
        struct daemon *daemon = DAEMON("-o", FOREVER);
        int client = client_enter(daemon->port);

        begin_drain(daemon, SIGTERM);
        stop_for_a_while(daemon);
        daemon_signal(daemon, SIGINT);
        daemon_signal(daemon, SIGTERM);
        daemon_signal(daemon, SIGHUP);
        daemon_signal(daemon, SIGUSR1);
        daemon_signal(daemon, SIGCONT);
        client_expect_reset(client);
        assert_exits_0(daemon);
        close(client);
}

/* The port is not one that the kernel may give to somebody else as soon as it is free. */
Test(drain, new_clients_are_refused)
{
        const char *file = scratch_write(
                "echod.conf", "listeners = ( { address = \"127.0.0.1\"; port = %u; } );\n",
                free_port());
        struct daemon *daemon = DAEMON("-c", file, "-o", FOREVER);
        int client = client_enter(daemon->port);

        begin_drain(daemon, SIGTERM);
        assert_refuses(daemon->port);
        client_echo(client, "still served");
        close(client);
        assert_exits_0(daemon);
}

Test(drain, clients_in_the_queue_are_served)
{
        struct daemon *daemon = DAEMON("-o", FOREVER);
        int clients[N_QUEUED];

        stop_for_a_while(daemon);
        for (unsigned i = 0; i < N_QUEUED; i++) {
                clients[i] = client_connect(daemon->port);
                client_send(clients[i], "q", 1);
        }
        await_queue(daemon->port, N_QUEUED);
        daemon_signal(daemon, SIGTERM);
        daemon_signal(daemon, SIGCONT);
        for (unsigned i = 0; i < N_QUEUED; i++) {
                client_receive(clients[i], &(char){0}, 1);
                client_half_close(clients[i]);
                client_expect_eof(clients[i]);
                close(clients[i]);
        }
        assert_exits_0(daemon);
}

Test(drain, what_is_pending_for_a_slow_reader_arrives_whole)
{
        struct daemon *daemon = DAEMON("-o", FOREVER, "-o", "write_timeout = 0;");
        int client = connect_narrow(daemon->port);
        uint64_t sent = 0;

        fill_until_pending(daemon, &client, &sent, 1);
        client_half_close(client);
        begin_drain(daemon, SIGTERM);
        client_receive_pattern(client, 0, sent);
        client_expect_eof(client);
        assert_exits_0(daemon);
        close(client);
}

Test(drain, a_reload_meanwhile_does_no_harm)
{
        static const char format[] = "listeners = ( { port = %u; }%s );\n" FOREVER;
        uint16_t port = free_port();
        struct daemon *daemon = DAEMON("-c", scratch_write("echod.conf", format, port, ""));
        int client = client_enter(daemon->port);

        begin_drain(daemon, SIGTERM);
        scratch_write("echod.conf", format, port, ", " ANY_PORT);
        daemon_signal(daemon, SIGHUP);
        daemon_signal(daemon, SIGUSR1);
        daemon_await_log(daemon, "statistics ");
        client_echo(client, "still served");
        assert_refuses(port);
        client_half_close(client);
        client_expect_eof(client);
        assert_exits_0(daemon);
        close(client);
}

/* Whoever comes while the daemon is stopped is idle from the drain on, and not before it. */
Test(drain, idle_timeout_still_ends_a_silent_connection)
{
        struct daemon *daemon = DAEMON("-o", FOREVER, "-o", "idle_timeout = 0.5;");
        int client;

        stop_for_a_while(daemon);
        client = client_connect(daemon->port);
        await_queue(daemon->port, 1);
        daemon_signal(daemon, SIGTERM);
        daemon_signal(daemon, SIGCONT);
        daemon_await_log(daemon, "waiting 3600.000 s for 1 connections");
        client_expect_eof(client);
        assert_exits_0(daemon);
        close(client);
}

Test(drain, the_file_of_a_unix_socket_goes)
{
        const char *path = scratch_path("echod.sock");
        struct daemon *daemon = DAEMON("-o", scratch_listener("echod.sock"));

        cr_assert_eq(access(path, F_OK), 0);
        daemon_stop(daemon);
        cr_assert_neq(access(path, F_OK), 0);
}
