#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "source_table.h"
#include "util.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static struct source_table table;
static bool is_out_of_memory;
static uint64_t now_ns = 1000 * S; /* stands still unless a test moves it */

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
        return is_out_of_memory ? NULL : __real_realloc(memory, size);
}

void *__real_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
        return is_out_of_memory ? MAP_FAILED
                                : __real_mmap64(address, length, protection, flags, fd, offset);
}

static void open_table(void)
{
        source_table_init(&table, (const uint8_t[SIPHASH_KEY_SIZE]){"not random"});
}

static void close_table(void)
{
        source_table_destroy(&table);
}

TestSuite(source_table, .init = open_table, .fini = close_table);

static void limit(uint32_t max_connections, double rate)
{
        source_table_set_limits(&table, &(struct source_limits){max_connections, rate}, now_ns);
}

static int admit_address(const struct address *peer, struct source **ret_source)
{
        return source_table_admit(&table, peer, now_ns, ret_source);
}

static int admit(const char *peer, struct source **ret_source)
{
        struct address address;

        cr_assert_eq(address_parse(&address, peer, 51000), 0, "%s", peer);
        return admit_address(&address, ret_source);
}

/* For one that is counted and stays. */
static struct source *enter(const char *peer)
{
        struct source *source;

        cr_assert_eq(admit(peer, &source), SOURCE_ADMITTED, "%s", peer);
        cr_assert_not_null(source);
        return source;
}

/* For one that comes and goes at once. */
static int visit(const char *peer)
{
        struct source *source;
        int outcome = admit(peer, &source);

        source_release(source);
        return outcome;
}

/* The i-th of four thousand million clients. */
static struct address nth(uint32_t i)
{
        return (struct address){
                .family = AF_INET,
                .ip = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i},
        };
}

/* What the table takes of memory: its buckets, and the slab's chunks. */
static size_t memory(void)
{
        size_t bytes = table.capacity * sizeof(struct source *);

        LIST_FOR_EACH_SAFE (node, following, &table.slab.chunks)
                bytes += SLAB_CHUNK_SIZE;
        return bytes;
}

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

Test(source_table, an_ipv6_network_of_64_bits_is_one_source)
{
        struct source *source;

        limit(1, 0);
        source = enter("2001:db8:0:1::1");
        cr_assert_eq(visit("2001:db8:0:1:ffff:ffff:ffff:ffff"), SOURCE_OVER_LIMIT);
        cr_assert_eq(visit("2001:db8:0:2::1"), SOURCE_ADMITTED);
        cr_assert_eq(visit("2001:db8:0:0:ffff:ffff:ffff:ffff"), SOURCE_ADMITTED);
        source_release(source);
}

Test(source_table, a_mapped_address_is_the_ipv4_source)
{
        struct source *source;

        limit(1, 0);
        source = enter("192.0.2.1");
        cr_assert_eq(visit("::ffff:192.0.2.1"), SOURCE_OVER_LIMIT);
        cr_assert_eq(visit("::ffff:192.0.2.2"), SOURCE_ADMITTED);
        source_release(source);
}

Test(source_table, ipv6_networks_that_begin_like_an_ipv4_address_are_others)
{
        struct source *source;

        limit(1, 0);
        source = enter("32.1.13.184");
        cr_assert_eq(visit("2001:db8::"), SOURCE_ADMITTED);
        cr_assert_eq(visit("0:0:2001:db8::1"), SOURCE_ADMITTED);
        source_release(source);
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
                struct address peer = nth(i);
                struct source *source;

                admit_address(&peer, &source);
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

/* 64 bytes for each that is remembered, and two pointers at most for its bucket. */
#define MEMORY_MAX (SOURCES_IDLE_MAX * (64 + 2 * sizeof(void *)) + 3 * SLAB_CHUNK_SIZE)

Test(source_table, a_flood_from_a_million_addresses_costs_bounded_memory)
{
        struct source *source;

        limit(0, 0.001);
        for (uint32_t i = 0; i < 1000000; i++) {
                struct address peer = nth(i);

                cr_assert_eq(admit_address(&peer, &source), SOURCE_ADMITTED);
                cr_assert_leq(table.n_sources, SOURCES_IDLE_MAX);
        }
        cr_assert_eq(table.n_idle, SOURCES_IDLE_MAX);
        cr_assert_leq(memory(), (size_t)MEMORY_MAX, "%zu bytes", memory());
        cr_assert_geq(table.n_buckets, table.n_sources);
}

Test(source_table, in_a_flood_the_one_goes_that_came_longest_ago)
{
        struct source *source;

        limit(0, 0.001);
        visit("192.0.2.1");
        for (uint32_t i = 0; i < SOURCES_IDLE_MAX - 1; i++) {
                struct address peer = nth(i);

                admit_address(&peer, &source);
        }
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_RATE);
        visit("192.0.2.2");
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
}

