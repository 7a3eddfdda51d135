/* Linked with mmap() and munmap() wrapped, to see the chunks come and go, and to fail. */

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "slab.h"
#include "trap.h"
#include "util.h"

#define OBJECTS_MAX 5000
#define SIZE        400

static unsigned n_taken, n_returned;
static unsigned n_trims; /* calls of munmap(2) that belong to the last mmap(2) */
static bool is_out_of_memory;

/* With _FILE_OFFSET_BITS=64 this is the name that mmap(2) goes by. */
void *__real_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t length);
int __wrap_munmap(void *address, size_t length);

void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
        void *area;

        if (is_out_of_memory)
                return MAP_FAILED;
        n_taken++;
        area = __real_mmap64(address, length, protection, flags, fd, offset);
        n_trims = (uintptr_t)area % SLAB_CHUNK_SIZE ? 2 : 1;
        return area;
}

int __wrap_munmap(void *address, size_t length)
{
        if (n_trims > 0)
                n_trims--;
        else
                n_returned++;
        return __real_munmap(address, length);
}

static struct slab slab;
static char *objects[OBJECTS_MAX];

static void begin(void)
{
        slab_init(&slab, SIZE);
}

TestSuite(slab, .init = begin);

static size_t objects_per_chunk(size_t size)
{
        size_t stride = (size + SLAB_ALIGNMENT - 1) / SLAB_ALIGNMENT * SLAB_ALIGNMENT;

        return (SLAB_CHUNK_SIZE - SLAB_ALIGNMENT) / stride; /* the first line is the chunk's own */
}

static void allocate(unsigned from, unsigned to)
{
        for (unsigned i = from; i < to; i++) {
                objects[i] = slab_allocate(&slab);
                cr_assert_not_null(objects[i]);
        }
}

static void release(unsigned from, unsigned to)
{
        for (unsigned i = from; i < to; i++) {
                slab_free(&slab, objects[i]);
                objects[i] = NULL;
        }
}

/* Writes all over an object what only it contains. */
static void mark(unsigned i)
{
        for (size_t j = 0; j + sizeof(i) <= SIZE; j += sizeof(i))
                memcpy(objects[i] + j, &i, sizeof(i));
}

static void expect_mark(unsigned i)
{
        for (size_t j = 0; j + sizeof(i) <= SIZE; j += sizeof(i))
                cr_assert_eq(memcmp(objects[i] + j, &i, sizeof(i)), 0, "object %u, byte %zu", i, j);
}

Test(slab, an_empty_one_has_allocated_nothing)
{
        slab_destroy(&slab);
        cr_assert_eq(n_taken, 0);
        cr_assert_eq(n_returned, 0);
}

Test(slab, objects_begin_on_cache_lines)
{
        static const size_t sizes[] = {1, 8, 63, 64, 65, 400, SLAB_CHUNK_SIZE / 4};

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                unsigned n = (unsigned)objects_per_chunk(sizes[i]) * 2 + 1;

                slab_init(&slab, sizes[i]);
                allocate(0, n);
                for (unsigned j = 0; j < n; j++)
                        cr_assert_eq((uintptr_t)objects[j] % SLAB_ALIGNMENT, 0);
                release(0, n);
                slab_destroy(&slab);
        }
}

Test(slab, objects_do_not_overlap_each_other_or_their_chunk)
{
        allocate(0, OBJECTS_MAX);
        for (unsigned i = 0; i < OBJECTS_MAX; i++)
                mark(i);
        for (unsigned i = 0; i < OBJECTS_MAX; i++)
                expect_mark(i);
        release(0, OBJECTS_MAX);
        slab_destroy(&slab);
        cr_assert_eq(n_returned, n_taken);
}

/* In a new slab for objects of this size. */
static void expect_chunks_filled(size_t size)
{
        unsigned per_chunk = (unsigned)objects_per_chunk(size);

        slab_init(&slab, size);
        n_taken = 0;
        for (unsigned chunk = 0; chunk < 4; chunk++) {
                allocate(chunk * per_chunk, chunk * per_chunk + 1);
                cr_assert_eq(n_taken, chunk + 1);
                allocate(chunk * per_chunk + 1, (chunk + 1) * per_chunk);
                cr_assert_eq(n_taken, chunk + 1, "a chunk holds %u of %zu", per_chunk, size);
        }
        release(0, 4 * per_chunk);
        slab_destroy(&slab);
}

