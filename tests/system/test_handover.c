/* USR2: the next echod takes over in the same process, and nobody notices. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "echoc.h"
#include "observe.h"
#include "port.h"
#include "reload.h"
#include "restart.h"
#include "scratch.h"

#define N_RESTARTS 10
#define N_IDLE     5000

TestSuite(handover, .init = scratch_make, .fini = scratch_remove);

Test(handover, an_open_connection_goes_on_in_the_same_process)
{
        struct daemon *daemon = DAEMON();
        int client = client_enter(daemon->port);

        for (int i = 0; i < 3; i++) {
                restart(daemon);
                client_echo(client, "after");
        }
        cr_assert_eq(daemon_count_log(daemon, "took over 1 connections"), 3);
        cr_assert_eq(kill(daemon->pid, 0), 0);
        client_half_close(client);
        client_expect_eof(client);
        close(client);
        daemon_stop(daemon);
}

Test(handover, what_was_suppressed_until_then_is_said)
{
        struct daemon *daemon = DAEMON("-o", "deny = [ \"127.0.0.2\" ];");

        for (unsigned i = 0; i < 13; i++) {
                int refused = client_connect_from("127.0.0.2", daemon->port);

                client_expect_reset(refused);
                close(refused);
        }
        restart(daemon);
        cr_assert(daemon_has_logged(daemon, "3 more lines about refused clients suppressed"));
        daemon_stop(daemon);
}

Test(handover, nothing_is_left_open_by_a_restart)
{
        struct daemon *daemon = DAEMON("-o", "workers = 2;");
        int client = client_connect(daemon->port);
        unsigned n;

        client_echo(client, "before");
        restart(daemon);
        client_echo(client, "after");
        n = daemon_count_descriptors(daemon);
        for (int i = 0; i < 3; i++)
                restart(daemon);
        client_echo(client, "after");
        await_descriptors(daemon, n);
        close(client);
        await_descriptors(daemon, n - 1);
        daemon_stop(daemon);
}

/* Waits until a worker holds bytes that its client does not take. */
static void await_pending(struct daemon *daemon)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        while (statistic(daemon, "pending_bytes") == 0) {
                cr_assert_lt(now_ms(), deadline, "nothing is pending");
                sleep_ms(10);
        }
}

Test(handover, output_that_nobody_takes_yet_goes_along)
{
        struct daemon *daemon = DAEMON();
        int client = connect_narrow(daemon->port);
        uint64_t sent = 0;

        fill_until_pending(daemon, &client, &sent, 1);
        restart(daemon);
        await_pending(daemon);
        restart(daemon);
        client_half_close(client);
        client_receive_pattern(client, 0, sent);
        client_expect_eof(client);
        close(client);
        daemon_stop(daemon);
}

Test(handover, a_verified_stream_passes_through_ten_restarts)
{
        struct daemon *daemon = DAEMON("-o", "workers = 2;");
        pid_t bulk = START_ECHOC("--load", "--bulk", "-n", "4", "-t", "3600", "127.0.0.1",
                                 port_text(daemon->port));
        int status;

        for (int i = 0; i < N_RESTARTS; i++) {
                await_statistic(daemon, "connections", 4);
                restart(daemon);
        }
        cr_assert_eq(waitpid(bulk, &status, WNOHANG), 0, "the stream ended too early");
        cr_assert_eq(kill(bulk, SIGINT), 0); /* as if the time were over */
        cr_assert_eq(waitpid(bulk, &status, 0), bulk);
        cr_assert_eq(status, 0, "echoc: %d", status);
        cr_assert_eq(daemon_count_log(daemon, "took over 4 connections"), N_RESTARTS);
        daemon_stop(daemon);
}

