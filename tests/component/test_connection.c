#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "socket.h"
#include "stage.h"

TestSuite(connection, .timeout = HANG_S);

Test(connection, echoes_every_byte_in_order)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        stage_exchange(&stage, client, 8 << 20, 1 << 20);
        stage_finish(&stage, client);
        cr_assert_eq(stats_read(&stage.stats.received_bytes), 8 << 20);
        cr_assert_eq(stats_read(&stage.stats.sent_bytes), 8 << 20);
        cr_assert_eq(stage_n_closed(&stage, ECHO_EOF), 1);
        stage_close(&stage);
}

Test(connection, echoes_on_a_unix_socket)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect_unix(&stage);
        stage_exchange(&stage, client, 1 << 20, 100000);
        stage_finish(&stage, client);
        cr_assert_eq(stage_n_closed(&stage, ECHO_EOF), 1);
        stage_close(&stage);
}

Test(connection, survives_reads_of_every_size)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        for (size_t length = 1; length <= 64; length++) {
                faults_cut_reads(length);
                stage_exchange(&stage, client, 64, 64);
        }
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(connection, delivers_everything_when_a_write_is_cut_at_any_byte)
{
        const size_t length = 64;
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        for (size_t cut = 0; cut <= length; cut++) {
                faults_cut_write(cut);
                stage_exchange(&stage, client, length, length);
                cr_assert_eq(stats_read(&stage.stats.pending_bytes), 0, "after a cut at %zu", cut);
                faults_clear();
        }
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(connection, delivers_everything_when_every_write_is_cut)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect_unix(&stage);
        for (size_t cut = 1; cut <= 64; cut++) {
                faults_cut_writes(cut);
                stage_exchange(&stage, client, 200, 64);
                faults_clear();
        }
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(connection, half_close_delivers_pending_output_before_fin)
{
        for (size_t cut = 0; cut <= 16; cut++) {
                struct stage stage;
                int client;

                stage_open(&stage);
                client = stage_connect(&stage);
                faults_cut_write(cut);
                client_send(client, "sixteen bytes...", 16);
                client_half_close(client);
                stage_await_closed(&stage, 1);
                client_receive(client, (char[16]){0}, 16);
                client_expect_eof(client);
                cr_assert_eq(stage_n_closed(&stage, ECHO_EOF), 1);
                close(client);
                stage_close(&stage);
        }
}

Test(connection, half_close_with_a_full_window_delivers_everything)
{
        struct stage stage;
        uint64_t sent;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        sent = stage_fill(&stage, client);
        client_half_close(client);
        stage_turn(&stage);
        cr_assert_eq(stage.n_closed, 0);
        stage_receive(&stage, client, 0, sent);
        stage_expect_end(&stage, client, 1);
        cr_assert_eq(stage_n_closed(&stage, ECHO_EOF), 1);
        stage_close(&stage);
}

Test(connection, holds_at_most_one_read_for_a_peer_that_does_not_read)
{
        struct stage stage;
        uint64_t sent, received;
        unsigned n_reads;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        sent = stage_fill(&stage, client);
        cr_assert_leq(stats_read(&stage.stats.pending_bytes), stage.context.buffer_size);
        received = stats_read(&stage.stats.received_bytes);
        n_reads = faults_n_calls(FAULT_READ);
        for (int i = 0; i < 100; i++)
                stage_turn(&stage);
        cr_assert_eq(faults_n_calls(FAULT_READ), n_reads);
        cr_assert_eq(stats_read(&stage.stats.received_bytes), received);
        stage_receive(&stage, client, 0, sent);
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(connection, is_not_woken_while_a_peer_does_not_read)
{
        struct stage stage;
        unsigned n_writes;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        stage_fill(&stage, client);
        n_writes = faults_n_calls(FAULT_WRITE);
        for (int i = 0; i < 100; i++)
                stage_turn(&stage);
        cr_assert_eq(faults_n_calls(FAULT_WRITE), n_writes);
        client_abort(client);
        stage_await_closed(&stage, 1);
        stage_close(&stage);
}

Test(connection, peer_reset_ends_it)
{
        struct stage stage;

        stage_open(&stage);
        client_abort(stage_connect(&stage));
        stage_await_closed(&stage, 1);
        cr_assert_eq(stage_n_closed(&stage, ECHO_RESET), 1);
        stage_close(&stage);
}

Test(connection, peer_reset_with_pending_output_ends_it)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        stage_fill(&stage, client);
        client_abort(client);
        stage_await_closed(&stage, 1);
        cr_assert_eq(stage_n_closed(&stage, ECHO_RESET), 1);
        cr_assert_eq(stats_read(&stage.stats.pending_bytes), 0);
        stage_close(&stage);
}

Test(connection, peer_gone_before_the_echo_is_written_does_not_kill)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect_unix(&stage);
        client_send(client, "never to be read", 16);
        close(client);
        stage_await_closed(&stage, 1);
        cr_assert_eq(stage_n_closed(&stage, ECHO_RESET), 1);
        stage_close(&stage);
}

