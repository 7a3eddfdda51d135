/* Who is a source, and what it may do. */

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#include "source_table_fixture.h"

TestSuite(source_table, .init = open_table, .fini = close_table);

Test(source_table, without_limits_nothing_is_entered)
{
        struct source *source;

        cr_assert_eq(admit("192.0.2.1", &source), SOURCE_ADMITTED);
        cr_assert_null(source);
        cr_assert_eq(table.n_sources, 0);
        cr_assert_eq(memory(), 0);
}

Test(source_table, a_source_has_its_connections_and_no_more)
{
        struct source *source, *third;

        limit(2, 0);
        source = enter("192.0.2.1");
        cr_assert_eq(enter("192.0.2.1"), source);
        cr_assert_eq(source_n_open(source), 2);
        cr_assert_eq(admit("192.0.2.1", &third), SOURCE_OVER_LIMIT);
        cr_assert_null(third);
        source_release(source);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
        source_release(source);
}

Test(source_table, sources_do_not_mind_each_other)
{
        struct source *first, *second;

        limit(1, 0);
        first = enter("192.0.2.1");
        second = enter("192.0.2.2");
        cr_assert_neq(first, second);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_LIMIT);
        source_release(first);
        source_release(second);
}

/* Where one connection each is allowed: whether another one may come while the first is open. */
static void expect_beside(const char *open, const char *peer, int expected)
{
        struct source *source;

        limit(1, 0);
        source = enter(open);
        cr_assert_eq(visit(peer), expected, "%s beside %s", peer, open);
        source_release(source);
}

Test(source_table, an_ipv6_network_of_64_bits_is_one_source)
{
        const char *open = "2001:db8:0:1::1";

        expect_beside(open, "2001:db8:0:1:ffff:ffff:ffff:ffff", SOURCE_OVER_LIMIT);
        expect_beside(open, "2001:db8:0:2::1", SOURCE_ADMITTED);
        expect_beside(open, "2001:db8:0:0:ffff:ffff:ffff:ffff", SOURCE_ADMITTED);
}

Test(source_table, a_mapped_address_is_the_ipv4_source)
{
        expect_beside("192.0.2.1", "::ffff:192.0.2.1", SOURCE_OVER_LIMIT);
        expect_beside("192.0.2.1", "::ffff:192.0.2.2", SOURCE_ADMITTED);
}

Test(source_table, ipv6_networks_that_begin_like_an_ipv4_address_are_others)
{
        expect_beside("32.1.13.184", "2001:db8::", SOURCE_ADMITTED);
        expect_beside("32.1.13.184", "0:0:2001:db8::1", SOURCE_ADMITTED);
}

Test(source_table, the_port_does_not_matter)
{
        struct address peer = nth(1);
        struct source *source, *other;

        limit(1, 0);
        cr_assert_eq(admit_address(&peer, &source), SOURCE_ADMITTED);
        peer.port = 4711;
        cr_assert_eq(admit_address(&peer, &other), SOURCE_OVER_LIMIT);
        source_release(source);
}

Test(source_table, link_local_networks_are_one_source_for_each_link)
{
        struct address peer = {.family = AF_INET6, .scope_id = 1, .ip = {0xfe, 0x80, [15] = 1}};
        struct source *source, *other;

        limit(1, 0);
        cr_assert_eq(admit_address(&peer, &source), SOURCE_ADMITTED);
        peer.ip[15] = 2;
        cr_assert_eq(admit_address(&peer, &other), SOURCE_OVER_LIMIT);
        peer.scope_id = 2;
        cr_assert_eq(admit_address(&peer, &other), SOURCE_ADMITTED);
        source_release(source);
        source_release(other);
}

Test(source_table, unix_peers_are_no_source)
{
        const struct address peer = {.family = AF_UNIX};
        struct source *source;

        limit(1, 1);
        for (int i = 0; i < 3; i++) {
                cr_assert_eq(admit_address(&peer, &source), SOURCE_ADMITTED);
                cr_assert_null(source);
                cr_assert_eq(source_table_count(&table, &peer, &source), 0);
                cr_assert_null(source);
        }
        cr_assert_eq(table.n_sources, 0);
}

Test(source_table, a_source_is_forgotten_with_its_last_connection)
{
        struct source *source;

        limit(2, 0);
        source = enter("192.0.2.1");
        enter("192.0.2.1");
        source_release(source);
        visit("192.0.2.2");
        visit("192.0.2.2");
        cr_assert_eq(table.n_sources, 2); /* that one, and the one that has just left */
        source_release(source);
        limit(0, 0);
        cr_assert_eq(visit("192.0.2.3"), SOURCE_ADMITTED);
        cr_assert_eq(table.n_sources, 0);
}

Test(source_table, a_source_that_comes_again_before_it_is_forgotten_is_the_same)
{
        struct source *source;

        limit(1, 0);
        source = enter("192.0.2.1");
        for (int i = 0; i < 10; i++) {
                source_release(source);
                cr_assert_eq(enter("192.0.2.1"), source);
                cr_assert_eq(source_n_open(source), 1);
        }
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_LIMIT);
        cr_assert_eq(table.n_sources, 1);
        source_release(source);
}

