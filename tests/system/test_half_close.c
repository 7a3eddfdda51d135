/*
 * The client shuts its sending side: it gets exactly the bytes it sent, and then the end.
 */

#include <sys/ioctl.h>

#include "observe.h"
#include "scratch.h"

#define READ_BUFFER 131072 /* the default */

TestSuite(half_close, .init = scratch_make, .fini = scratch_remove);

static void send_pattern(int socket, uint64_t length)
{
        uint8_t *bytes = malloc(length + 1);

        cr_assert_not_null(bytes);
        for (uint64_t i = 0; i < length; i++)
                bytes[i] = client_pattern(i);
        client_send(socket, bytes, length);
        free(bytes);
}

/* Expects what was sent, the end, and that the daemon has let the connection go. */
static void expect_all(struct daemon *daemon, int socket, uint64_t length)
{
        client_receive_pattern(socket, 0, length);
        client_expect_eof(socket);
        close(socket);
        await_statistic(daemon, "connections", 0);
}

Test(half_close, a_client_that_says_nothing_gets_the_end)
{
        struct daemon *daemon = DAEMON();
        int client = client_connect(daemon->port);

        client_half_close(client);
        expect_all(daemon, client, 0);
        daemon_stop(daemon);
}

Test(half_close, a_short_stream_of_every_length_comes_back_before_the_end)
{
        struct daemon *daemon = DAEMON();

        for (uint64_t length = 1; length <= 100; length++) {
                int client = client_connect(daemon->port);

                send_pattern(client, length);
                client_half_close(client);
                client_receive_pattern(client, 0, length);
                client_expect_eof(client);
                close(client);
        }
        daemon_stop(daemon);
}

Test(half_close, streams_about_as_long_as_a_read_come_back_whole)
{
        struct daemon *daemon = DAEMON();

        for (uint64_t n_reads = 1; n_reads <= 3; n_reads++) {
                for (uint64_t length = n_reads * READ_BUFFER - 2;
                     length <= n_reads * READ_BUFFER + 2; length++) {
                        int client = client_connect(daemon->port);

                        client_exchange(client, length, READ_BUFFER);
                        close(client);
                }
        }
        daemon_stop(daemon);
}

Test(half_close, hundreds_of_megabytes_come_back_before_the_end)
{
        const uint64_t length = daemon_is_sanitized() ? 4000000 : 300000000;
        struct daemon *daemon = DAEMON("-o", "workers = 1;");
        int client = client_connect(daemon->port);

        client_exchange(client, length, 1 << 20);
        close(client);
        await_statistic(daemon, "connections", 0);
        cr_assert_eq(statistic(daemon, "received_bytes"), length);
        cr_assert_eq(statistic(daemon, "sent_bytes"), length);
        cr_assert_eq(statistic(daemon, "closed_eof"), 1);
        daemon_stop(daemon);
}

Test(half_close, a_client_may_start_to_read_only_after_it)
{
        struct daemon *daemon = DAEMON();
        int client = client_connect(daemon->port);

        send_pattern(client, 100000);
        client_half_close(client);
        await_statistic(daemon, "closed_eof", 1);
        expect_all(daemon, client, 100000);
        daemon_stop(daemon);
}

Test(half_close, with_every_buffer_on_the_way_full_nothing_is_lost)
{
        struct daemon *daemon = DAEMON("-o", "write_timeout = 0;");
        int client = client_connect(daemon->port);
        uint64_t sent = 0;

        fill_until_pending(daemon, &client, &sent, 1);
        client_half_close(client);
        sleep_ms(QUIET_MS);
        expect_all(daemon, client, sent);
        daemon_stop(daemon);
}

Test(half_close, with_a_full_and_small_receive_window_nothing_is_lost)
{
        const uint64_t length = 60000; /* more than the window holds, less than echod's socket */
        struct daemon *daemon = DAEMON();
        int client = client_connect_with_buffer(daemon->port, 4096);
        int waiting = 0;

        send_pattern(client, length);
        client_half_close(client);
        await_statistic(daemon, "closed_eof", 1); /* the rest is the kernel's to deliver */
        cr_assert_eq(ioctl(client, FIONREAD, &waiting), 0);
        cr_assert_lt(waiting, (int)length, "the window was not full");
        expect_all(daemon, client, length);
        daemon_stop(daemon);
}

Test(half_close, on_a_unix_socket_full_buffers_come_back_before_the_end)
{
        const char *path = scratch_path("half.sock");
        struct daemon *daemon;
        uint64_t sent = 0;
        int client;

        daemon = DAEMON("-o", scratch_listener("half.sock"));
        client = client_connect_unix(path);
        fill_all(&client, &sent, 1);
        client_half_close(client);
        expect_all(daemon, client, sent);
        daemon_stop(daemon);
}

Test(half_close, a_crowd_that_half_closes_at_once_gets_everything)
{
        enum { N = 200, LENGTH = 5000 };
        struct daemon *daemon = DAEMON("-o", "workers = 2;");
        int clients[N];

        for (int i = 0; i < N; i++) {
                clients[i] = client_connect(daemon->port);
                send_pattern(clients[i], LENGTH);
        }
        for (int i = 0; i < N; i++)
                client_half_close(clients[i]);
        for (int i = 0; i < N; i++) {
                client_receive_pattern(clients[i], 0, LENGTH);
                client_expect_eof(clients[i]);
                close(clients[i]);
        }
        await_statistic(daemon, "closed_eof", N);
        daemon_stop(daemon);
}
