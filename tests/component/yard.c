#include "yard.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "stage.h"

/* In the worker's thread. */
static void on_released(void *user)
{
        struct yard *yard = user;

        sem_post(&yard->n_released);
        if (atomic_exchange(&yard->is_gated, false))
                sem_wait(&yard->gate);
}

int yard_start(struct yard *yard)
{
        const struct worker_options options = {
                .read_buffer = 4096,
                .on_released = on_released,
                .user = yard,
        };

        return worker_start(&yard->worker, &options);
}

void yard_open(struct yard *yard)
{
        *yard = (struct yard){0};
        warm_up();
        yard->n_descriptors = count_descriptors();
        sem_init(&yard->n_released, 0, 0);
        sem_init(&yard->gate, 0, 0);
        cr_assert_eq(yard_start(yard), 0);
}

void yard_join(struct yard *yard)
{
        worker_stop(yard->worker);
        worker_free(yard->worker);
}

void yard_close(struct yard *yard)
{
        yard_join(yard);
        cr_assert_eq(count_descriptors(), yard->n_descriptors);
        expect_no_leaks();
}

int yard_try_to_post(struct yard *yard, int descriptor)
{
        const struct arrival arrival = {descriptor, {.family = AF_UNIX}, "yard", NULL};

        return worker_post(yard->worker, &arrival);
}

int yard_post(struct yard *yard)
{
        int pair[2];

        tcp_pair(pair);
        cr_assert_eq(yard_try_to_post(yard, pair[1]), 0);
        return pair[0];
}

void yard_await_released(struct yard *yard, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                while (sem_wait(&yard->n_released) < 0)
                        cr_assert_eq(errno, EINTR);
}

void yard_close_gate(struct yard *yard)
{
        atomic_store(&yard->is_gated, true);
        close(yard_post(yard));
        yard_await_released(yard, 1);
}

void yard_open_gate(struct yard *yard)
{
        sem_post(&yard->gate);
}
