#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bypass.h"
#include "client.h"
#include "faults.h"
#include "stage.h"

#define CHUNK 32768 /* what a client sends at once to count as a stream */

TestSuite(bypass, .timeout = HANG_S);

/* A connection whose next turn takes the bypass. */
static int open_stream(struct stage *stage)
{
        unsigned n_before = faults_n_calls(FAULT_SPLICE_OUT);
        int client = stage_connect(stage);

        stage_exchange(stage, client, 4 * CHUNK, CHUNK);
        cr_assert_gt(faults_n_calls(FAULT_SPLICE_OUT), n_before);
        return client;
}

static void send_pattern(int client, uint64_t offset, size_t length, int flags)
{
        uint8_t bytes[CHUNK];

        for (size_t i = 0; i < length; i++)
                bytes[i] = client_pattern(offset + i);
        cr_assert_eq(send(client, bytes, length, flags | MSG_NOSIGNAL), (ssize_t)length);
}

Test(bypass, a_stream_comes_back_whole_and_is_neither_read_nor_written)
{
        unsigned n_reads, n_writes, n_spliced;
        struct stage stage;
        int client;

        stage_open(&stage);
        client = open_stream(&stage);
        n_reads = faults_n_calls(FAULT_READ);
        n_writes = faults_n_calls(FAULT_WRITE);
        n_spliced = faults_n_calls(FAULT_SPLICE_OUT);
        stage_exchange(&stage, client, 256 * CHUNK, CHUNK);
        cr_assert_geq(faults_n_calls(FAULT_SPLICE_OUT) - n_spliced, 100);
        cr_assert_lt(faults_n_calls(FAULT_READ) - n_reads, 50);
        cr_assert_lt(faults_n_calls(FAULT_WRITE) - n_writes, 50);
        cr_assert_eq(stats_read(&stage.stats.received_bytes), 260 * CHUNK);
        cr_assert_eq(stats_read(&stage.stats.sent_bytes), 260 * CHUNK);
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(bypass, messages_need_no_pipe)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        for (unsigned i = 0; i < 100; i++)
                stage_exchange(&stage, client, BYPASS_WORTHWHILE - 1, BYPASS_WORTHWHILE - 1);
        cr_assert_eq(faults_n_calls(FAULT_PIPE2), 0);
        cr_assert_eq(faults_n_calls(FAULT_SPLICE_IN), 0);
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(bypass, a_stream_that_has_become_messages_is_read_and_written_again)
{
        struct stage stage;
        unsigned n_spliced;
        int client;

        stage_open(&stage);
        client = open_stream(&stage);
        for (unsigned i = 0; i < BYPASS_TURNS; i++)
                stage_exchange(&stage, client, 64, 64);
        n_spliced = faults_n_calls(FAULT_SPLICE_IN);
        for (unsigned i = 0; i < 100; i++)
                stage_exchange(&stage, client, 64, 64);
        cr_assert_eq(faults_n_calls(FAULT_SPLICE_IN), n_spliced);
        stage_exchange(&stage, client, 4 * CHUNK, CHUNK);
        cr_assert_gt(faults_n_calls(FAULT_SPLICE_IN), n_spliced);
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(bypass, one_pipe_serves_all_connections)
{
        struct stage stage;
        int clients[10];

        stage_open(&stage);
        for (unsigned i = 0; i < 10; i++)
                clients[i] = open_stream(&stage);
        cr_assert_eq(faults_n_calls(FAULT_PIPE2), 1);
        for (unsigned i = 0; i < 10; i++)
                stage_finish(&stage, clients[i]);
        stage_close(&stage);
}

Test(bypass, delivers_everything_wherever_the_socket_stops_to_take)
{
        const size_t cuts[] = {0, 1, 1447, 4096, 4097, CHUNK - 1};
        struct stage stage;
        int client;

        stage_open(&stage);
        client = open_stream(&stage);
        for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
                unsigned n_spliced = faults_n_calls(FAULT_SPLICE_OUT);

                faults_cut_write(cuts[i]);
                stage_exchange(&stage, client, 2 * CHUNK, CHUNK);
                cr_assert_gt(faults_n_calls(FAULT_SPLICE_OUT), n_spliced);
                cr_assert_eq(stats_read(&stage.stats.pending_bytes), 0, "cut at %zu", cuts[i]);
        }
        faults_cut_writes(5000);
        stage_exchange(&stage, client, 64 * CHUNK, CHUNK);
        faults_clear();
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(bypass, half_close_behind_a_stream_that_nobody_reads_delivers_everything)
{
        struct stage stage;
        uint64_t sent;
        int client;

        stage_open(&stage);
        client = open_stream(&stage);
        sent = stage_fill(&stage, client);
        cr_assert_leq(stats_read(&stage.stats.pending_bytes), stage.context.buffer_size);
        client_half_close(client);
        stage_turn(&stage);
        stage_receive(&stage, client, 0, sent);
        stage_expect_end(&stage, client, 1);
        cr_assert_eq(stage_n_closed(&stage, ECHO_EOF), 1);
        stage_close(&stage);
}

Test(bypass, a_reset_in_mid_stream_ends_it)
{
        struct stage stage;
        int client, neighbour;

        stage_open(&stage);
        client = open_stream(&stage);
        neighbour = open_stream(&stage);
        stage_fill(&stage, client);
        client_abort(client);
        stage_await_closed(&stage, 1);
        cr_assert_eq(stage_n_closed(&stage, ECHO_RESET), 1);
        stage_exchange(&stage, neighbour, 64 * CHUNK, CHUNK);
        stage_finish(&stage, neighbour);
        stage_close(&stage);
}

/* splice(2) goes as far as the urgent byte, and there it says what it says at the end of input. */
static void expect_urgent_byte_in_place(size_t before)
{
        uint64_t already_sent;
        struct stage stage;
        int client;

        stage_open(&stage);
        client = open_stream(&stage);
        already_sent = stats_read(&stage.stats.sent_bytes);
        if (before > 0)
                send_pattern(client, 0, before, 0);
        send_pattern(client, before, 1, MSG_OOB);
        send_pattern(client, before + 1, CHUNK, 0);
        client_half_close(client);
        stage_await_closed(&stage, 1);
        cr_assert_eq(stage_n_closed(&stage, ECHO_EOF), 1);
        cr_assert_eq(stats_read(&stage.stats.sent_bytes) - already_sent, before + 1 + CHUNK);
        client_receive_pattern(client, 0, before + 1 + CHUNK);
        client_expect_eof(client);
        close(client);
        stage_close(&stage);
}

Test(bypass, urgent_bytes_stay_in_their_place)
{
        expect_urgent_byte_in_place(0);
        expect_urgent_byte_in_place(1);
        expect_urgent_byte_in_place(20000);
}

static void expect_detour(enum fault_target target, int error)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        faults_fail(target, 1, 10, error);
        stage_exchange(&stage, client, 64 * CHUNK, CHUNK);
        cr_assert(faults_have_struck());
        faults_clear();
        stage_finish(&stage, client);
        stage_close(&stage);
}

Test(bypass, what_cannot_be_spliced_is_read_and_written)
{
        const int refusals[] = {EINVAL, ENOSYS, EPERM, ENOMEM, EAGAIN, EINTR};

        expect_detour(FAULT_PIPE2, EMFILE);
        expect_detour(FAULT_PIPE2, ENFILE);
        expect_detour(FAULT_FCNTL, EPERM);
        for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
                expect_detour(FAULT_SPLICE_IN, refusals[i]);
                expect_detour(FAULT_SPLICE_OUT, refusals[i]);
        }
}

