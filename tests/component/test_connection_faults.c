#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "stage.h"

TestSuite(connection_faults, .timeout = HANG_S);

static void init_context(void *user)
{
        struct poller *poller = user;
        struct connection_context context;
        struct stats stats = {0};
        int r = connection_context_init(&context, poller, 4096, &stats);

        cr_assert_eq(r < 0, faults_have_struck());
        if (r == 0)
                connection_context_close(&context);
        cr_assert(!poller_turn(poller, true), "something is left in the loop");
        if (r == 0)
                connection_context_free(&context);
}

Test(connection_faults, a_context_that_cannot_be_had_leaves_nothing)
{
        struct poller poller;
        uv_loop_t loop;

        cr_assert_eq(uv_loop_init(&loop), 0);
        cr_assert_eq(poller_init(&poller, &loop), 0);
        faults_force_each(init_context, &poller);
        poller_free(&poller);
        cr_assert_eq(uv_loop_close(&loop), 0);
        expect_no_leaks();
}

/* On failure the descriptor is still the caller's; where it was taken, it ends with a reset. */
static void open_and_echo(void *user)
{
        struct stage *stage = user;
        const struct address peer = {.family = AF_UNIX};
        unsigned n_closed_before = stage->n_closed;
        int pair[2], r;

        unix_pair(pair);
        r = connection_open(&stage->context, &(struct arrival){pair[1], peer, "stage"});
        if (r < 0) {
                cr_assert(faults_have_struck());
                cr_assert_eq(close(pair[1]), 0);
        } else {
                send(pair[0], "text", 4, MSG_NOSIGNAL);
                shutdown(pair[0], SHUT_WR);
                stage_await_closed(stage, n_closed_before + 1);
        }
        close(pair[0]);
}

Test(connection_faults, each_call_that_fails_ends_no_more_than_its_connection)
{
        struct stage stage;

        stage_open(&stage);
        faults_force_each(open_and_echo, &stage);
        cr_assert_gt(stage_n_closed(&stage, ECHO_EOF), 0);
        cr_assert_eq(stage_n_closed(&stage, ECHO_ERROR), 3, "2 reads, the write");
        stage_close(&stage);
}

/* The same, with the output cut: there is a copy to allocate, and the watch changes twice. */
static void open_and_echo_in_two_parts(void *user)
{
        faults_cut_write(2);
        open_and_echo(user);
}

Test(connection_faults, each_call_that_fails_with_pending_output_leaves_nothing)
{
        struct stage stage;

        stage_open(&stage);
        faults_force_each(open_and_echo_in_two_parts, &stage);
        /* read: 2, write: 3, the copy, epoll_ctl: 2 */
        cr_assert_eq(stage_n_closed(&stage, ECHO_ERROR), 8);
        stage_close(&stage);
}

static void expect_end_by(enum fault_target target, int error, enum echo_reason reason)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        faults_fail(target, 1, 1, error);
        client_send(client, "text", 4);
        stage_expect_fault(&stage, client, error, reason);
        stage_close(&stage);
}

Test(connection_faults, read_and_write_errors_reset_with_their_reason)
{
        expect_end_by(FAULT_READ, ECONNRESET, ECHO_RESET);
        expect_end_by(FAULT_READ, ETIMEDOUT, ECHO_ERROR);
        expect_end_by(FAULT_READ, EIO, ECHO_ERROR);
        expect_end_by(FAULT_WRITE, ECONNRESET, ECHO_RESET);
        expect_end_by(FAULT_WRITE, EPIPE, ECHO_RESET);
        expect_end_by(FAULT_WRITE, ENOBUFS, ECHO_ERROR);
}

static void expect_no_harm_by(enum fault_target target, unsigned nth, int error)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        faults_cut_write(3);
        faults_fail(target, nth, 5, error);
        stage_exchange(&stage, client, 64, 64);
        faults_clear();
        stage_finish(&stage, client);
        cr_assert_eq(stage_n_closed(&stage, ECHO_EOF), 1);
        stage_close(&stage);
}

Test(connection_faults, eintr_and_eagain_do_no_harm)
{
        const int errors[] = {EINTR, EAGAIN};

        for (size_t i = 0; i < 2; i++) {
                for (unsigned nth = 1; nth <= 3; nth++) {
                        expect_no_harm_by(FAULT_READ, nth, errors[i]);
                        expect_no_harm_by(FAULT_WRITE, nth, errors[i]);
                }
        }
}

Test(connection_faults, out_of_memory_for_pending_output_resets)
{
        struct stage stage;
        int client, neighbour;

        stage_open(&stage);
        client = stage_connect(&stage);
        neighbour = stage_connect(&stage);
        faults_cut_write(2);
        faults_fail(FAULT_MALLOC, 1, 1, ENOMEM);
        client_send(client, "text", 4);
        stage_expect_fault(&stage, client, ENOMEM, ECHO_ERROR);
        cr_assert_eq(stats_read(&stage.stats.sent_bytes), 2);
        cr_assert_eq(stats_read(&stage.stats.pending_bytes), 0);
        stage_exchange(&stage, neighbour, 1000, 100);
        client_abort(neighbour);
        stage_await_closed(&stage, 2);
        stage_close(&stage);
}

static void expect_reset_when_the_watch_fails(unsigned nth)
{
        struct stage stage;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        faults_cut_write(2);
        faults_fail(FAULT_EPOLL_CTL, nth, 1, ENOMEM);
        client_send(client, "text", 4);
        stage_expect_fault(&stage, client, ENOMEM, ECHO_ERROR);
        stage_close(&stage);
}

Test(connection_faults, a_watch_that_cannot_be_changed_resets)
{
        expect_reset_when_the_watch_fails(1); /* from input to room */
        expect_reset_when_the_watch_fails(2); /* and back */
}

Test(connection_faults, a_pending_write_that_fails_resets)
{
        const struct {
                int error;
                enum echo_reason reason;
        } cases[] = {{EPIPE, ECHO_RESET}, {ECONNRESET, ECHO_RESET}, {EIO, ECHO_ERROR}};

        for (size_t i = 0; i < 3; i++) {
                struct stage stage;
                int client;

                stage_open(&stage);
                client = stage_connect(&stage);
                faults_cut_write(2);
                faults_fail(FAULT_WRITE, 2, 1, cases[i].error);
                client_send(client, "text", 4);
                stage_expect_fault(&stage, client, cases[i].error, cases[i].reason);
                stage_close(&stage);
        }
}
