/* Connections that are taken out of one loop and go on in another, as over a restart. */

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "connection_freeze.h"
#include "faults.h"
#include "frozen_clock.h"
#include "pending.h"
#include "stage.h"
#include "util.h"

TestSuite(connection_freeze, .timeout = HANG_S);
TestSuite(connection_freeze_timeouts, .timeout = HANG_S, .init = frozen_clock_begin,
          .fini = frozen_clock_end);

/* Everything that is on `from` goes to `to`; returns how many connections. */
static unsigned move(struct stage *from, struct stage *to)
{
        struct list frozen;
        unsigned n = 0;

        list_init(&frozen);
        cr_assert_eq(connection_freeze_all(&from->context, &frozen), 0);
        cr_assert_eq(stats_read(&from->stats.pending_bytes), 0);
        stage_turn(from);
        LIST_FOR_EACH_SAFE (node, following, &frozen) {
                struct frozen *one = CONTAINER_OF(node, struct frozen, link);

                list_unlink(node);
                cr_assert_eq(connection_open(&to->context, &one->arrival), 0);
                n++;
        }
        return n;
}

static void open_two(struct stage *first, struct stage *second)
{
        stage_open(first);
        stage_open(second);
}

/* The second one was opened with the first one open; both are closed by now. */
static void close_two(struct stage *first, struct stage *second)
{
        second->n_descriptors = first->n_descriptors;
        first->n_descriptors = count_descriptors(); /* checked below, with the second one's */
        connection_context_close(&first->context);
        while (poller_turn(&first->poller, true))
                ;
        poller_free(&first->poller);
        cr_assert_eq(uv_loop_close(&first->loop), 0);
        connection_context_free(&first->context);
        cr_assert_eq(stats_read(&first->stats.opened), first->n_closed);
        stage_close(second);
}

Test(connection_freeze, an_open_connection_goes_on)
{
        struct stage first, second;
        int client;

        open_two(&first, &second);
        client = stage_connect(&first);
        stage_exchange(&first, client, 1000, 100);
        cr_assert_eq(move(&first, &second), 1);
        stage_exchange(&second, client, 100000, 5000);
        stage_finish(&second, client);
        close_two(&first, &second);
}

Test(connection_freeze, a_unix_connection_goes_on)
{
        struct stage first, second;
        int client;

        open_two(&first, &second);
        client = stage_connect_unix(&first);
        cr_assert_eq(move(&first, &second), 1);
        stage_exchange(&second, client, 1000, 100);
        close(client);
        stage_await_closed(&second, 1);
        close_two(&first, &second);
}

Test(connection_freeze, pending_bytes_go_along_in_order)
{
        struct stage first, second;
        uint64_t sent;
        int client;

        open_two(&first, &second);
        client = stage_connect(&first);
        sent = stage_fill(&first, client);
        cr_assert_eq(move(&first, &second), 1);
        cr_assert_gt(stats_read(&second.stats.pending_bytes), 0);
        stage_receive(&second, client, 0, sent);
        cr_assert_eq(stats_read(&second.stats.pending_bytes), 0);
        stage_finish(&second, client);
        close_two(&first, &second);
}

/* Back and forth many times while a stream runs, with short writes all the time. */
Test(connection_freeze, a_stream_goes_on_however_often_it_moves)
{
        struct stage stages[2];
        uint8_t bytes[1000];
        uint64_t sent = 0;
        int client;

        open_two(&stages[0], &stages[1]);
        client = stage_connect(&stages[0]);
        faults_cut_writes(300);
        for (unsigned i = 0; i < 200; i++) {
                for (size_t j = 0; j < sizeof(bytes); j++)
                        bytes[j] = client_pattern(sent + j);
                client_send(client, bytes, sizeof(bytes));
                sent += sizeof(bytes);
                for (unsigned j = 0; j < i % 4; j++)
                        stage_turn(&stages[i % 2]);
                cr_assert_eq(move(&stages[i % 2], &stages[(i + 1) % 2]), 1);
        }
        faults_clear();
        stage_receive(&stages[0], client, 0, sent);
        client_half_close(client);
        while (stages[0].n_closed < stats_read(&stages[0].stats.opened))
                stage_turn(&stages[0]);
        client_expect_eof(client);
        close(client);
        close_two(&stages[0], &stages[1]);
}