Test(connection, urgent_bytes_come_back_in_line)
{
        struct stage stage;
        char answer[7];
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        client_send(client, "abc", 3);
        cr_assert_eq(send(client, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
        client_send(client, "def", 3);
        stage_await(&stage, &stage.stats.sent_bytes, 7);
        client_receive(client, answer, 7);
        cr_assert_arr_eq(answer, "abc!def", 7);
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(connection, reset_all_resets_every_connection)
{
        struct stage stage;
        int idle, stuck, local;

        stage_open(&stage);
        stuck = stage_connect(&stage);
        stage_fill(&stage, stuck);
        idle = stage_connect(&stage);
        local = stage_connect_unix(&stage);
        connection_reset_all(&stage.context);
        connection_reset_all(&stage.context); /* the second time there are none left */
        stage_await_closed(&stage, 3);
        cr_assert_eq(stage_n_closed(&stage, ECHO_DRAIN), 3);
        client_expect_reset(idle);
        client_expect_reset(stuck);
        close(idle);
        close(stuck);
        close(local);
        stage_close(&stage);
}

Test(connection, refusal_is_a_reset)
{
        unsigned n_descriptors = count_descriptors();
        int pair[2];

        tcp_pair(pair);
        socket_reset(pair[1]);
        client_expect_reset(pair[0]);
        close(pair[0]);
        cr_assert_eq(count_descriptors(), n_descriptors);
}

static void echo_messages(struct stage *stage, int client, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                stage_exchange(stage, client, 64, 64);
}

/* libuv's own allocations are counted too. */
Test(connection, nothing_is_allocated_while_the_socket_takes_everything)
{
        struct stage stage;
        unsigned n_before, n_writes;
        int client;

        cr_assert_eq(uv_replace_allocator(malloc, realloc, calloc, free), 0);
        stage_open(&stage);
        connection_set_limits(&stage.context, &(struct connection_limits){
                                                      .idle_timeout_ms = 60000,
                                                      .write_timeout_ms = 60000,
                                                      .max_lifetime_ms = 3600000,
                                              });
        client = stage_connect(&stage);
        echo_messages(&stage, client, 1);
        n_before = faults_n_allocations();
        n_writes = faults_n_calls(FAULT_WRITE);
        cr_assert_gt(n_before, 0);
        echo_messages(&stage, client, 10000);
        cr_assert_eq(faults_n_allocations(), n_before);
        cr_assert_eq(faults_n_calls(FAULT_WRITE) - n_writes, 10000);
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(connection, a_closed_connections_memory_serves_the_next)
{
        struct stage stage;
        unsigned n_before;

        stage_open(&stage);
        stage_finish(&stage, stage_connect(&stage));
        n_before = faults_n_calls(FAULT_MMAP);
        for (int i = 0; i < 20; i++)
                stage_finish(&stage, stage_connect(&stage));
        cr_assert_eq(faults_n_calls(FAULT_MMAP), n_before);
        stage_close(&stage);
}

/* A client that has said something before anybody took its connection over. */
static int connect_and_say(struct stage *stage, const char *text)
{
        const struct address peer = {.family = AF_UNIX};
        int pair[2];

        tcp_pair(pair);
        client_send(pair[0], text, strlen(text));
        await_bytes(pair[1], strlen(text));
        cr_assert_eq(connection_open(&stage->context, &(struct arrival){pair[1], peer, "stage"}),
                     0);
        return pair[0];
}

Test(connection, what_is_there_when_it_is_taken_over_comes_back_without_a_turn)
{
        struct stage stage;
        char answer[5];
        int client;

        stage_open(&stage);
        client = connect_and_say(&stage, "hello");
        cr_assert_eq(stats_read(&stage.stats.sent_bytes), 5);
        client_receive(client, answer, 5);
        cr_assert_arr_eq(answer, "hello", 5);
        stage_exchange(&stage, client, 100, 100);
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(connection, a_client_that_has_gone_when_it_is_taken_over_is_no_surprise)
{
        struct stage stage;
        int pair[2];

        stage_open(&stage);
        for (int i = 0; i < 10; i++) {
                tcp_pair(pair);
                close(pair[0]);
                cr_assert_eq(
                        connection_open(&stage.context, &(struct arrival){.descriptor = pair[1],
                                                                          .listener = "stage"}),
                        0);
                stage_await_closed(&stage, (unsigned)i + 1);
        }
        cr_assert_eq(stage_n_closed(&stage, ECHO_EOF), 10);
        stage_close(&stage);
}

Test(connection, clients_that_are_silent_at_first_are_soon_not_asked_any_more)
{
        const unsigned n = 200;
        struct stage stage;
        unsigned n_before;
        int clients[200], speaker;

        stage_open(&stage);
        n_before = faults_n_calls(FAULT_READ);
        for (unsigned i = 0; i < n; i++)
                clients[i] = stage_connect(&stage);
        cr_assert_leq(faults_n_calls(FAULT_READ) - n_before, 8);
        for (unsigned i = 0; i < n; i++)
                stage_finish(&stage, clients[i]);
        speaker = connect_and_say(&stage, "x");
        stage_await(&stage, &stage.stats.sent_bytes, 1);
        client_receive(speaker, (char[1]){0}, 1);
        stage_finish(&stage, speaker);
        stage_close(&stage);
}