Test(source_table, a_source_has_its_burst_and_then_its_rate)
{
        unsigned n_admitted = 0;

        limit(0, 3);
        for (int i = 0; i < 10; i++)
                n_admitted += visit("192.0.2.1") == SOURCE_ADMITTED;
        cr_assert_eq(n_admitted, 3);
        for (int i = 0; i < 100; i++) {
                now_ns += 100 * MS;
                n_admitted += visit("192.0.2.1") == SOURCE_ADMITTED;
        }
        cr_assert_eq(n_admitted, 3 + 30);
        cr_assert_eq(visit("192.0.2.2"), SOURCE_ADMITTED);
}

Test(source_table, who_is_over_the_limit_takes_no_token)
{
        struct source *source;

        limit(1, 2);
        source = enter("192.0.2.1");
        for (int i = 0; i < 10; i++)
                cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_LIMIT);
        source_release(source);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_RATE);
}

Test(source_table, a_bucket_is_remembered_until_it_is_full)
{
        limit(0, 0.5);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
        now_ns += 2 * S - 1;
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_RATE);
        cr_assert_eq(table.n_sources, 1);
        now_ns += 1;
        cr_assert_eq(visit("192.0.2.2"), SOURCE_ADMITTED);
        cr_assert_eq(table.n_sources, 1);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
}

Test(source_table, a_bucket_outlives_the_connections)
{
        limit(5, 1);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_RATE);
        cr_assert_eq(table.n_idle, 1);
}

Test(source_table, a_long_connection_leaves_a_full_bucket)
{
        struct source *source;

        limit(5, 1);
        source = enter("192.0.2.1");
        now_ns += 10 * S;
        source_release(source);
        visit("192.0.2.2");
        cr_assert_eq(table.n_idle, 0);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
}

Test(source_table, a_lower_limit_closes_the_door_until_enough_have_gone)
{
        struct source *source;

        limit(3, 0);
        source = enter("192.0.2.1");
        enter("192.0.2.1");
        enter("192.0.2.1");
        limit(2, 0);
        source_release(source);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_LIMIT);
        source_release(source);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
        source_release(source);
}

Test(source_table, limits_that_are_lifted_and_set_again_still_count_who_is_there)
{
        struct source *source;

        limit(1, 0);
        source = enter("192.0.2.1");
        limit(0, 0);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
        limit(1, 0);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_LIMIT);
        source_release(source);
}

Test(source_table, a_rate_that_is_lifted_forgets_who_was_idle)
{
        limit(0, 0.001);
        for (uint32_t i = 0; i < 1000; i++) {
                struct source *source;

                admit_nth(i, &source);
        }
        cr_assert_eq(table.n_idle, 1000);
        limit(0, 0);
        cr_assert_eq(table.n_sources, 0);
}

Test(source_table, a_faster_rate_is_not_held_up_by_the_slower_one_before)
{
        limit(0, 0.001);
        visit("192.0.2.1");
        limit(0, 100);
        now_ns += S;
        visit("192.0.2.2");
        cr_assert_eq(table.n_sources, 1);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
}

Test(source_table, counts_who_is_there_already_beyond_the_limit)
{
        const struct address peer = nth(1);
        struct source *first, *second;

        limit(1, 1);
        cr_assert_eq(source_table_count(&table, &peer, &first), 0);
        cr_assert_eq(source_table_count(&table, &peer, &second), 0);
        cr_assert_eq(first, second);
        cr_assert_eq(source_n_open(first), 2);
        cr_assert_eq(admit_address(&peer, &second), SOURCE_OVER_LIMIT);
        source_release(first);
        source_release(first);
        cr_assert_eq(admit_address(&peer, &second), SOURCE_ADMITTED); /* no token was taken */
        source_release(second);
}

/* Counted by this thread, to be released by others. */
#define PIPE_SIZE 64
#define N_THREADS 3
#define N_VISITS  100000

static _Atomic(struct source *) slots[PIPE_SIZE];
static atomic_bool is_over;

static void *release_all(void *user)
{
        (void)user;
        while (!atomic_load(&is_over))
                for (unsigned i = 0; i < PIPE_SIZE; i++)
                        source_release(atomic_exchange(&slots[i], NULL));
        return NULL;
}

Test(source_table, several_threads_count_out_what_one_counts_in)
{
        pthread_t threads[N_THREADS];
        struct source *source;

        limit(PIPE_SIZE, 0);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_create(&threads[i], NULL, release_all, NULL);
        for (uint32_t i = 0; i < N_VISITS; i++) {
                cr_assert_eq(admit_nth(i % 5, &source), SOURCE_ADMITTED);
                source_release(atomic_exchange(&slots[i % PIPE_SIZE], source));
                cr_assert_leq(table.n_sources, 5);
        }
        atomic_store(&is_over, true);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        for (unsigned i = 0; i < PIPE_SIZE; i++)
                source_release(slots[i]);
        limit(0, 0);
        for (uint32_t i = 0; i < 5; i++)
                visit("192.0.2.1");
        cr_assert_eq(table.n_sources, 0);
}