Test(handover, five_thousand_idle_connections_pass_through_ten_restarts)
{
        struct daemon *daemon;
        int *clients = calloc(N_IDLE, sizeof(*clients));

        cr_assert_not_null(clients);
        if (raise_file_limit() < N_IDLE + 200)
                cr_skip_test("the limit on open files is too low");
        daemon = DAEMON();
        for (int i = 0; i < N_IDLE; i++)
                clients[i] = client_connect(daemon->port);
        await_statistic(daemon, "connections", N_IDLE);
        for (int i = 0; i < N_RESTARTS; i++)
                restart(daemon);
        await_statistic(daemon, "connections", N_IDLE);
        for (int i = 0; i < N_IDLE; i++)
                client_send(clients[i], &i, sizeof(i));
        for (int i = 0; i < N_IDLE; i++) {
                int answer;

                client_receive(clients[i], &answer, sizeof(answer));
                cr_assert_eq(answer, i);
                close(clients[i]);
        }
        await_statistic(daemon, "connections", 0);
        cr_assert_eq(daemon_count_log(daemon, " error: "), 0);
        free(clients);
        daemon_stop(daemon);
}

/* Clients that come and go in a thread of their own, where Criterion's assertions must not be. */
struct visitors {
        pthread_t thread;
        uint16_t port;
        atomic_bool must_stop;
        atomic_uint n_served;
        int error;
};

static int visit(uint16_t port)
{
        const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
        const struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;
        char answer[4];

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        errno = EPIPE;
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            send(fd, "text", 4, MSG_NOSIGNAL) != 4 ||
            recv(fd, answer, sizeof(answer), MSG_WAITALL) != 4)
                error = errno;
        close(fd);
        return error;
}

static void *run_visitors(void *user)
{
        struct visitors *visitors = user;

        while (!atomic_load(&visitors->must_stop) && visitors->error == 0) {
                visitors->error = visit(visitors->port);
                atomic_fetch_add(&visitors->n_served, 1);
        }
        return NULL;
}

Test(handover, whoever_comes_meanwhile_is_served)
{
        struct daemon *daemon = DAEMON();
        struct visitors visitors = {.port = daemon->port};

        cr_assert_eq(pthread_create(&visitors.thread, NULL, run_visitors, &visitors), 0);
        for (int i = 0; i < N_RESTARTS; i++) {
                unsigned n = atomic_load(&visitors.n_served);

                while (atomic_load(&visitors.n_served) < n + 10 && visitors.error == 0)
                        sleep_ms(1);
                restart(daemon);
        }
        atomic_store(&visitors.must_stop, true);
        pthread_join(visitors.thread, NULL);
        cr_assert_eq(visitors.error, 0, "after %u: %s", visitors.n_served,
                     strerror(visitors.error));
        daemon_stop(daemon);
}

Test(handover, unix_sockets_stay_where_they_are)
{
        const char *path = scratch_path("socket");
        struct stat before, after;
        struct daemon *daemon;
        char option[300];
        int client;

        snprintf(option, sizeof(option), "listeners = ( { address = \"%s\"; }, " ANY_PORT " );",
                 path);
        daemon = DAEMON("-o", option);
        client = client_connect_unix(path);
        client_echo(client, "before");
        cr_assert_eq(stat(path, &before), 0);
        restart(daemon);
        client_echo(client, "after");
        cr_assert_eq(stat(path, &after), 0);
        cr_assert_eq(after.st_ino, before.st_ino);
        close(client);
        client = client_connect_unix(path);
        client_echo(client, "new");
        close(client);
        daemon_stop(daemon);
        cr_assert_eq(stat(path, &after), -1, "the socket's file is left");
}

/* Half of the time passes before the restart, which has the other half to come about. */
static double measure_idle_lateness(void)
{
        struct daemon *daemon = DAEMON("-o", "idle_timeout = 3; log_connections = true;");
        int client = client_connect(daemon->port);
        double lateness;

        sleep_ms(1500);
        restart(daemon);
        client_expect_eof(client);
        lateness = closed_after(daemon, "idle_timeout") - 3;
        cr_assert_geq(lateness, -0.01, "too early");
        close(client);
        daemon_stop(daemon);
        return lateness;
}

Test(handover, idle_timeout_goes_on)
{
        expect_punctual("idle_timeout", measure_idle_lateness);
}

/* Half of the header is with the earlier echod; a restart comes in the middle, and another one when
 * it is complete. */
