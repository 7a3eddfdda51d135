#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "pool.h"
#include "stage.h"
#include "util.h"
#include "worker.h"

TestSuite(pool, .timeout = HANG_S);

static const struct address PEER = {.family = AF_UNIX};

struct basin {
        uv_loop_t loop;
        struct pool pool;
        unsigned n_releases; /* calls of on_release */
        unsigned n_descriptors;
};

static void on_release(void *user)
{
        ((struct basin *)user)->n_releases++;
}

static int start(struct basin *basin, size_t n_workers)
{
        return pool_start(&basin->pool, &basin->loop, n_workers, 4096,
                          &(struct connection_limits){0}, on_release, basin);
}

static void basin_open(struct basin *basin, size_t n_workers)
{
        *basin = (struct basin){0};
        warm_up();
        basin->n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&basin->loop), 0);
        cr_assert_eq(start(basin, n_workers), 0);
}

static void close_loop(struct basin *basin)
{
        uv_run(&basin->loop, UV_RUN_DEFAULT);
        cr_assert_eq(uv_loop_close(&basin->loop), 0);
        pool_free(&basin->pool);
        cr_assert_eq(count_descriptors(), basin->n_descriptors);
        expect_no_leaks();
}

static void basin_close(struct basin *basin)
{
        pool_stop(&basin->pool);
        close_loop(basin);
}

static int post(struct basin *basin)
{
        int pair[2];

        tcp_pair(pair);
        cr_assert_eq(pool_post(&basin->pool, &(struct arrival){pair[1], PEER, "basin"}), 0);
        return pair[0];
}

/* Waits, as the server does, until the load is no more than so many. */
static void await_load(struct basin *basin, uint64_t load)
{
        for (;;) {
                pool_await_release(&basin->pool);
                if (pool_load(&basin->pool) <= load)
                        return;
                poller_turn(&basin->pool.poller, true);
        }
}

static void start_and_stop(struct basin *basin, size_t n_workers)
{
        int r = start(basin, n_workers);

        cr_assert_eq(r < 0, faults_have_struck());
        if (r == 0)
                pool_stop(&basin->pool);
        uv_run(&basin->loop, UV_RUN_DEFAULT);
        cr_assert(!uv_loop_alive(&basin->loop));
        pool_free(&basin->pool);
}

static void start_and_stop_three(void *user)
{
        start_and_stop(user, 3);
}

static void start_and_stop_one(void *user)
{
        start_and_stop(user, 1);
}

Test(pool, each_call_that_fails_at_start_leaves_nothing)
{
        struct basin basin = {0};

        warm_up();
        basin.n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&basin.loop), 0);
        faults_force_each(start_and_stop_three, &basin);
        faults_force_each(start_and_stop_one, &basin);
        close_loop(&basin);
}

Test(pool, each_connection_goes_to_the_least_loaded_worker)
{
        struct basin basin;
        int clients[9];

        basin_open(&basin, 3);
        for (int i = 0; i < 9; i++) {
                clients[i] = post(&basin);
                for (int j = 0; j < 3; j++) {
                        uint64_t load = worker_load(basin.pool.workers[j]);

                        cr_assert(load == (uint64_t)(i + 1) / 3 || load == (uint64_t)(i + 3) / 3);
                }
        }
        /* The second worker has the clients 1, 4 and 7. */
        close(clients[1]);
        close(clients[4]);
        await_load(&basin, 7);
        cr_assert_eq(worker_load(basin.pool.workers[1]), 1);
        clients[1] = post(&basin);
        clients[4] = post(&basin);
        for (int j = 0; j < 3; j++)
                cr_assert_eq(worker_load(basin.pool.workers[j]), 3);
        for (int i = 0; i < 9; i++) {
                client_echo(clients[i], "served");
                close(clients[i]);
        }
        basin_close(&basin);
}

/* Turns the main loop, on which a single worker lives, until the client has its answer. */
static void echo(struct basin *basin, int client, const char *text)
{
        size_t length = strlen(text);
        char answer[64];

        client_send(client, text, length);
        while (recv(client, answer, length, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)length)
                poller_turn(&basin->pool.poller, false);
        cr_assert_eq(recv(client, answer, length, 0), (ssize_t)length);
        cr_assert_arr_eq(answer, text, length);
}

static void expect_releases(size_t n_workers)
{
        struct basin basin;
        int clients[4];

        basin_open(&basin, n_workers);
        for (int i = 0; i < 4; i++) {
                clients[i] = post(&basin);
                echo(&basin, clients[i], "open");
        }
        for (unsigned i = 0; i < 4; i++) {
                pool_await_release(&basin.pool);
                close(clients[i]);
                while (basin.n_releases < i + 1)
                        poller_turn(&basin.pool.poller, true);
                poller_turn(&basin.pool.poller, false);
                cr_assert_eq(basin.n_releases, i + 1);
        }
        basin_close(&basin);
}

