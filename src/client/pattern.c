#include "pattern.h"

#include <endian.h>
#include <string.h>

#include "util.h"

/* How far the furthest offset is set ahead, so that threads seldom write to what they share. */
#define STEP (1 << 20)

#define INDEX_BITS 44
#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)

/* The multipliers of splitmix64's finalizer, and their inverses modulo 2^64. */
#define MULTIPLIER_1 UINT64_C(0xbf58476d1ce4e5b9)
#define MULTIPLIER_2 UINT64_C(0x94d049bb133111eb)
#define INVERSE_1    UINT64_C(0x96de1b173f119089)
#define INVERSE_2    UINT64_C(0x319642b2d24d8ec3)

static uint64_t mix(uint64_t x)
{
        x = (x ^ (x >> 30)) * MULTIPLIER_1;
        x = (x ^ (x >> 27)) * MULTIPLIER_2;
        return x ^ (x >> 31);
}

/* The inverse of x ^ (x >> n), for n of at least 22. */
static uint64_t unshift(uint64_t x, unsigned n)
{
        return x ^ (x >> n) ^ (n < 32 ? x >> (2 * n) : 0);
}

static uint64_t unmix(uint64_t x)
{
        x = unshift(x, 31) * INVERSE_2;
        x = unshift(x, 27) * INVERSE_1;
        return unshift(x, 30);
}

/* The word with this index, as it lies in memory. */
static uint64_t word(uint64_t stream, uint64_t index)
{
        return htole64(mix(stream ^ (index & INDEX_MASK)));
}

/* What the words of a connection have in common. */
static uint64_t stream_of(const struct pattern *pattern, uint32_t connection)
{
        return pattern->key ^ ((uint64_t)connection << INDEX_BITS);
}

void pattern_init(struct pattern *pattern, uint64_t seed)
{
        /* The constant keeps seed 0 from being the key 0, which mix() maps to itself. */
        pattern->key = mix(seed + UINT64_C(0x9e3779b97f4a7c15));
        atomic_init(&pattern->furthest, 0);
}

void pattern_reach(struct pattern *pattern, uint64_t offset)
{
        uint64_t before = atomic_load_explicit(&pattern->furthest, memory_order_relaxed);

        while (offset > before &&
               !atomic_compare_exchange_weak(&pattern->furthest, &before, offset + STEP))
                ;
}

bool pattern_is_reached(const struct pattern *pattern, uint64_t offset)
{
        return offset < atomic_load(&pattern->furthest);
}

/* The part of the word at `offset` from there to its end, at most `length` bytes; how many. */
static size_t part_of_word(uint64_t stream, uint64_t offset, uint8_t part[static PATTERN_WORD],
                           size_t length)
{
        uint64_t whole = word(stream, offset / PATTERN_WORD);
        size_t skipped = offset % PATTERN_WORD, n = MIN(length, PATTERN_WORD - skipped);

        memcpy(part, (const uint8_t *)&whole + skipped, n);
        return n;
}

void pattern_fill(const struct pattern *pattern, struct pattern_place from, uint8_t *bytes,
                  size_t length)
{
        uint64_t stream = stream_of(pattern, from.connection), index;
        uint8_t part[PATTERN_WORD];
        size_t n = part_of_word(stream, from.offset, part, length);

        memcpy(bytes, part, n);
        index = from.offset / PATTERN_WORD + 1;
        for (; length - n >= PATTERN_WORD; n += PATTERN_WORD) {
                uint64_t whole = word(stream, index++);

                memcpy(bytes + n, &whole, PATTERN_WORD);
        }
        if (n < length)
                memcpy(bytes + n, part,
                       part_of_word(stream, index * PATTERN_WORD, part, length - n));
}

static size_t match_bytes(const uint8_t *a, const uint8_t *b, size_t length)
{
        size_t n = 0;

        while (n < length && a[n] == b[n])
                n++;
        return n;
}

/* How much of the rest of the word at `offset` these bytes are; `*ret_n`: of how many. */
static size_t match_part(uint64_t stream, uint64_t offset, const uint8_t *bytes, size_t length,
                         size_t *ret_n)
{
        uint8_t part[PATTERN_WORD];

        *ret_n = part_of_word(stream, offset, part, length);
        return match_bytes(part, bytes, *ret_n);
}

size_t pattern_match(const struct pattern *pattern, struct pattern_place from, const uint8_t *bytes,
                     size_t length)
{
        uint64_t stream = stream_of(pattern, from.connection), index, whole;
        size_t n, compared, matched = match_part(stream, from.offset, bytes, length, &compared);

        if (matched < compared)
                return matched;
        n = compared;
        index = from.offset / PATTERN_WORD + 1;
        for (; length - n >= PATTERN_WORD; n += PATTERN_WORD, index++) {
                memcpy(&whole, bytes + n, PATTERN_WORD);
                if (whole != word(stream, index))
                        break;
        }
        return n + match_part(stream, index * PATTERN_WORD, bytes + n, length - n, &compared);
}

static uint8_t byte_at(const struct pattern *pattern, uint32_t connection, uint64_t offset)
{
        uint8_t byte;

        pattern_fill(pattern, (struct pattern_place){connection, offset}, &byte, 1);
        return byte;
}

size_t pattern_same_before(const struct pattern *pattern, struct pattern_place a,
                           struct pattern_place b, size_t max)
{
        size_t n = 0;

        while (n < max && n < a.offset && n < b.offset &&
               byte_at(pattern, a.connection, a.offset - n - 1) ==
                       byte_at(pattern, b.connection, b.offset - n - 1))
                n++;
        return n;
}

struct pattern_place pattern_invert(const struct pattern *pattern, const uint8_t *bytes)
{
        uint64_t whole;

        memcpy(&whole, bytes, PATTERN_WORD);
        whole = unmix(le64toh(whole)) ^ pattern->key;
        return (struct pattern_place){
                .connection = (uint32_t)(whole >> INDEX_BITS),
                .offset = (whole & INDEX_MASK) * PATTERN_WORD,
        };
}
