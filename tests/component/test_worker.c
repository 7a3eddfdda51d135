#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "connection_freeze.h"
#include "faults.h"
#include "stage.h"
#include "util.h"
#include "worker.h"

TestSuite(worker, .timeout = HANG_S);

static const struct address PEER = {.family = AF_UNIX};

/* A worker, and what it says about connections that have ended. */
struct yard {
        struct worker *worker;
        sem_t n_released;
        sem_t gate; /* while it is closed the worker's thread waits */
        atomic_bool is_gated;
        unsigned n_descriptors;
};

/* In the worker's thread. */
static void on_released(void *user)
{
        struct yard *yard = user;

        sem_post(&yard->n_released);
        if (atomic_exchange(&yard->is_gated, false))
                sem_wait(&yard->gate);
}

static int start(struct yard *yard)
{
        const struct worker_options options = {
                .read_buffer = 4096,
                .on_released = on_released,
                .user = yard,
        };

        return worker_start(&yard->worker, &options);
}

static void yard_open(struct yard *yard)
{
        *yard = (struct yard){0};
        warm_up();
        yard->n_descriptors = count_descriptors();
        sem_init(&yard->n_released, 0, 0);
        sem_init(&yard->gate, 0, 0);
        cr_assert_eq(start(yard), 0);
}

static void join(struct yard *yard)
{
        worker_stop(yard->worker);
        worker_free(yard->worker);
}

static void yard_close(struct yard *yard)
{
        join(yard);
        cr_assert_eq(count_descriptors(), yard->n_descriptors);
        expect_no_leaks();
}

/* Returns the client's end. */
static int post(struct yard *yard)
{
        int pair[2];

        tcp_pair(pair);
        cr_assert_eq(worker_post(yard->worker, &(struct arrival){pair[1], PEER, "yard"}), 0);
        return pair[0];
}

static void await_released(struct yard *yard, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                while (sem_wait(&yard->n_released) < 0)
                        cr_assert_eq(errno, EINTR);
}

/* Has the worker's thread wait, so that what it is sent stays in the mailbox. */
static void close_gate(struct yard *yard)
{
        atomic_store(&yard->is_gated, true);
        close(post(yard));
        await_released(yard, 1);
}

static void open_gate(struct yard *yard)
{
        sem_post(&yard->gate);
}

Test(worker, starts_and_ends)
{
        struct yard yard;

        yard_open(&yard);
        cr_assert_eq(worker_load(yard.worker), 0);
        yard_close(&yard);
}

static struct source *count_one(void *user, const struct address *peer)
{
        unsigned *n_counted = user;

        cr_assert_eq(peer->family, AF_UNIX);
        ++*n_counted;
        return NULL;
}

static void *open_gate_later(void *user)
{
        usleep(20000);
        open_gate(user);
        return NULL;
}

Test(worker, a_census_counts_those_on_their_way_too)
{
        struct yard yard;
        unsigned n_counted = 0;
        pthread_t thread;
        int clients[2];

        yard_open(&yard);
        clients[0] = post(&yard);
        client_echo(clients[0], "open");
        close_gate(&yard);
        clients[1] = post(&yard);
        pthread_create(&thread, NULL, open_gate_later, &yard);
        cr_assert_eq(worker_take_census(yard.worker, &(struct census){count_one, &n_counted}), 0);
        cr_assert_eq(n_counted, 2);
        pthread_join(thread, NULL);
        close(clients[0]);
        close(clients[1]);
        await_released(&yard, 2);
        yard_close(&yard);
}

Test(worker, freeing_none_is_allowed)
{
        worker_free(NULL);
}

static void start_and_stop(void *user)
{
        struct yard *yard = user;
        int r = start(yard);

        cr_assert_eq(r < 0, faults_have_struck());
        if (r == 0)
                join(yard);
        cr_assert_eq(count_descriptors(), yard->n_descriptors);
}

