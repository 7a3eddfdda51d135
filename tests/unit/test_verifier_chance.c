/*
 * Bytes of two places are the same by chance in one case of 256. With enough seeds that happens at
 * each place where a stream is cut, and must not confuse what is told.
 */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "verifier_fixture.h"

#define SEEDS 3000

TestSuite(verifier_chance, .init = begin);

static void expect_all_good(uint64_t seed, size_t from, size_t to)
{
        for (size_t i = from; i < to; i++)
                cr_assert_eq(is_good[i], 1, "seed %lu: %zu", (unsigned long)seed, i);
}

Test(verifier_chance, pieces_that_are_exchanged_are_reordered_and_nothing_is_lost)
{
        static const size_t sizes[] = {16, 27, 40, 64};

        for (uint64_t seed = 0; seed < SEEDS; seed++) {
                size_t n = sizes[seed % ARRAY_SIZE(sizes)], at = seed / 4 % 30;

                begin_with(seed);
                memcpy(received, sent, LENGTH);
                memcpy(received + at, sent + at + n, n);
                memcpy(received + at + n, sent + at, n);
                feed_and_finish(LENGTH, seed % LENGTH, 1);
                cr_assert_eq(faults[0].kind, FAULT_REORDERED);
                expect_all_good(seed, 0, LENGTH);
        }
}

/* The last piece comes first, and that is all there is. */
Test(verifier_chance, also_at_the_end_of_what_was_sent)
{
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
                begin_with(seed);
                memcpy(received, sent + 64, LENGTH - 64);
                memcpy(received + LENGTH - 64, sent, 64);
                feed_and_finish(LENGTH, seed % LENGTH, 1);
                cr_assert_eq(faults[0].kind, FAULT_REORDERED);
                expect_all_good(seed, 0, LENGTH);
        }
}

Test(verifier_chance, a_piece_that_is_lost_takes_nothing_of_the_next_one_along)
{
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
                size_t n = 16 + seed % 40, at = seed % 64;

                begin_with(seed);
                memcpy(received, sent, at);
                memcpy(received + at, sent + at + n, LENGTH - at - n);
                feed_and_finish(LENGTH - n, seed % LENGTH, 1);
                expect_fault(0, FAULT_LOST, first_difference(LENGTH - n), n);
                expect_all_good(seed, 0, at);
                expect_all_good(seed, at + n, LENGTH);
        }
}

Test(verifier_chance, a_piece_that_comes_twice_is_no_loss)
{
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
                size_t n = 16 + seed % 40, at = n + seed % 64;

                begin_with(seed);
                memcpy(received, sent, at);
                memcpy(received + at, sent + at - n, LENGTH - at + n);
                feed_and_finish(LENGTH + n, seed % LENGTH, 1);
                cr_assert_eq(faults[0].kind, FAULT_DUPLICATED);
                expect_all_good(seed, 0, LENGTH);
        }
}

/* Random mistakes of all kinds: whatever happens, nothing is good twice and nothing is forgotten.
 */
Test(verifier_chance, no_mixture_of_mistakes_confuses_it)
{
        for (unsigned seed = 1; seed <= 4000; seed++) {
                size_t length = 0;

                srand(seed);
                begin();
                while (length < 2 * LENGTH) {
                        size_t n = 1 + (size_t)rand() % 40, from = (size_t)rand() % (LENGTH - n);

                        if (rand() % 4 == 0)
                                others((uint32_t)(rand() % 12), from, received + length, n);
                        else
                                memcpy(received + length, sent + from, n);
                        if (rand() % 8 == 0)
                                received[length] ^= 0x40;
                        length += n;
                }
                for (size_t n, fed = 0; fed < length; fed += n) {
                        n = 1 + (size_t)rand() % 50;
                        n = MIN(n, length - fed);
                        verifier_feed(&verifier, received + fed, n);
                        if (rand() % 10 == 0)
                                verifier_settle(&verifier);
                        n_faults = MIN(n_faults, FAULTS_MAX / 4);
                }
                n_faults = 0;
                verifier_finish(&verifier);
                cr_assert_leq(n_good, LENGTH);
        }
}
