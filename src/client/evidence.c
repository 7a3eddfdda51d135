#include "evidence.h"

#include "util.h"

/* How far a fragment too short to be inverted is looked for. */
#define SEARCH_MAX 65536

/* Whether there can be a whole word at that place. */
static bool is_plausible(const struct suspects *suspects, const struct pattern_place *place)
{
        if (place->connection == suspects->connection)
                return place->offset + PATTERN_WORD <= suspects->n_sent;
        return place->connection < suspects->n_connections &&
               pattern_is_reached(suspects->pattern, place->offset);
}

int evidence_find_word(const struct evidence *evidence, const struct suspects *suspects,
                       struct pattern_place *ret_place)
{
        const uint8_t *bytes = evidence->bytes;
        uint8_t expected;

        for (int at = 0; at + PATTERN_WORD <= evidence->n; at++) {
                struct pattern_place place = pattern_invert(suspects->pattern, bytes + at);

                if (!is_plausible(suspects, &place))
                        continue;
                for (; at > 0 && place.offset > 0; at--, place.offset--) {
                        struct pattern_place previous = {place.connection, place.offset - 1};

                        pattern_fill(suspects->pattern, previous, &expected, 1);
                        if (expected != bytes[at - 1])
                                break;
                }
                *ret_place = place;
                return at;
        }
        return -1;
}

/* Whether all the evidence from an index on is our own from an offset on. */
static bool fits(const struct evidence *evidence, const struct suspects *suspects, uint64_t offset,
                 size_t index)
{
        struct pattern_place place = {.connection = suspects->connection, .offset = offset};
        size_t n = evidence->n - index;

        return offset + n <= suspects->n_sent &&
               pattern_match(suspects->pattern, place, evidence->bytes + index, n) == n;
}

bool evidence_find_fragment(const struct evidence *evidence, const struct suspects *suspects,
                            uint64_t next, uint64_t *ret_offset, size_t *ret_index)
{
        uint64_t n = evidence->n;

        *ret_index = 0;
        *ret_offset = suspects->n_sent - MIN(n, suspects->n_sent);
        if (fits(evidence, suspects, *ret_offset, 0))
                return true;
        for (*ret_index = 1; *ret_index < n; ++*ret_index) {
                *ret_offset = next + *ret_index;
                if (fits(evidence, suspects, *ret_offset, *ret_index))
                        return true;
        }
        *ret_index = 0;
        for (uint64_t distance = 1; distance < SEARCH_MAX && n > 1; distance++) {
                *ret_offset = next + distance;
                if (fits(evidence, suspects, *ret_offset, 0))
                        return true;
                *ret_offset = next - MIN(next, distance);
                if (fits(evidence, suspects, *ret_offset, 0))
                        return true;
        }
        return false;
}