static void expect_end_by(enum fault_target target, int error, enum echo_reason reason)
{
        struct stage stage;
        int client, neighbour;

        stage_open(&stage);
        client = open_stream(&stage);
        neighbour = open_stream(&stage);
        if (target == FAULT_READ)
                faults_cut_write(1000); /* the rest is read out of the pipe */
        faults_fail(target, 1, 1, error);
        send_pattern(client, 0, CHUNK, 0);
        stage_expect_fault(&stage, client, error, reason);
        stage_exchange(&stage, neighbour, 8 * CHUNK, CHUNK);
        stage_finish(&stage, neighbour);
        stage_close(&stage);
}

Test(bypass, errors_reset_with_their_reason)
{
        expect_end_by(FAULT_SPLICE_IN, ECONNRESET, ECHO_RESET);
        expect_end_by(FAULT_SPLICE_IN, ETIMEDOUT, ECHO_ERROR);
        expect_end_by(FAULT_SPLICE_OUT, EPIPE, ECHO_RESET);
        expect_end_by(FAULT_SPLICE_OUT, ECONNRESET, ECHO_RESET);
        expect_end_by(FAULT_SPLICE_OUT, ENOBUFS, ECHO_ERROR);
        expect_end_by(FAULT_READ, EIO, ECHO_ERROR);
        expect_end_by(FAULT_READ, EAGAIN, ECHO_ERROR);
}

