/* How a worker begins and ends, and what it is posted. */

#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "stage.h"
#include "yard.h"

TestSuite(worker, .timeout = HANG_S);

Test(worker, starts_and_ends)
{
        struct yard yard;

        yard_open(&yard);
        cr_assert_eq(worker_load(yard.worker), 0);
        yard_close(&yard);
}

Test(worker, freeing_none_is_allowed)
{
        worker_free(NULL);
}

static void start_and_stop(void *user)
{
        struct yard *yard = user;
        int r = yard_start(yard);

        cr_assert_eq(r < 0, faults_have_struck());
        if (r == 0)
                yard_join(yard);
        cr_assert_eq(count_descriptors(), yard->n_descriptors);
}

Test(worker, each_call_that_fails_at_start_leaves_nothing)
{
        struct yard yard;

        yard_open(&yard);
        yard_join(&yard);
        faults_force_each(start_and_stop, &yard);
        expect_no_leaks();
}

Test(worker, serves_what_is_posted_and_counts_it_out)
{
        struct yard yard;
        int first, second;

        yard_open(&yard);
        first = yard_post(&yard);
        second = yard_post(&yard);
        cr_assert_eq(worker_load(yard.worker), 2);
        client_echo(first, "one");
        client_echo(second, "two");
        close(first);
        yard_await_released(&yard, 1);
        cr_assert_eq(worker_load(yard.worker), 1);
        client_echo(second, "three");
        close(second);
        yard_await_released(&yard, 1);
        cr_assert_eq(worker_load(yard.worker), 0);
        cr_assert_eq(stats_read(&worker_stats(yard.worker)->opened), 2);
        cr_assert_eq(stats_read(&worker_stats(yard.worker)->closed[ECHO_EOF]), 2);
        cr_assert_eq(stats_read(&worker_stats(yard.worker)->sent_bytes), 11);
        yard_close(&yard);
}

Test(worker, mailbox_grows)
{
        struct yard yard;
        int clients[200];
        unsigned n_before;

        yard_open(&yard);
        yard_close_gate(&yard);
        n_before = faults_n_calls(FAULT_REALLOC);
        for (int i = 0; i < 200; i++)
                clients[i] = yard_post(&yard);
        cr_assert_geq(faults_n_calls(FAULT_REALLOC) - n_before, 2, "it did not have to grow");
        cr_assert_eq(worker_load(yard.worker), 200);
        yard_open_gate(&yard);
        for (int i = 0; i < 200; i++) {
                client_echo(clients[i], "served");
                close(clients[i]);
        }
        yard_await_released(&yard, 200);
        yard_close(&yard);
}

/* The descriptor is still the caller's, and what was in the mailbox before is served. */
Test(worker, a_mailbox_that_cannot_grow_refuses)
{
        struct yard yard;
        int clients[300], pair[2];
        unsigned n = 0, n_before;

        yard_open(&yard);
        tcp_pair(pair);
        faults_fail(FAULT_REALLOC, 1, 1, ENOMEM);
        cr_assert_eq(yard_try_to_post(&yard, pair[1]), -ENOMEM);
        cr_assert_eq(worker_load(yard.worker), 0);
        yard_close_gate(&yard);
        n_before = faults_n_calls(FAULT_REALLOC);
        faults_fail(FAULT_REALLOC, 2, 1, ENOMEM); /* not the first, but when it is full */
        while (faults_n_calls(FAULT_REALLOC) - n_before < 2) {
                int r = yard_try_to_post(&yard, pair[1]);

                if (r == 0) {
                        clients[n++] = pair[0];
                        tcp_pair(pair);
                } else {
                        cr_assert_eq(r, -ENOMEM);
                }
        }
        cr_assert(faults_have_struck());
        cr_assert_eq(worker_load(yard.worker), n);
        cr_assert_eq(yard_try_to_post(&yard, pair[1]), 0);
        clients[n++] = pair[0];
        yard_open_gate(&yard);
        while (n > 0) {
                client_echo(clients[--n], "served");
                close(clients[n]);
        }
        yard_close(&yard);
}

static void expect_one_dropped_by(enum fault_target target)
{
        struct yard yard;
        int neighbour, client;

        yard_open(&yard);
        if (target != FAULT_MMAP) {
                neighbour = yard_post(&yard);
                client_echo(neighbour, "before");
        }
        faults_fail(target, 1, 1, ENOMEM);
        client = yard_post(&yard);
        client_expect_reset(client);
        yard_await_released(&yard, 1);
        cr_assert(faults_have_struck());
        if (target == FAULT_MMAP)
                neighbour = yard_post(&yard);
        cr_assert_eq(worker_load(yard.worker), 1);
        client_echo(neighbour, "after");
        close(client);
        close(neighbour);
        yard_close(&yard);
}

Test(worker, goes_on_when_a_connection_cannot_be_opened)
{
        expect_one_dropped_by(FAULT_MMAP);
        expect_one_dropped_by(FAULT_EPOLL_CTL);
        cr_assert_eq(faults_n_logged("connection dropped: "), 2);
}

Test(worker, stop_resets_what_is_open_or_on_its_way)
{
        struct yard yard;
        int idle, stuck, on_its_way;

        yard_open(&yard);
        idle = yard_post(&yard);
        client_echo(idle, "open");
        stuck = yard_post(&yard);
        client_fill(stuck, 100);
        yard_close_gate(&yard);
        on_its_way = yard_post(&yard);
        yard_open_gate(&yard);
        yard_join(&yard);
        client_expect_reset(idle);
        client_expect_reset(stuck);
        client_expect_reset(on_its_way);
        close(idle);
        close(stuck);
        close(on_its_way);
        cr_assert_eq(count_descriptors(), yard.n_descriptors);
        expect_no_leaks();
}