Test(connection_freeze, the_end_of_input_that_came_meanwhile_is_found)
{
        struct stage first, second;
        struct list frozen;
        int client;

        open_two(&first, &second);
        client = stage_connect(&first);
        stage_turn(&first);
        list_init(&frozen);
        cr_assert_eq(connection_freeze_all(&first.context, &frozen), 0);
        client_send(client, "text", 4);
        client_half_close(client);
        stage_turn(&first);
        cr_assert(!client_is_readable(client, 20), "somebody still reads");
        cr_assert_eq(connection_open(&second.context,
                                     &CONTAINER_OF(frozen.next, struct frozen, link)->arrival),
                     0);
        stage_await_closed(&second, 1);
        client_receive(client, (char[4]){0}, 4);
        client_expect_eof(client);
        close(client);
        close_two(&first, &second);
}

Test(connection_freeze, a_reset_that_came_meanwhile_is_found)
{
        struct stage first, second;
        int client;

        open_two(&first, &second);
        client = stage_connect(&first);
        stage_exchange(&first, client, 10, 10);
        client_abort(client);
        cr_assert_eq(move(&first, &second), 1);
        stage_await_closed(&second, 1);
        cr_assert_eq(stage_n_closed(&second, ECHO_RESET), 1);
        close_two(&first, &second);
}

Test(connection_freeze, each_shortage_of_memory_leaves_all_where_they_were)
{
        struct stage stage;
        struct list frozen;
        int clients[3];

        stage_open(&stage);
        for (int i = 0; i < 3; i++)
                clients[i] = stage_connect(&stage);
        list_init(&frozen);
        for (unsigned nth = 1; nth <= 3; nth++) {
                faults_fail(FAULT_CALLOC, nth, 1, ENOMEM);
                cr_assert_eq(connection_freeze_all(&stage.context, &frozen), -ENOMEM);
                cr_assert(list_is_empty(&frozen));
        }
        faults_clear();
        for (int i = 0; i < 3; i++) {
                stage_exchange(&stage, clients[i], 100, 10);
                close(clients[i]);
        }
        stage_await_closed(&stage, 3);
        stage_close(&stage);
}

/* The socket of a connection that could not be taken up is still the caller's. */
Test(connection_freeze, what_cannot_be_taken_up_can_be_freed)
{
        struct stage stage;
        struct list frozen;
        struct frozen *one;
        uint64_t sent;
        int client;

        stage_open(&stage);
        client = stage_connect(&stage);
        sent = stage_fill(&stage, client);
        list_init(&frozen);
        cr_assert_eq(connection_freeze_all(&stage.context, &frozen), 0);
        stage_turn(&stage);
        one = CONTAINER_OF(frozen.next, struct frozen, link);
        faults_fail(FAULT_EPOLL_CTL, 1, 1, ENOSPC);
        cr_assert_eq(connection_open(&stage.context, &one->arrival), -ENOSPC);
        faults_clear();
        cr_assert_gt(sent, one->echo.pending);
        close(one->arrival.descriptor);
        connection_free_frozen(one);
        connection_free_frozen(NULL);
        close(client);
        stage_close(&stage);
}

static void set_limits(struct stage *first, struct stage *second,
                       const struct connection_limits *limits)
{
        connection_set_limits(&first->context, limits);
        connection_set_limits(&second->context, limits);
}

/* So much time passes; then the connection moves, which takes some, too. */
static void move_after(struct stage *first, struct stage *second, uint64_t ms)
{
        stage_advance(first, ms / 2);
        stage_advance(second, ms - ms / 2);
        cr_assert_eq(move(first, second), 1);
}

