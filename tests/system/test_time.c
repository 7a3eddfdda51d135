/*
 * Timeouts: what each does, what puts it off, and that they cost nothing. How punctual they are
 * is seen in test_tutorials.c.
 */

#include <sys/param.h> /* MAX */

#include "observe.h"

/* Where a test is about what happens within a timeout, the machine has to let it happen. */
#define ATTEMPTS 3

/* What came of a chat, in ms. */
struct chat {
        uint64_t longest_pause;
        uint64_t span; /* from the first answer to when the last message was sent */
};

/*
 * Sends a message every 100 ms for so long. A pause longer than the timeout would be the machine's
 * fault, so that the test starts anew.
 */
static struct chat chat(int client, unsigned ms)
{
        uint64_t start = now_ms(), last = start, answered = 0, now;
        struct chat chat = {0};
        bool is_served = true;

        do {
                now = now_ms();
                chat.longest_pause = MAX(chat.longest_pause, now - last);
                if (now - start >= ms)
                        break;
                is_served = send(client, "x", 1, MSG_NOSIGNAL) == 1 &&
                            recv(client, &(char){0}, 1, 0) == 1;
                if (is_served)
                        last = now;
                if (answered == 0)
                        answered = now_ms();
                sleep_ms(100);
        } while (is_served);
        chat.longest_pause = MAX(chat.longest_pause, now_ms() - last);
        chat.span = last > answered ? last - answered : 0;
        return chat;
}

Test(time, idle_timeout_closes_with_a_regular_end)
{
        struct daemon *daemon = DAEMON("-o", "idle_timeout = 0.3; log_connections = true;");
        int client = enter_at_once(daemon, "and then nothing");

        client_expect_eof(client);
        cr_assert_geq(closed_after(daemon, "idle_timeout"), 0.3);
        close(client);
        daemon_stop(daemon);
}

Test(time, idle_timeout_starts_anew_with_every_byte)
{
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
                struct daemon *daemon = DAEMON("-o", "idle_timeout = 1; log_connections = true;");
                int client = client_connect(daemon->port);
                const struct chat had = chat(client, 2500);
                bool is_good = had.longest_pause <= 500;

                if (is_good) {
                        client_expect_eof(client);
                        /* The loop's clock may be some milliseconds behind. */
                        cr_assert_geq(closed_after(daemon, "idle_timeout"),
                                      1 + (double)had.span / 1e3 - 0.005);
                }
                close(client);
                daemon_stop(daemon);
                if (is_good)
                        return;
        }
        cr_skip_test("the machine is too busy");
}

Test(time, idle_timeout_spares_a_client_that_only_receives)
{
        struct daemon *daemon = DAEMON("-o", "idle_timeout = 3; write_timeout = 0;");
        int client = client_connect_with_buffer(daemon->port, 262144);
        uint64_t sent = 0, received = 0;

        fill_until_pending(daemon, &client, &sent, 1);
        /* The steps are large, so that echod's socket gets room with each. */
        while (received + sent / 8 < sent) {
                client_receive_pattern(client, received, sent / 8);
                received += sent / 8;
                sleep_ms(500);
        }
        client_receive_pattern(client, received, sent - received);
        client_echo(client, "still here");
        client_abort(client);
        daemon_stop(daemon);
}

Test(time, write_timeout_resets_a_client_that_never_reads)
{
        struct daemon *daemon = DAEMON("-o", "write_timeout = 1; log_connections = true;");
        int client = client_connect_with_buffer(daemon->port, 65536);

        stuff_until_reset(client);
        cr_assert_geq(closed_after(daemon, "write_timeout"), 1.0);
        close(client);
        daemon_stop(daemon);
}

Test(time, write_timeout_does_not_concern_a_client_that_is_merely_silent)
{
        struct daemon *daemon = DAEMON("-o", "write_timeout = 0.2;");
        int client = client_connect(daemon->port);

        client_echo(client, "before");
        cr_assert_not(client_is_readable(client, 1000));
        client_echo(client, "after");
        close(client);
        daemon_stop(daemon);
}

