#include <criterion/criterion.h>
#include <string.h>

#include "siphash.h"
#include "util.h"

static uint8_t key[SIPHASH_KEY_SIZE], message[64];

/* As the paper has them, in its appendix A. */
static void count_up(void)
{
        for (unsigned i = 0; i < sizeof(message); i++)
                message[i] = (uint8_t)i;
        memcpy(key, message, sizeof(key));
}

TestSuite(siphash, .init = count_up);

/* The one of the paper is that of 15 bytes; the others are OpenSSL's. */
Test(siphash, gives_the_published_hashes)
{
        static const struct {
                size_t length;
                uint64_t hash;
        } known[] = {
                {0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
                {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}, {16, 0x3f2acc7f57c29bdb},
        };

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                cr_assert_eq(siphash(key, message, known[i].length), known[i].hash,
                             "%zu bytes: %llx", known[i].length,
                             (unsigned long long)siphash(key, message, known[i].length));
}

Test(siphash, reads_from_any_address)
{
        uint8_t shifted[sizeof(message) + 1];

        memcpy(shifted + 1, message, sizeof(message));
        for (size_t length = 0; length <= sizeof(message); length++)
                cr_assert_eq(siphash(key, shifted + 1, length), siphash(key, message, length));
}

Test(siphash, each_bit_of_the_key_matters)
{
        uint64_t hash = siphash(key, message, 16);

        for (unsigned bit = 0; bit < 8 * SIPHASH_KEY_SIZE; bit++) {
                key[bit / 8] ^= (uint8_t)(1U << bit % 8);
                cr_assert_neq(siphash(key, message, 16), hash, "bit %u", bit);
                key[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
}
