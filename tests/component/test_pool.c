#include <criterion/criterion.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "pool.h"
#include "stage.h"
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
                uv_run(&basin->loop, UV_RUN_ONCE);
        }
}

static void start_and_stop(void *user)
{
        struct basin *basin = user;
        int r = start(basin, 3);

        cr_assert_eq(r < 0, faults_have_struck());
        if (r == 0)
                pool_stop(&basin->pool);
        uv_run(&basin->loop, UV_RUN_DEFAULT);
        cr_assert(!uv_loop_alive(&basin->loop));
}

Test(pool, each_call_that_fails_at_start_leaves_nothing)
{
        struct basin basin = {0};

        warm_up();
        basin.n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&basin.loop), 0);
        faults_force_each(start_and_stop, &basin);
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

Test(pool, release_is_told_once_for_each_time_it_was_asked_for)
{
        struct basin basin;
        int clients[4];

        basin_open(&basin, 2);
        for (int i = 0; i < 4; i++) {
                clients[i] = post(&basin);
                client_echo(clients[i], "open");
        }
        for (unsigned i = 0; i < 4; i++) {
                pool_await_release(&basin.pool);
                close(clients[i]);
                while (basin.n_releases < i + 1)
                        uv_run(&basin.loop, UV_RUN_ONCE);
                uv_run(&basin.loop, UV_RUN_NOWAIT);
                cr_assert_eq(basin.n_releases, i + 1);
        }
        basin_close(&basin);
}

/* A worker that ended connections while nobody had asked says nothing. */
Test(pool, release_is_not_told_to_who_has_not_asked)
{
        struct basin basin;
        int client;

        basin_open(&basin, 1);
        client = post(&basin);
        client_echo(client, "open");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
        while (pool_load(&basin.pool) > 0)
                uv_sleep(1);
        uv_run(&basin.loop, UV_RUN_NOWAIT);
        cr_assert_eq(basin.n_releases, 0);
        basin_close(&basin);
}

Test(pool, no_release_is_lost)
{
        struct basin basin;

        basin_open(&basin, 2);
        for (int i = 0; i < 300; i++) {
                close(post(&basin));
                close(post(&basin));
                await_load(&basin, 0);
        }
        basin_close(&basin);
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

Test(pool, stop_resets_what_is_open)
{
        struct basin basin;
        int clients[4];

        basin_open(&basin, 2);
        for (int i = 0; i < 4; i++)
                clients[i] = post(&basin);
        pool_stop(&basin.pool);
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
                        uv_run(&basin.loop, UV_RUN_NOWAIT);
                cr_assert_eq(worker_answer(basin.pool.workers[2]), i);
        }
        basin_close(&basin);
}