/* Some 160 kB/s: far less than what the kernel has to have sent before it lets echod write. */
Test(time, write_timeout_spares_a_reader_that_is_slow_but_steady)
{
        struct daemon *daemon = DAEMON("-o", "write_timeout = 3; log_connections = true;");
        int client = client_connect_with_buffer(daemon->port, 65536);
        uint64_t sent = 0, received = 0, start;

        fill_until_pending(daemon, &client, &sent, 1);
        start = now_ms();
        while (now_ms() - start < 5000 && received + 8192 < sent) {
                client_receive_pattern(client, received, 8192);
                received += 8192;
                sleep_ms(50);
        }
        client_receive_pattern(client, received, sent - received);
        client_half_close(client);
        client_expect_eof(client);
        cr_assert_gt(closed_after(daemon, "eof"), 5.0);
        close(client);
        daemon_stop(daemon);
}

Test(time, max_lifetime_closes_a_silent_client_with_a_regular_end)
{
        struct daemon *daemon = DAEMON("-o", "max_lifetime = 0.3; log_connections = true;");
        int client = client_connect(daemon->port);

        client_expect_eof(client);
        cr_assert_geq(closed_after(daemon, "max_lifetime"), 0.3);
        close(client);
        daemon_stop(daemon);
}

Test(time, max_lifetime_closes_a_client_however_busy)
{
        struct daemon *daemon = DAEMON("-o", "max_lifetime = 0.5; log_connections = true;");
        int client = client_connect(daemon->port);
        char byte = 'x';

        while (send(client, &byte, 1, MSG_NOSIGNAL) == 1 && recv(client, &byte, 1, 0) == 1)
                ;
        cr_assert_geq(closed_after(daemon, "max_lifetime"), 0.5);
        close(client);
        daemon_stop(daemon);
}

Test(time, at_max_lifetime_all_that_echod_says_it_sent_arrives)
{
        struct daemon *daemon = DAEMON("-o", "max_lifetime = 1; log_connections = true;");
        int client = client_connect(daemon->port);
        char bytes[16384];
        uint64_t received = 0, out;
        size_t position = 0;
        ssize_t n;

        stuff(client);
        sleep_ms(1200); /* it is past its time, and has output pending */
        while ((n = recv(client, bytes, sizeof(bytes), 0)) > 0) {
                received += (uint64_t)n;
                sleep_ms(1); /* so that echod closes while the kernel still holds much */
        }
        out = (uint64_t)value_in(await_line(daemon, &position, " reason=max_lifetime"), "out");
        cr_assert_eq(received, out, "%llu bytes of %llu", (unsigned long long)received,
                     (unsigned long long)out);
        close(client);
        daemon_stop(daemon);
}

Test(time, a_timeout_of_0_never_comes)
{
        struct daemon *daemon =
                DAEMON("-o", "idle_timeout = 0; write_timeout = 0; max_lifetime = 0;");
        int silent = client_connect(daemon->port), stuck = client_connect(daemon->port);

        client_echo(silent, "before");
        stuff(stuck);
        cr_assert_not(client_is_readable(silent, 2000));
        client_echo(silent, "after");
        cr_assert_eq(statistic(daemon, "connections"), 2);
        close(silent);
        client_abort(stuck);
        daemon_stop(daemon);
}

Test(time, a_drain_timeout_of_0_waits_for_nobody)
{
        struct daemon *daemon = DAEMON("-o", "drain_timeout = 0; log_connections = true;");
        int client = client_connect(daemon->port);

        client_echo(client, "before");
        daemon_signal(daemon, SIGTERM);
        client_expect_reset(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        cr_assert(daemon_has_logged(daemon, "reason=drain"));
        close(client);
        daemon_free(daemon);
}

Test(time, five_thousand_idle_clients_with_every_timeout_cost_next_to_no_cpu_time)
{
        enum { N = 5000 };
        static int clients[N];
        struct daemon *daemon;

        if (raise_file_limit() < N + 200)
                cr_skip_test("the limit on open files is too low");
        daemon = DAEMON("-o", "idle_timeout = 60; write_timeout = 30; max_lifetime = 600;");
        for (int i = 0; i < N; i++)
                clients[i] = client_connect(daemon->port);
        for (int i = 0; i < N; i++)
                client_echo(clients[i], "x");
        expect_idle(daemon, 2000, daemon_is_sanitized() ? 20 : 4);
        for (int i = 0; i < N; i++)
                client_abort(clients[i]);
        daemon_stop(daemon);
}
