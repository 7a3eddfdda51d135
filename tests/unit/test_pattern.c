#include <criterion/criterion.h>
#include <string.h>

#include "pattern.h"
#include "util.h"

#define LENGTH 100

static struct pattern pattern;

static void begin(void)
{
        pattern_init(&pattern, 1);
}

TestSuite(pattern, .init = begin);

static void fill(uint32_t connection, uint64_t offset, uint8_t *bytes, size_t length)
{
        pattern_fill(&pattern, (struct pattern_place){connection, offset}, bytes, length);
}

Test(pattern, any_piece_is_cut_out_of_the_same_stream)
{
        uint8_t whole[LENGTH], piece[LENGTH];

        fill(3, 0, whole, LENGTH);
        for (size_t start = 0; start < LENGTH; start++) {
                for (size_t length = 0; start + length <= LENGTH; length++) {
                        memset(piece, 0x55, sizeof(piece));
                        fill(3, start, piece, length);
                        cr_assert_arr_eq(piece, whole + start, length, "%zu + %zu", start, length);
                        for (size_t i = length; i < LENGTH; i++)
                                cr_assert_eq(piece[i], 0x55, "%zu + %zu", start, length);
                }
        }
}

Test(pattern, a_match_ends_at_the_first_byte_that_differs)
{
        for (size_t start = 0; start < 20; start++) {
                for (size_t length = 1; length < 40; length++) {
                        for (size_t wrong = 0; wrong <= length; wrong++) {
                                uint8_t bytes[LENGTH];

                                fill(7, start, bytes, sizeof(bytes));
                                bytes[wrong] ^= 1;
                                cr_assert_eq(pattern_match(&pattern,
                                                           (struct pattern_place){7, start}, bytes,
                                                           length),
                                             wrong, "%zu + %zu", start, length);
                        }
                }
        }
}

Test(pattern, every_word_tells_its_connection_and_its_offset)
{
        static const uint32_t connections[] = {0, 1, 2, 1000, PATTERN_CONNECTIONS_MAX - 1};

        for (size_t c = 0; c < ARRAY_SIZE(connections); c++) {
                for (unsigned bit = 3; bit < 47; bit++) {
                        uint64_t offset = (UINT64_C(1) << bit) - PATTERN_WORD;
                        struct pattern_place place;
                        uint8_t word[PATTERN_WORD];

                        fill(connections[c], offset, word, sizeof(word));
                        place = pattern_invert(&pattern, word);
                        cr_assert_eq(place.connection, connections[c]);
                        cr_assert_eq(place.offset, offset);
                }
        }
}

Test(pattern, words_of_any_seed_can_be_inverted)
{
        for (uint64_t seed = 0; seed < 1000; seed++) {
                struct pattern_place place;
                uint8_t word[PATTERN_WORD];

                pattern_init(&pattern, seed * UINT64_C(0x123456789abcdef));
                fill(5, 8 * seed, word, sizeof(word));
                place = pattern_invert(&pattern, word);
                cr_assert_eq(place.connection, 5);
                cr_assert_eq(place.offset, 8 * seed);
        }
}

Test(pattern, another_seed_is_another_stream)
{
        uint8_t one[PATTERN_WORD], other[PATTERN_WORD];

        fill(0, 0, one, sizeof(one));
        pattern_init(&pattern, 2);
        fill(0, 0, other, sizeof(other));
        cr_assert_arr_neq(one, other, sizeof(one));
}

Test(pattern, all_byte_values_are_about_as_frequent)
{
        static uint8_t bytes[1 << 16];
        unsigned counts[256] = {0};

        fill(0, 0, bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++)
                counts[bytes[i]]++;
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                cr_assert(counts[i] > 170 && counts[i] < 345, "%u of value %zu", counts[i], i);
}
