#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "connection_freeze.h"
#include "faults.h"
#include "poller.h"
#include "stage.h"
#include "util.h"
#include "worker.h"

TestSuite(worker_in_main_loop, .timeout = HANG_S);

static const struct address PEER = {.family = AF_UNIX};

/* A worker in a loop that the test turns itself. */
struct patio {
        uv_loop_t loop;
        struct poller poller;
        struct worker *worker;
        unsigned n_released;
        unsigned n_descriptors;
};

static void on_released(void *user)
{
        ((struct patio *)user)->n_released++;
}

static int start(struct patio *patio)
{
        const struct worker_options options = {
                .poller = &patio->poller,
                .read_buffer = 4096,
                .on_released = on_released,
                .user = patio,
        };

        return worker_start(&patio->worker, &options);
}

static void patio_open(struct patio *patio)
{
        *patio = (struct patio){0};
        warm_up();
        patio->n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&patio->loop), 0);
        cr_assert_eq(poller_init(&patio->poller, &patio->loop), 0);
        cr_assert_eq(start(patio), 0);
}

/* Once the worker has been stopped. */
static void patio_end(struct patio *patio)
{
        worker_run(patio->worker);
        poller_free(&patio->poller);
        worker_free(patio->worker);
        cr_assert_eq(uv_loop_close(&patio->loop), 0);
        cr_assert_eq(count_descriptors(), patio->n_descriptors);
        expect_no_leaks();
}

static void patio_close(struct patio *patio)
{
        worker_stop(patio->worker);
        patio_end(patio);
}

static int send_in(struct patio *patio, int descriptor)
{
        const struct arrival arrival = {descriptor, PEER, "patio", NULL};

        return worker_post(patio->worker, &arrival);
}

static int post(struct patio *patio)
{
        int pair[2];

        tcp_pair(pair);
        cr_assert_eq(send_in(patio, pair[1]), 0);
        return pair[0];
}

static void echo(struct patio *patio, int client, const char *text)
{
        size_t length = strlen(text);
        char answer[64];

        client_send(client, text, length);
        while (recv(client, answer, length, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)length)
                poller_turn(&patio->poller, false);
        cr_assert_eq(recv(client, answer, length, 0), (ssize_t)length);
        cr_assert_arr_eq(answer, text, length);
}

static void await_released(struct patio *patio, unsigned n)
{
        while (patio->n_released < n)
                poller_turn(&patio->poller, true);
}

static void start_and_end(void *user)
{
        struct patio *patio = user;
        int r = start(patio);

        cr_assert_eq(r < 0, faults_have_struck());
        if (r == 0) {
                worker_stop(patio->worker);
                worker_run(patio->worker);
                worker_free(patio->worker);
        }
        cr_assert(!uv_loop_alive(&patio->loop));
}

Test(worker_in_main_loop, each_call_that_fails_at_start_leaves_nothing)
{
        struct patio patio;

        warm_up();
        cr_assert_eq(uv_loop_init(&patio.loop), 0);
        cr_assert_eq(poller_init(&patio.poller, &patio.loop), 0);
        patio.n_descriptors = count_descriptors();
        faults_force_each(start_and_end, &patio);
        cr_assert_eq(count_descriptors(), patio.n_descriptors);
        poller_free(&patio.poller);
        cr_assert_eq(uv_loop_close(&patio.loop), 0);
        expect_no_leaks();
}

Test(worker_in_main_loop, opens_a_connection_as_soon_as_it_is_posted)
{
        struct patio patio;
        int client;

        patio_open(&patio);
        client = post(&patio);
        cr_assert_eq(stats_read(&worker_stats(patio.worker)->opened), 1);
        cr_assert_eq(worker_load(patio.worker), 1);
        echo(&patio, client, "served");
        close(client);
        await_released(&patio, 1);
        cr_assert_eq(worker_load(patio.worker), 0);
        patio_close(&patio);
}

/* But for the first two. */
Test(worker_in_main_loop, allocates_nothing_for_a_connection)
{
        struct patio patio;
        unsigned n_before;
        int first, second, pair[2];

        patio_open(&patio);
        first = post(&patio);
        second = post(&patio);
        tcp_pair(pair);
        n_before = faults_n_allocations();
        cr_assert_eq(send_in(&patio, pair[1]), 0);
        cr_assert_eq(faults_n_allocations(), n_before);
        close(first);
        close(second);
        close(pair[0]);
        await_released(&patio, 3);
        patio_close(&patio);
}

