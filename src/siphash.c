#include "siphash.h"

#include <endian.h>
#include <string.h>

struct state {
        uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
        return word << bits | word >> (64 - bits);
}

static void scramble(struct state *s, unsigned n_rounds)
{
        for (; n_rounds > 0; n_rounds--) {
                s->v0 += s->v1;
                s->v2 += s->v3;
                s->v1 = rotate(s->v1, 13) ^ s->v0;
                s->v3 = rotate(s->v3, 16) ^ s->v2;
                s->v0 = rotate(s->v0, 32) + s->v3;
                s->v2 += s->v1;
                s->v3 = rotate(s->v3, 21) ^ s->v0;
                s->v1 = rotate(s->v1, 17) ^ s->v2;
                s->v2 = rotate(s->v2, 32);
        }
}

static void compress(struct state *s, uint64_t word)
{
        s->v3 ^= word;
        scramble(s, 2);
        s->v0 ^= word;
}

/* Up to eight bytes, the first one the least significant. */
static uint64_t load(const uint8_t *bytes, size_t length)
{
        uint64_t word = 0;

        memcpy(&word, bytes, length);
        return le64toh(word);
}

uint64_t siphash(const uint8_t key[static SIPHASH_KEY_SIZE], const void *bytes, size_t length)
{
        const uint8_t *at = bytes;
        uint64_t k0 = load(key, 8), k1 = load(key + 8, 8);
        struct state s = {
                .v0 = k0 ^ 0x736f6d6570736575,
                .v1 = k1 ^ 0x646f72616e646f6d,
                .v2 = k0 ^ 0x6c7967656e657261,
                .v3 = k1 ^ 0x7465646279746573,
        };
        size_t left = length;

        for (; left >= 8; left -= 8, at += 8)
                compress(&s, load(at, 8));
        compress(&s, (uint64_t)length << 56 | load(at, left));
        s.v2 ^= 0xff;
        scramble(&s, 4);
        return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
