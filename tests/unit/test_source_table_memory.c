/* What a table costs in a flood and while it grows, and what it does without memory. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "source_table_fixture.h"

static bool is_out_of_memory;

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

TestSuite(source_table_memory, .init = open_table, .fini = close_table);

/* 64 bytes for each that is remembered, and two pointers at most for its bucket. */
#define MEMORY_MAX (SOURCES_IDLE_MAX * (64 + 2 * sizeof(void *)) + 3 * SLAB_CHUNK_SIZE)

Test(source_table_memory, a_flood_from_a_million_addresses_costs_bounded_memory)
{
        struct source *source;

        limit(0, 0.001);
        for (uint32_t i = 0; i < 1000000; i++) {
                cr_assert_eq(admit_nth(i, &source), SOURCE_ADMITTED);
                cr_assert_leq(table.n_sources, SOURCES_IDLE_MAX);
        }
        cr_assert_eq(table.n_idle, SOURCES_IDLE_MAX);
        cr_assert_leq(memory(), (size_t)MEMORY_MAX, "%zu bytes", memory());
        cr_assert_geq(table.n_buckets, table.n_sources);
}

Test(source_table_memory, in_a_flood_the_one_goes_that_came_longest_ago)
{
        struct source *source;

        limit(0, 0.001);
        visit("192.0.2.1");
        for (uint32_t i = 0; i < SOURCES_IDLE_MAX - 1; i++)
                admit_nth(i, &source);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_RATE);
        visit("192.0.2.2");
        cr_assert_eq(visit("192.0.2.1"), SOURCE_ADMITTED);
}

Test(source_table_memory, a_flood_does_not_touch_who_has_a_connection)
{
        struct source *source, *other;

        limit(1, 0.001);
        source = enter("192.0.2.1");
        for (uint32_t i = 0; i < 2 * SOURCES_IDLE_MAX; i++) {
                cr_assert_eq(admit_nth(i, &other), SOURCE_ADMITTED);
                source_release(other);
        }
        cr_assert_leq(table.n_sources, SOURCES_IDLE_MAX + 2);
        cr_assert_eq(visit("192.0.2.1"), SOURCE_OVER_LIMIT);
        source_release(source);
}

Test(source_table_memory, after_a_flood_the_memory_is_given_back_by_and_by)
{
        struct source *source;

        limit(0, 1);
        for (uint32_t i = 0; i < 50000; i++)
                admit_nth(i, &source);
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

Test(source_table_memory, all_are_found_while_the_table_grows)
{
        enum { N = 5000 };
        static struct source *sources[N];

        limit(1, 0);
        for (uint32_t i = 0; i < N; i++) {
                struct source *other;

                cr_assert_eq(admit_nth(i, &sources[i]), SOURCE_ADMITTED);
                for (uint32_t j = 0; j <= i; j += 97)
                        cr_assert_eq(admit_nth(j, &other), SOURCE_OVER_LIMIT);
        }
        for (uint32_t i = 0; i < N; i++) {
                struct source *other;

                cr_assert_eq(admit_nth(i, &other), SOURCE_OVER_LIMIT);
                cr_assert_eq(source_n_open(sources[i]), 1);
        }
        cr_assert_eq(table.n_sources, N);
        cr_assert_geq(table.n_buckets, N);
        for (uint32_t i = 0; i < N; i++)
                source_release(sources[i]);
}

Test(source_table_memory, without_memory_for_a_source_nothing_is_decided)
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

Test(source_table_memory, without_memory_for_more_buckets_all_are_found_still)
{
        struct source *source;

        limit(0, 0.001);
        visit("192.0.2.1"); /* the first buckets, and a chunk for a thousand sources */
        is_out_of_memory = true;
        for (uint32_t i = 0; i < 1000; i++)
                cr_assert_eq(admit_nth(i, &source), SOURCE_ADMITTED);
        is_out_of_memory = false;
        for (uint32_t i = 0; i < 1000; i++)
                cr_assert_eq(admit_nth(i, &source), SOURCE_OVER_RATE);
        visit("192.0.2.2");
        cr_assert_gt(table.capacity, 64);
}

Test(source_table_memory, another_key_sorts_otherwise)
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