Test(connection_freeze_timeouts, idle_timeout_counts_from_the_last_byte_before)
{
        struct stage first, second;
        uint64_t due_ms;
        int client;

        open_two(&first, &second);
        set_limits(&first, &second, &(struct connection_limits){.idle_timeout_ms = 10000});
        client = stage_connect_unix(&first);
        due_ms = uv_now(&first.loop) + 10000;
        move_after(&first, &second, 9000);
        stage_expect_timeout(&second, due_ms, ECHO_IDLE_TIMEOUT);
        client_expect_eof(client);
        close(client);
        close_two(&first, &second);
}

Test(connection_freeze_timeouts, max_lifetime_counts_from_the_opening_before)
{
        struct stage first, second;
        uint64_t due_ms;
        int client;

        open_two(&first, &second);
        set_limits(&first, &second, &(struct connection_limits){.max_lifetime_ms = 10000});
        client = stage_connect(&first);
        due_ms = uv_now(&first.loop) + 10000;
        move_after(&first, &second, 9000);
        stage_expect_timeout(&second, due_ms, ECHO_MAX_LIFETIME);
        client_expect_eof(client);
        close(client);
        close_two(&first, &second);
}

Test(connection_freeze_timeouts, write_timeout_counts_from_the_last_progress_before)
{
        struct stage first, second;
        uint64_t active_ms;
        int client;

        open_two(&first, &second);
        set_limits(&first, &second, &(struct connection_limits){.write_timeout_ms = 10000});
        client = stage_connect_unix(&first);
        stage_fill(&first, client);
        /* The first look at what the kernel holds counts as progress. */
        stage_advance(&first, 100);
        active_ms = uv_now(&first.loop);
        move_after(&first, &second, 9000);
        stage_expect_timeout(&second, active_ms + 10000, ECHO_WRITE_TIMEOUT);
        close(client);
        close_two(&first, &second);
}

Test(connection_freeze_timeouts, one_that_flushes_goes_on_to_its_end)
{
        struct stage first, second;
        uint64_t sent;
        int client;

        open_two(&first, &second);
        set_limits(&first, &second, &(struct connection_limits){.max_lifetime_ms = 10000});
        client = stage_connect_unix(&first);
        sent = stage_fill(&first, client);
        move_after(&first, &second, 11000);
        cr_assert_eq(second.n_closed, 0);
        stage_advance(&second, 100);
        /* It reads no more: what was read comes back, and then the end. */
        sent = stats_read(&first.stats.received_bytes);
        stage_receive(&second, client, 0, sent);
        while (second.n_closed == 0) {
                stage_advance(&second, 100);
        }
        client_expect_eof(client);
        close(client);
        cr_assert_eq(stage_n_closed(&second, ECHO_MAX_LIFETIME), 1);
        close_two(&first, &second);
}

Test(connection_freeze_timeouts, one_that_lingers_goes_on_to_its_end)
{
        struct stage first, second;
        int client;

        open_two(&first, &second);
        set_limits(&first, &second, &(struct connection_limits){.max_lifetime_ms = 10000});
        client = stage_connect_unix(&first);
        client_send(client, "text", 4);
        stage_await(&first, &first.stats.sent_bytes, 4);
        move_after(&first, &second, 11000);
        /* Its end has been said on one of the two, and the client has not read. */
        stage_advance(&second, 100);
        cr_assert_eq(move(&second, &first), 1);
        cr_assert_eq(second.n_closed, 1, "it has left");
        client_receive(client, (char[4]){0}, 4);
        client_expect_eof(client);
        while (first.n_closed < 2) {
                stage_advance(&first, 100);
        }
        close(client);
        cr_assert_eq(stage_n_closed(&first, ECHO_MAX_LIFETIME), 1);
        close_two(&first, &second);
}