Test(worker_in_main_loop, a_post_that_cannot_be_taken_is_the_callers)
{
        struct patio patio;
        int pair[2];

        patio_open(&patio);
        tcp_pair(pair);
        faults_fail(FAULT_REALLOC, 1, 1, ENOMEM);
        cr_assert_eq(send_in(&patio, pair[1]), -ENOMEM);
        cr_assert_eq(worker_load(patio.worker), 0);
        cr_assert_eq(send_in(&patio, pair[1]), 0);
        echo(&patio, pair[0], "served");
        close(pair[0]);
        await_released(&patio, 1);
        patio_close(&patio);
}

static void expect_one_dropped_by(enum fault_target target)
{
        struct patio patio;
        int client;

        patio_open(&patio);
        faults_fail(target, 1, 1, ENOMEM);
        client = post(&patio);
        cr_assert(faults_have_struck());
        client_expect_reset(client);
        close(client);
        cr_assert_eq(patio.n_released, 1);
        cr_assert_eq(worker_load(patio.worker), 0);
        client = post(&patio);
        echo(&patio, client, "the next one is served");
        close(client);
        await_released(&patio, 2);
        patio_close(&patio);
}

Test(worker_in_main_loop, goes_on_when_a_connection_cannot_be_opened)
{
        expect_one_dropped_by(FAULT_MMAP);
        expect_one_dropped_by(FAULT_EPOLL_CTL);
        cr_assert_eq(faults_n_logged("connection dropped: "), 2);
}

Test(worker_in_main_loop, new_limits_reach_open_connections)
{
        struct patio patio;
        int client;

        patio_open(&patio);
        client = post(&patio);
        echo(&patio, client, "open");
        worker_set_limits(patio.worker, &(struct connection_limits){.idle_timeout_ms = 1});
        await_released(&patio, 1);
        cr_assert_eq(stats_read(&worker_stats(patio.worker)->closed[ECHO_IDLE_TIMEOUT]), 1);
        client_expect_eof(client);
        close(client);
        patio_close(&patio);
}

static void on_nothing(struct watch *watch, uint32_t events)
{
        (void)watch;
        (void)events;
}

static void on_removed(struct watch *watch)
{
        (void)watch;
}

/* In the main loop there are listeners; they are no connections. */
Test(worker_in_main_loop, limits_and_reset_reach_connections_and_nothing_else)
{
        struct watch watch = {.on_event = on_nothing, .on_removed = on_removed};
        struct patio patio;
        int open, later, other[2];

        patio_open(&patio);
        unix_pair(other);
        cr_assert_eq(poller_add(&patio.poller, &watch, other[0], EPOLLIN), 0);
        open = post(&patio);
        echo(&patio, open, "open");
        worker_set_limits(patio.worker, &(struct connection_limits){.idle_timeout_ms = 60000});
        worker_reset_all(patio.worker);
        client_expect_reset(open);
        await_released(&patio, 1);
        cr_assert_eq(stats_read(&worker_stats(patio.worker)->closed[ECHO_DRAIN]), 1);
        cr_assert_eq(watch.events, EPOLLIN);
        later = post(&patio);
        echo(&patio, later, "who comes later is served");
        close(open);
        close(later);
        await_released(&patio, 2);
        poller_remove(&patio.poller, &watch, other[0]);
        close(other[0]);
        close(other[1]);
        patio_close(&patio);
}

Test(worker_in_main_loop, a_ping_is_answered_at_once)
{
        struct patio patio;

        patio_open(&patio);
        worker_ping(patio.worker, 7);
        cr_assert_eq(worker_answer(patio.worker), 7);
        patio_close(&patio);
}

Test(worker_in_main_loop, what_was_frozen_goes_on)
{
        struct patio patio;
        struct list frozen;
        int client;

        patio_open(&patio);
        list_init(&frozen);
        client = post(&patio);
        echo(&patio, client, "before");
        cr_assert_eq(worker_freeze(patio.worker, &frozen), 0);
        cr_assert(list_is_linked(&frozen));
        await_released(&patio, 1);
        cr_assert_eq(
                worker_post(patio.worker, &CONTAINER_OF(frozen.next, struct frozen, link)->arrival),
                0);
        echo(&patio, client, "after");
        close(client);
        await_released(&patio, 2);
        patio_close(&patio);
}

Test(worker_in_main_loop, stop_resets_what_is_open)
{
        struct patio patio;
        int idle, stuck;

        patio_open(&patio);
        idle = post(&patio);
        echo(&patio, idle, "open");
        stuck = post(&patio);
        client_fill(stuck, 100);
        poller_turn(&patio.poller, true);
        worker_stop(patio.worker);
        cr_assert_eq(patio.n_released, 2);
        cr_assert_eq(worker_load(patio.worker), 0);
        client_expect_reset(idle);
        client_expect_reset(stuck);
        close(idle);
        close(stuck);
        patio_end(&patio);
}