/* Whatever has come back by now must be this client's own letter. */
static size_t receive_own(int client, char letter)
{
        char bytes[CHUNK];
        ssize_t n = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT);

        for (ssize_t i = 0; i < n; i++)
                cr_assert_eq(bytes[i], letter, "somebody else's byte");
        return (size_t)MAX(n, 0);
}

static void send_own(int client, char letter)
{
        char bytes[CHUNK];

        memset(bytes, letter, sizeof(bytes));
        send(client, bytes, sizeof(bytes), MSG_NOSIGNAL);
}

static size_t cut;

/* A turn; returns how many bytes the two have got back by now. */
static size_t turn_for(struct stage *stage, int a, int b)
{
        stage_turn(stage);
        return receive_own(a, 'a') + receive_own(b, 'b');
}

/* Two streams by turns; one of their calls fails, and may end the one that it belongs to. */
static void run_two_streams(void *user)
{
        struct stage *stage = user;
        unsigned n_closed_before = stage->n_closed;
        size_t n_received = 0;
        int a, b;

        faults_postpone();
        a = open_stream(stage);
        b = open_stream(stage);
        faults_begin();
        for (unsigned round = 0; round < 2; round++) {
                faults_cut_write(cut);
                send_own(a, 'a');
                stage_turn(stage);
                send_own(b, 'b');
                n_received += turn_for(stage, a, b);
        }
        while (n_received < 4 * CHUNK && stage->n_closed == n_closed_before)
                n_received += turn_for(stage, a, b);
        for (unsigned i = 0; i < 100; i++)
                n_received += turn_for(stage, a, b); /* what the other one still gets */
        cr_assert_leq(stage->n_closed - n_closed_before, 1);
        cr_assert_leq(n_received, 4 * CHUNK);
        client_abort(a);
        client_abort(b);
        stage_await_closed(stage, n_closed_before + 2);
}

Test(bypass, no_byte_of_one_stream_reaches_another_whichever_call_fails)
{
        const size_t cuts[] = {0, 20000};
        struct stage stage;

        stage_open(&stage);
        for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
                cut = cuts[i];
                faults_force_each(run_two_streams, &stage);
        }
        cr_assert_gt(stage_n_closed(&stage, ECHO_ERROR), 0);
        cr_assert_gt(stage_n_closed(&stage, ECHO_RESET), 0);
        stage_close(&stage);
}

Test(bypass, moves_no_more_than_it_is_told)
{
        struct bypass bypass = BYPASS_NULL;
        char buffer[4096], answer[CHUNK];
        size_t n_in, n_out, n_total = 0;
        int pair[2];

        tcp_pair(pair);
        send_pattern(pair[0], 0, CHUNK, 0);
        await_bytes(pair[1], CHUNK);
        while (n_total < CHUNK) {
                cr_assert_eq(bypass_echo(&bypass, pair[1], buffer, sizeof(buffer), &n_in, &n_out),
                             0);
                cr_assert_leq(n_in, sizeof(buffer));
                cr_assert_eq(n_out, n_in);
                n_total += n_out;
        }
        cr_assert_eq(bypass_echo(&bypass, pair[1], buffer, sizeof(buffer), &n_in, &n_out),
                     BYPASS_NOTHING);
        client_receive(pair[0], answer, CHUNK);
        bypass_close(&bypass);
        bypass_close(&bypass);
        close(pair[0]);
        close(pair[1]);
}