Test(slab, takes_no_more_chunks_than_the_objects_fill)
{
        expect_chunks_filled(SIZE);
        expect_chunks_filled(64); /* these fill a chunk to its last byte */
        expect_chunks_filled(SLAB_CHUNK_SIZE / 4);
}

Test(slab, a_freed_object_is_used_again_first)
{
        char *freed;

        allocate(0, 10);
        freed = objects[3];
        release(3, 4);
        allocate(3, 4);
        cr_assert_eq(objects[3], freed);
        release(0, 10);
        slab_destroy(&slab);
}

Test(slab, holes_in_full_chunks_are_filled_before_a_chunk_is_taken)
{
        unsigned per_chunk = (unsigned)objects_per_chunk(SIZE), n = 4 * per_chunk;

        allocate(0, n);
        for (unsigned i = 0; i < n; i += 3)
                release(i, i + 1);
        for (unsigned i = 0; i < n; i += 3)
                allocate(i, i + 1);
        cr_assert_eq(n_taken, 4);
        release(0, n);
        slab_destroy(&slab);
}

Test(slab, a_hole_is_found_in_whichever_full_chunk_it_is)
{
        unsigned per_chunk = (unsigned)objects_per_chunk(SIZE), n = 4 * per_chunk;

        allocate(0, n);
        for (unsigned i = 0; i < n; i += per_chunk / 2) {
                release(i, i + 1);
                allocate(i, i + 1);
                cr_assert_eq(n_taken, 4);
        }
        release(0, n);
        slab_destroy(&slab);
}

Test(slab, chunks_that_have_become_empty_go_back_save_one)
{
        unsigned per_chunk = (unsigned)objects_per_chunk(SIZE);

        allocate(0, 4 * per_chunk);
        release(0, per_chunk);
        cr_assert_eq(n_returned, 0, "the first empty one stays");
        release(per_chunk, 2 * per_chunk);
        cr_assert_eq(n_returned, 1);
        release(2 * per_chunk, 4 * per_chunk);
        cr_assert_eq(n_returned, 3);
        slab_destroy(&slab);
        cr_assert_eq(n_returned, 4);
}

Test(slab, coming_and_going_at_the_edge_of_a_chunk_costs_no_chunk_each_time)
{
        unsigned per_chunk = (unsigned)objects_per_chunk(SIZE);

        allocate(0, per_chunk);
        for (unsigned i = 0; i < 100; i++) {
                allocate(per_chunk, per_chunk + 1);
                release(per_chunk, per_chunk + 1);
        }
        cr_assert_eq(n_taken, 2);
        release(0, per_chunk);
        slab_destroy(&slab);
}

Test(slab, nothing_happens_when_nothing_is_freed)
{
        slab_free(&slab, NULL);
        slab_destroy(&slab);
}

Test(slab, out_of_memory_is_told_and_survived)
{
        unsigned per_chunk = (unsigned)objects_per_chunk(SIZE);

        is_out_of_memory = true;
        cr_assert_null(slab_allocate(&slab));
        is_out_of_memory = false;
        allocate(0, per_chunk);
        is_out_of_memory = true;
        cr_assert_null(slab_allocate(&slab), "the only chunk is full");
        release(0, 1);
        allocate(0, 1);
        cr_assert_null(slab_allocate(&slab));
        is_out_of_memory = false;
        allocate(per_chunk, per_chunk + 1);
        release(0, per_chunk + 1);
        slab_destroy(&slab);
        cr_assert_eq(n_returned, n_taken);
}

Test(slab, a_long_life_of_random_coming_and_going_mixes_nothing_up)
{
        uint32_t seed = 7;
        unsigned n_live = 0, per_chunk = (unsigned)objects_per_chunk(SIZE);

        for (unsigned step = 0; step < 200000; step++) {
                unsigned i = (seed = seed * 1664525 + 1013904223) / 65536 % 2000;

                if (objects[i]) {
                        expect_mark(i);
                        release(i, i + 1);
                        n_live--;
                } else if (n_live < 100 + step % 1000) {
                        allocate(i, i + 1);
                        mark(i);
                        n_live++;
                }
                cr_assert_leq(n_live, (n_taken - n_returned) * per_chunk);
        }
        for (unsigned i = 0; i < 2000; i++)
                release(i, i + 1);
        cr_assert_eq(n_taken - n_returned, 1);
        slab_destroy(&slab);
}

Test(slab, destroying_it_with_an_object_in_use_aborts, .signal = TRAP)
{
        SKIP_WITHOUT_ASSERTS();
        allocate(0, 1);
        slab_destroy(&slab);
}
