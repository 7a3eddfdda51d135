/*
 * No wake-up is lost between a worker that counts a connection as ended and the main thread that
 * wants to know: the main thread says that it waits and then looks at the counts; the worker
 * counts and then looks whether somebody waits. Both in one total order, so one of the two sees.
 */

#include "pool.h"

#include <errno.h>
#include <stdlib.h>

#include "util.h"
#include "worker.h"

void pool_release(struct pool *pool)
{
        if (atomic_load(&pool->is_waiting))
                uv_async_send(&pool->release);
}

/* In a worker's thread. */
static void on_released(void *user)
{
        pool_release(user);
}

static void on_release_async(uv_async_t *release)
{
        struct pool *pool = CONTAINER_OF(release, struct pool, release);

        if (atomic_exchange(&pool->is_waiting, false))
                pool->on_release(pool->user);
}

static int open_handles(struct pool *pool, uv_loop_t *loop)
{
        int r = poller_init(&pool->poller, loop);

        if (r < 0)
                return r;
        r = uv_async_init(loop, &pool->release, on_release_async);
        if (r < 0)
                poller_free(&pool->poller);
        return r;
}

static int start_worker(struct pool *pool, size_t n_workers, size_t read_buffer,
                        const struct connection_limits *limits)
{
        const struct worker_options options = {
                .poller = n_workers == 1 ? &pool->poller : NULL,
                .index = (unsigned)pool->n_workers,
                .read_buffer = read_buffer,
                .limits = *limits,
                .on_released = on_released,
                .user = pool,
        };
        int r = worker_start(&pool->workers[pool->n_workers], &options);

        pool->n_workers += r == 0;
        return r;
}

int pool_start(struct pool *pool, uv_loop_t *loop, size_t n_workers, size_t read_buffer,
               const struct connection_limits *limits, void (*on_release)(void *user), void *user)
{
        int r;

        *pool = (struct pool){.on_release = on_release, .user = user};
        r = open_handles(pool, loop);
        if (r < 0)
                return r;
        pool->is_open = true;
        pool->workers = calloc(n_workers, sizeof(*pool->workers));
        r = pool->workers ? 0 : -ENOMEM;
        while (r == 0 && pool->n_workers < n_workers)
                r = start_worker(pool, n_workers, read_buffer, limits);
        if (r < 0) {
                pool_stop(pool);
                pool_free(pool);
        }
        return r;
}

void pool_run(struct pool *pool)
{
        if (pool->n_workers == 1) {
                worker_run(pool->workers[0]);
                return;
        }
        while (poller_turn(&pool->poller, true))
                ;
}

void pool_stop(struct pool *pool)
{
        atomic_store(&pool->is_waiting, false);
        for (size_t i = 0; i < pool->n_workers; i++)
                worker_stop(pool->workers[i]);
        uv_close((uv_handle_t *)&pool->release, NULL);
}

void pool_free(struct pool *pool)
{
        if (!pool->is_open)
                return;
        pool->is_open = false;
        poller_free(&pool->poller);
        for (size_t i = 0; i < pool->n_workers; i++)
                worker_free(pool->workers[i]);
        pool->n_workers = 0;
        free(pool->workers);
        pool->workers = NULL;
}

static struct worker *least_loaded(struct pool *pool)
{
        struct worker *best = pool->workers[0];
        uint64_t least = worker_load(best);

        for (size_t i = 1; i < pool->n_workers && least > 0; i++) {
                uint64_t load = worker_load(pool->workers[i]);

                if (load < least) {
                        best = pool->workers[i];
                        least = load;
                }
        }
        return best;
}

int pool_post(struct pool *pool, const struct arrival *arrival)
{
        return worker_post(least_loaded(pool), arrival);
}

int pool_freeze(struct pool *pool, struct list *frozen)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < pool->n_workers; i++)
                r = worker_freeze(pool->workers[i], frozen);
        return r;
}

int pool_take_census(struct pool *pool, const struct census *census)
{
        int r = 0;

        for (size_t i = 0; i < pool->n_workers && r == 0; i++)
                r = worker_take_census(pool->workers[i], census);
        return r;
}

void pool_set_limits(struct pool *pool, const struct connection_limits *limits)
{
        for (size_t i = 0; i < pool->n_workers; i++)
                worker_set_limits(pool->workers[i], limits);
}

void pool_set_busy_poll(struct pool *pool, uint64_t max_ns)
{
        for (size_t i = 0; i < pool->n_workers; i++)
                worker_set_busy_poll(pool->workers[i], max_ns);
}

void pool_reset_all(struct pool *pool)
{
        for (size_t i = 0; i < pool->n_workers; i++)
                worker_reset_all(pool->workers[i]);
}

void pool_ping(struct pool *pool)
{
        pool->n_pings++;
        for (size_t i = 0; i < pool->n_workers; i++)
                worker_ping(pool->workers[i], pool->n_pings);
}

bool pool_has_answered(const struct pool *pool)
{
        for (size_t i = 0; i < pool->n_workers; i++)
                if (worker_answer(pool->workers[i]) != pool->n_pings)
                        return false;
        return true;
}

uint64_t pool_load(const struct pool *pool)
{
        uint64_t load = 0;

        for (size_t i = 0; i < pool->n_workers; i++)
                load += worker_load(pool->workers[i]);
        return load;
}

void pool_await_release(struct pool *pool)
{
        atomic_store(&pool->is_waiting, true);
}

void pool_stats(const struct pool *pool, struct stats_total *ret_total)
{
        *ret_total = (struct stats_total){0};
        for (size_t i = 0; i < pool->n_workers; i++)
                stats_sum(ret_total, worker_stats(pool->workers[i]));
}