Test(source_table, a_flood_does_not_touch_who_has_a_connection)
{
        struct source *source, *other;

        limit(1, 0.001);
        source = enter("192.0.2.1");
        for (uint32_t i = 0; i < 2 * SOURCES_IDLE_MAX; i++) {
                struct address peer = nth(i);

                cr_assert_eq(admit_address(&peer, &other), SOURCE_ADMITTED);
                source_release(other);
        }
        cr_assert_leq(table.n_sources, SOURCES_IDLE_MAX + 2);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_LIMIT);
        source_release(source);
}

Test(source_table, after_a_flood_the_memory_is_given_back_by_and_by)
{
        struct source *source;

        limit(0, 1);
        for (uint32_t i = 0; i < 50000; i++) {
                struct address peer = nth(i);

                admit_address(&peer, &source);
        }
        now_ns += S;
        for (unsigned i = 0; i < 50000 && table.n_sources > 1; i++) {
                size_t before = table.n_sources;

                visit("192.0.2.1");
                cr_assert_geq(table.n_sources + 8, before, "no decision does much of it");
                now_ns += S;
        }
        cr_assert_leq(table.n_sources, 1);
        cr_assert_leq(table.slab.n_empty, 1);
        cr_assert_leq(memory(), table.capacity * sizeof(void *) + 2 * SLAB_CHUNK_SIZE);
}

Test(source_table, all_are_found_while_the_table_grows)
{
        enum { N = 5000 };
        static struct source *sources[N];

        limit(1, 0);
        for (uint32_t i = 0; i < N; i++) {
                struct address peer = nth(i);
                struct source *other;

                cr_assert_eq(admit_address(&peer, &sources[i]), SOURCE_ADMITTED);
                for (uint32_t j = 0; j <= i; j += 97) {
                        peer = nth(j);
                        cr_assert_eq(admit_address(&peer, &other), SOURCE_OVER_LIMIT);
                }
        }
        for (uint32_t i = 0; i < N; i++) {
                struct address peer = nth(i);
                struct source *other;

                cr_assert_eq(admit_address(&peer, &other), SOURCE_OVER_LIMIT);
                cr_assert_eq(source_n_open(sources[i]), 1);
        }
        cr_assert_eq(table.n_sources, N);
        cr_assert_geq(table.n_buckets, N);
        for (uint32_t i = 0; i < N; i++)
                source_release(sources[i]);
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
                struct address peer = nth(i % 5);

                cr_assert_eq(admit_address(&peer, &source), SOURCE_ADMITTED);
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

Test(source_table, without_memory_for_a_source_nothing_is_decided)
{
        const struct address peer = nth(1);
        struct source *source;

        limit(1, 0);
        is_out_of_memory = true;
        cr_assert_eq(admit("192.0.2.1", &source), -ENOMEM);
        cr_assert_null(source);
        cr_assert_eq(source_table_count(&table, &peer, &source), -ENOMEM);
        cr_assert_null(source);
        is_out_of_memory = false;
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
}

Test(source_table, without_memory_for_more_buckets_all_are_found_still)
{
        struct source *source;

        limit(0, 0.001);
        visit("192.0.2.1"); /* the first buckets, and a chunk for a thousand sources */
        is_out_of_memory = true;
        for (uint32_t i = 0; i < 1000; i++) {
                struct address peer = nth(i);

                cr_assert_eq(admit_address(&peer, &source), SOURCE_ADMITTED);
        }
        is_out_of_memory = false;
        for (uint32_t i = 0; i < 1000; i++) {
                struct address peer = nth(i);

                cr_assert_eq(admit_address(&peer, &source), SOURCE_OVER_RATE);
        }
        visit("192.0.2.2");
        cr_assert_gt(table.capacity, 64);
}

Test(source_table, another_key_sorts_otherwise)
{
        struct source_table other;
        struct source *source;
        unsigned n_same = 0, n = 0;

        source_table_init(&other, (const uint8_t[SIPHASH_KEY_SIZE]){1});
        source_table_set_limits(&other, &(struct source_limits){.rate = 0.001}, now_ns);
        limit(0, 0.001);
        for (uint32_t i = 0; i < 32; i++) {
                struct address peer = nth(i);

                admit_address(&peer, &source);
                source_table_admit(&other, &peer, now_ns, &source);
        }
        for (size_t i = 0; i < table.n_buckets; i++) {
                n += table.buckets[i] != NULL;
                n_same += table.buckets[i] && other.buckets[i];
        }
        cr_assert_lt(n_same, n);
        source_table_destroy(&other);
}
