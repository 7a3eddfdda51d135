/* What a worker is told from outside while it runs: to count, to limit, to reset, to freeze. */

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "client.h"
#include "connection_freeze.h"
#include "faults.h"
#include "stage.h"
#include "util.h"
#include "yard.h"

TestSuite(worker_orders, .timeout = HANG_S);

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
        yard_open_gate(user);
        return NULL;
}

Test(worker_orders, a_census_counts_those_on_their_way_too)
{
        struct yard yard;
        unsigned n_counted = 0;
        pthread_t thread;
        int clients[2];

        yard_open(&yard);
        clients[0] = yard_post(&yard);
        client_echo(clients[0], "open");
        yard_close_gate(&yard);
        clients[1] = yard_post(&yard);
        pthread_create(&thread, NULL, open_gate_later, &yard);
        cr_assert_eq(worker_take_census(yard.worker, &(struct census){count_one, &n_counted}), 0);
        cr_assert_eq(n_counted, 2);
        pthread_join(thread, NULL);
        close(clients[0]);
        close(clients[1]);
        yard_await_released(&yard, 2);
        yard_close(&yard);
}

Test(worker_orders, new_limits_reach_open_connections)
{
        struct yard yard;
        int client;

        yard_open(&yard);
        client = yard_post(&yard);
        client_echo(client, "open");
        worker_set_limits(yard.worker, &(struct connection_limits){.idle_timeout_ms = 1});
        client_expect_eof(client);
        yard_await_released(&yard, 1);
        cr_assert_eq(stats_read(&worker_stats(yard.worker)->closed[ECHO_IDLE_TIMEOUT]), 1);
        close(client);
        yard_close(&yard);
}

Test(worker_orders, new_limits_reach_connections_in_the_mailbox)
{
        struct yard yard;
        int client;

        yard_open(&yard);
        yard_close_gate(&yard);
        client = yard_post(&yard);
        worker_set_limits(yard.worker, &(struct connection_limits){.max_lifetime_ms = 1});
        yard_open_gate(&yard);
        client_expect_eof(client);
        close(client);
        yard_close(&yard);
}

Test(worker_orders, of_two_changes_of_limits_the_later_one_holds)
{
        struct yard yard;
        int client;

        yard_open(&yard);
        yard_close_gate(&yard);
        worker_set_limits(yard.worker, &(struct connection_limits){0});
        worker_set_limits(yard.worker, &(struct connection_limits){.idle_timeout_ms = 1});
        client = yard_post(&yard);
        yard_open_gate(&yard);
        client_expect_eof(client);
        close(client);
        yard_close(&yard);
}

Test(worker_orders, reset_all_also_hits_connections_in_the_mailbox)
{
        struct yard yard;
        int open, on_its_way, later;

        yard_open(&yard);
        open = yard_post(&yard);
        client_echo(open, "open");
        yard_close_gate(&yard);
        on_its_way = yard_post(&yard);
        worker_reset_all(yard.worker);
        yard_open_gate(&yard);
        client_expect_reset(open);
        client_expect_reset(on_its_way);
        yard_await_released(&yard, 2);
        cr_assert_eq(worker_load(yard.worker), 0);
        cr_assert_eq(stats_read(&worker_stats(yard.worker)->closed[ECHO_DRAIN]), 2);
        later = yard_post(&yard);
        client_echo(later, "who comes later is served");
        close(open);
        close(on_its_way);
        close(later);
        yard_close(&yard);
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

Test(worker_orders, frozen_connections_no_longer_count)
{
        struct yard yard;
        int clients[2];

        yard_open(&yard);
        clients[0] = yard_post(&yard);
        client_echo(clients[0], "open");
        clients[1] = yard_post(&yard);
        cr_assert_eq(freeze(&yard, false), 2);
        yard_await_released(&yard, 2);
        cr_assert_eq(worker_load(yard.worker), 0);
        close(clients[0]);
        close(clients[1]);
        yard_close(&yard);
}

Test(worker_orders, frozen_connections_can_be_posted_again)
{
        struct yard yard;
        int client;

        yard_open(&yard);
        client = yard_post(&yard);
        for (int i = 0; i < 100; i++) {
                client_echo(client, "again");
                cr_assert_eq(freeze(&yard, true), 1);
        }
        client_echo(client, "still open");
        yard_await_released(&yard, 100);
        cr_assert_eq(worker_load(yard.worker), 1);
        close(client);
        yard_close(&yard);
}

Test(worker_orders, what_cannot_be_frozen_goes_on)
{
        struct list frozen;
        struct yard yard;
        int client;

        yard_open(&yard);
        client = yard_post(&yard);
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