Test(pool, release_is_told_once_for_each_time_it_was_asked_for)
{
        expect_releases(2);
        expect_releases(1);
}

/* A worker that ended connections while nobody had asked says nothing. */
static void expect_no_release(size_t n_workers)
{
        struct basin basin;
        int client;

        basin_open(&basin, n_workers);
        client = post(&basin);
        echo(&basin, client, "open");
        close(client);
        while (pool_load(&basin.pool) > 0)
                poller_turn(&basin.pool.poller, false);
        poller_turn(&basin.pool.poller, false);
        cr_assert_eq(basin.n_releases, 0);
        basin_close(&basin);
}

Test(pool, release_is_not_told_to_who_has_not_asked)
{
        expect_no_release(2);
        expect_no_release(1);
}

static void come_and_go(size_t n_workers)
{
        struct basin basin;

        basin_open(&basin, n_workers);
        for (int i = 0; i < 300; i++) {
                close(post(&basin));
                close(post(&basin));
                await_load(&basin, 0);
        }
        basin_close(&basin);
}

Test(pool, no_release_is_lost)
{
        come_and_go(2);
        come_and_go(1);
}

Test(pool, limits_reach_every_worker)
{
        struct basin basin;
        int clients[3];

        basin_open(&basin, 3);
        for (int i = 0; i < 3; i++)
                clients[i] = post(&basin);
        pool_set_limits(&basin.pool, &(struct connection_limits){.idle_timeout_ms = 1});
        for (int i = 0; i < 3; i++) {
                client_expect_eof(clients[i]);
                close(clients[i]);
        }
        await_load(&basin, 0);
        basin_close(&basin);
}

Test(pool, reset_all_reaches_every_worker)
{
        struct basin basin;
        struct stats_total total;
        int clients[6];

        basin_open(&basin, 3);
        for (int i = 0; i < 6; i++)
                clients[i] = post(&basin);
        pool_reset_all(&basin.pool);
        for (int i = 0; i < 6; i++) {
                client_expect_reset(clients[i]);
                close(clients[i]);
        }
        await_load(&basin, 0);
        pool_stats(&basin.pool, &total);
        cr_assert_eq(total.opened, 6);
        cr_assert_eq(total.closed[ECHO_DRAIN], 6);
        basin_close(&basin);
}

Test(pool, stats_are_the_sum_over_the_workers)
{
        struct basin basin;
        struct stats_total total;
        int clients[6];

        basin_open(&basin, 3);
        for (int i = 0; i < 6; i++) {
                clients[i] = post(&basin);
                client_echo(clients[i], "ten bytes.");
                close(clients[i]);
        }
        await_load(&basin, 0);
        pool_stats(&basin.pool, &total);
        cr_assert_eq(total.opened, 6);
        cr_assert_eq(total.closed[ECHO_EOF], 6);
        cr_assert_eq(total.received_bytes, 60);
        cr_assert_eq(total.sent_bytes, 60);
        cr_assert_eq(total.pending_bytes, 0);
        basin_close(&basin);
}

static void expect_all_reset_at_stop(size_t n_workers)
{
        struct basin basin;
        int clients[4];

        basin_open(&basin, n_workers);
        for (int i = 0; i < 4; i++)
                clients[i] = post(&basin);
        pool_stop(&basin.pool);
        cr_assert_eq(pool_load(&basin.pool), 0);
        for (int i = 0; i < 4; i++) {
                client_expect_reset(clients[i]);
                close(clients[i]);
        }
        close_loop(&basin);
}

Test(pool, a_ping_is_answered_when_every_worker_has_come_round)
{
        struct basin basin;

        basin_open(&basin, 3);
        for (unsigned i = 1; i <= 3; i++) {
                pool_ping(&basin.pool);
                while (!pool_has_answered(&basin.pool))
                        poller_turn(&basin.pool.poller, false);
                cr_assert_eq(worker_answer(basin.pool.workers[2]), i);
        }
        basin_close(&basin);
}

Test(pool, stop_resets_what_is_open)
{
        expect_all_reset_at_stop(2);
        expect_all_reset_at_stop(1);
}

/* As the server stops: in a callback of the main loop, which is the worker's as well. */
static void on_time(uv_timer_t *timer)
{
        struct basin *basin = CONTAINER_OF(timer->loop, struct basin, loop);

        pool_stop(&basin->pool);
        uv_close((uv_handle_t *)timer, NULL);
}

Test(pool, run_ends_when_the_pool_is_stopped_from_within)
{
        for (size_t n_workers = 1; n_workers <= 2; n_workers++) {
                struct basin basin;
                uv_timer_t timer;
                int client;

                basin_open(&basin, n_workers);
                client = post(&basin);
                cr_assert_eq(uv_timer_init(&basin.loop, &timer), 0);
                cr_assert_eq(uv_timer_start(&timer, on_time, 1, 0), 0);
                pool_run(&basin.pool);
                client_expect_reset(client);
                close(client);
                close_loop(&basin);
        }
}