Test(worker, each_call_that_fails_at_start_leaves_nothing)
{
        struct yard yard;

        yard_open(&yard);
        join(&yard);
        faults_force_each(start_and_stop, &yard);
        expect_no_leaks();
}

Test(worker, serves_what_is_posted_and_counts_it_out)
{
        struct yard yard;
        int first, second;

        yard_open(&yard);
        first = post(&yard);
        second = post(&yard);
        cr_assert_eq(worker_load(yard.worker), 2);
        client_echo(first, "one");
        client_echo(second, "two");
        close(first);
        await_released(&yard, 1);
        cr_assert_eq(worker_load(yard.worker), 1);
        client_echo(second, "three");
        close(second);
        await_released(&yard, 1);
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
        close_gate(&yard);
        n_before = faults_n_calls(FAULT_REALLOC);
        for (int i = 0; i < 200; i++)
                clients[i] = post(&yard);
        cr_assert_geq(faults_n_calls(FAULT_REALLOC) - n_before, 2, "it did not have to grow");
        cr_assert_eq(worker_load(yard.worker), 200);
        open_gate(&yard);
        for (int i = 0; i < 200; i++) {
                client_echo(clients[i], "served");
                close(clients[i]);
        }
        await_released(&yard, 200);
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
        cr_assert_eq(worker_post(yard.worker, &(struct arrival){pair[1], PEER, "yard"}), -ENOMEM);
        cr_assert_eq(worker_load(yard.worker), 0);
        close_gate(&yard);
        n_before = faults_n_calls(FAULT_REALLOC);
        faults_fail(FAULT_REALLOC, 2, 1, ENOMEM); /* not the first, but when it is full */
        while (faults_n_calls(FAULT_REALLOC) - n_before < 2) {
                int r = worker_post(yard.worker, &(struct arrival){pair[1], PEER, "yard"});

                if (r == 0) {
                        clients[n++] = pair[0];
                        tcp_pair(pair);
                } else {
                        cr_assert_eq(r, -ENOMEM);
                }
        }
        cr_assert(faults_have_struck());
        cr_assert_eq(worker_load(yard.worker), n);
        cr_assert_eq(worker_post(yard.worker, &(struct arrival){pair[1], PEER, "yard"}), 0);
        clients[n++] = pair[0];
        open_gate(&yard);
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
                neighbour = post(&yard);
                client_echo(neighbour, "before");
        }
        faults_fail(target, 1, 1, ENOMEM);
        client = post(&yard);
        client_expect_reset(client);
        await_released(&yard, 1);
        cr_assert(faults_have_struck());
        if (target == FAULT_MMAP)
                neighbour = post(&yard);
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

Test(worker, new_limits_reach_open_connections)
{
        struct yard yard;
        int client;

        yard_open(&yard);
        client = post(&yard);
        client_echo(client, "open");
        worker_set_limits(yard.worker, &(struct connection_limits){.idle_timeout_ms = 1});
        client_expect_eof(client);
        await_released(&yard, 1);
        cr_assert_eq(stats_read(&worker_stats(yard.worker)->closed[ECHO_IDLE_TIMEOUT]), 1);
        close(client);
        yard_close(&yard);
}

Test(worker, new_limits_reach_connections_in_the_mailbox)
{
        struct yard yard;
        int client;

        yard_open(&yard);
        close_gate(&yard);
        client = post(&yard);
        worker_set_limits(yard.worker, &(struct connection_limits){.max_lifetime_ms = 1});
        open_gate(&yard);
        client_expect_eof(client);
        close(client);
        yard_close(&yard);
}

Test(worker, of_two_changes_of_limits_the_later_one_holds)
{
        struct yard yard;
        int client;

        yard_open(&yard);
        close_gate(&yard);
        worker_set_limits(yard.worker, &(struct connection_limits){0});
        worker_set_limits(yard.worker, &(struct connection_limits){.idle_timeout_ms = 1});
        client = post(&yard);
        open_gate(&yard);
        client_expect_eof(client);
        close(client);
        yard_close(&yard);
}