Test(handover, whoever_has_not_said_yet_who_he_is_goes_along)
{
        struct daemon *daemon = DAEMON(
                "-o", "log_connections = true; proxy_sources = [ \"127.0.0.1\" ];", "-o",
                "listeners = ( { address = \"127.0.0.1\"; port = 0; proxy_protocol = true; } );");
        int silent = client_connect(daemon->port), talking = client_connect(daemon->port);

        client_send(talking, "PROXY TCP4 192.0.2.1", 20);
        await_statistic(daemon, "awaiting_header", 2);
        restart(daemon);
        cr_assert(daemon_has_logged(daemon, "took over 2 connections"), "%s", daemon->log);
        client_send(talking, " 192.0.2.7 51000 7\r\n", 20);
        client_echo(talking, "hello");
        restart(daemon);
        client_echo(talking, "again");
        client_send(silent, "PROXY TCP4 192.0.2.2 192.0.2.7 51000 7\r\n", 40);
        client_echo(silent, "hello");
        close(talking);
        daemon_await_log(daemon, "closed peer=192.0.2.1:51000 ");
        close(silent);
        daemon_stop(daemon);
}

Test(handover, counters_of_a_connection_go_on)
{
        struct daemon *daemon = DAEMON("-o", "log_connections = true;");
        int client = client_connect(daemon->port);
        size_t position = 0;
        const char *line;

        client_echo(client, "before");
        restart(daemon);
        client_echo(client, "after");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
        line = await_line(daemon, &position, " closed peer=");
        cr_assert(value_in(line, "in") == 11 && value_in(line, "out") == 11, "%.300s", line);
        daemon_stop(daemon);
}

Test(handover, a_changed_configuration_is_in_force_afterwards)
{
        const char *file = scratch_write("conf", "workers = 2; max_connections = 1;\n"
                                                 "listeners = ( " ANY_PORT " );\n");
        struct daemon *daemon = DAEMON("-c", file);
        int client = client_enter(daemon->port), other;

        scratch_write("conf", "workers = 1; max_connections = 2; read_buffer = 4096;\n"
                              "listeners = ( " ANY_PORT " );\n");
        restart(daemon);
        daemon_await_log(daemon, "workers=1 max_connections=2 ");
        client_exchange(client, 100000, 10000);
        other = client_connect(daemon->port);
        client_echo(other, "has room");
        close(client);
        close(other);
        daemon_stop(daemon);
}

/* Those who are open count, so that the next one waits. */
Test(handover, those_who_are_open_count)
{
        struct daemon *daemon = DAEMON("-o", "max_connections = 2;");
        int clients[3];

        for (int i = 0; i < 2; i++) {
                clients[i] = client_connect(daemon->port);
                client_echo(clients[i], "before");
        }
        restart(daemon);
        clients[2] = client_connect(daemon->port);
        client_send(clients[2], "wait", 4);
        cr_assert(!client_is_readable(clients[2], 200), "one too many");
        close(clients[0]);
        client_receive(clients[2], (char[4]){0}, 4);
        close(clients[1]);
        close(clients[2]);
        daemon_stop(daemon);
}

#define PORT "{ address = \"127.0.0.1\"; port = %u; }"

/* A listener that cannot be opened is no reason to lose those who are there. */
Test(handover, a_new_listener_whose_address_is_taken_is_left_out)
{
        const char *file = scratch_write("conf", "listeners = ( " ANY_PORT " );\n");
        struct daemon *daemon = DAEMON("-c", file), *other;
        int client = client_enter(daemon->port);
        uint16_t port = free_port();

        other = DAEMON("-c", scratch_write("other.conf", "listeners = ( " PORT " );\n", port));
        scratch_write("conf", "listeners = ( " ANY_PORT ", " PORT " );\n", port);
        restart(daemon);
        daemon_await_log(daemon, "Address already in use; going on without it");
        client_echo(client, "after");
        assert_serves(daemon->port);
        reload_in_vain(daemon);
        daemon_stop(other);
        reload(daemon);
        client_echo(client, "and now");
        close(client);
        daemon_stop(daemon);
}

Test(handover, a_listener_that_is_gone_closes)
{
        uint16_t stays = free_port(), goes = free_port();
        const char *file =
                scratch_write("conf", "listeners = ( " PORT ", " PORT " );\n", stays, goes);
        struct daemon *daemon = DAEMON("-c", file);
        int client = client_enter(goes);

        scratch_write("conf", "listeners = ( " PORT " );\n", stays);
        restart(daemon);
        client_echo(client, "after");
        assert_refuses(goes);
        assert_serves(stays);
        close(client);
        daemon_stop(daemon);
}