Test(worker, reset_all_also_hits_connections_in_the_mailbox)
{
        struct yard yard;
        int open, on_its_way, later;

        yard_open(&yard);
        open = post(&yard);
        client_echo(open, "open");
        close_gate(&yard);
        on_its_way = post(&yard);
        worker_reset_all(yard.worker);
        open_gate(&yard);
        client_expect_reset(open);
        client_expect_reset(on_its_way);
        await_released(&yard, 2);
        cr_assert_eq(worker_load(yard.worker), 0);
        cr_assert_eq(stats_read(&worker_stats(yard.worker)->closed[ECHO_DRAIN]), 2);
        later = post(&yard);
        client_echo(later, "who comes later is served");
        close(open);
        close(on_its_way);
        close(later);
        yard_close(&yard);
}

Test(worker, stop_resets_what_is_open_or_on_its_way)
{
        struct yard yard;
        int idle, stuck, on_its_way;

        yard_open(&yard);
        idle = post(&yard);
        client_echo(idle, "open");
        stuck = post(&yard);
        client_fill(stuck, 100);
        close_gate(&yard);
        on_its_way = post(&yard);
        open_gate(&yard);
        join(&yard);
        client_expect_reset(idle);
        client_expect_reset(stuck);
        client_expect_reset(on_its_way);
        close(idle);
        close(stuck);
        close(on_its_way);
        cr_assert_eq(count_descriptors(), yard.n_descriptors);
        expect_no_leaks();
}

/* Takes all out of the worker; returns how many. They are posted again, or closed. */
static unsigned freeze(struct yard *yard, bool is_to_go_on)
{
        struct list frozen;
        unsigned n = 0;

        list_init(&frozen);
        cr_assert_eq(worker_freeze(yard->worker, &frozen), 0);
        LIST_FOR_EACH_SAFE (node, following, &frozen) {
                struct frozen *one = CONTAINER_OF(node, struct frozen, link);

                n++;
                list_unlink(node);
                if (is_to_go_on) {
                        cr_assert_eq(worker_post(yard->worker, &one->arrival), 0);
                        continue;
                }
                close(one->arrival.descriptor);
                connection_free_frozen(one);
        }
        return n;
}

Test(worker, frozen_connections_no_longer_count)
{
        struct yard yard;
        int clients[2];

        yard_open(&yard);
        clients[0] = post(&yard);
        client_echo(clients[0], "open");
        clients[1] = post(&yard);
        cr_assert_eq(freeze(&yard, false), 2);
        await_released(&yard, 2);
        cr_assert_eq(worker_load(yard.worker), 0);
        close(clients[0]);
        close(clients[1]);
        yard_close(&yard);
}

Test(worker, frozen_connections_can_be_posted_again)
{
        struct yard yard;
        int client;

        yard_open(&yard);
        client = post(&yard);
        for (int i = 0; i < 100; i++) {
                client_echo(client, "again");
                cr_assert_eq(freeze(&yard, true), 1);
        }
        client_echo(client, "still open");
        await_released(&yard, 100);
        cr_assert_eq(worker_load(yard.worker), 1);
        close(client);
        yard_close(&yard);
}

Test(worker, what_cannot_be_frozen_goes_on)
{
        struct list frozen;
        struct yard yard;
        int client;

        yard_open(&yard);
        client = post(&yard);
        client_echo(client, "open");
        list_init(&frozen);
        faults_fail(FAULT_CALLOC, 1, 1, ENOMEM);
        cr_assert_eq(worker_freeze(yard.worker, &frozen), -ENOMEM);
        cr_assert(list_is_empty(&frozen));
        faults_clear();
        client_echo(client, "goes on");
        close(client);
        yard_close(&yard);
}
