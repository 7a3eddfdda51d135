/*
 * The happy path: verifier_feed() compares the bytes with the pattern from the cursor on.
 *
 * The first byte that differs begins the evidence. Once there is enough of it, find_place() looks
 * for a word of some stream in it. Bytes before that word that do not lead up to it are corrupted.
 * Where the word stands tells the rest, and move_cursor() goes on from there:
 *
 *   another connection          mixed; the next word of our own leads back
 *   beyond all that came        lost, unless it still comes: that is the gap
 *   in the gap                  reordered; at the gap's end the cursor leaps back to the front
 *   before what has come        duplicated; nothing is good until the cursor is at the front again
 */

#include "verifier.h"

#include <stdbool.h>
#include <string.h>

#include "util.h"

/* What is missing that far behind is lost. */
#define GAP_PATIENCE (1 << 20)

/* How far a fragment too short to be inverted is looked for. */
#define SEARCH_MAX 65536

void verifier_init(struct verifier *verifier, struct pattern *pattern,
                   const struct verifier_events *events, uint32_t connection,
                   uint32_t n_connections)
{
        *verifier = (struct verifier){
                .pattern = pattern,
                .events = events,
                .connection = connection,
                .n_connections = n_connections,
                .cursor = {.connection = connection},
        };
}

void verifier_fill(struct verifier *verifier, uint64_t offset, uint8_t *bytes, size_t length)
{
        struct pattern_place place = {.connection = verifier->connection, .offset = offset};

        pattern_fill(verifier->pattern, place, bytes, length);
        verifier->n_sent = MAX(verifier->n_sent, offset + length);
        pattern_reach(verifier->pattern, verifier->n_sent);
}

static void report(struct verifier *verifier, const struct fault *fault)
{
        verifier->events->on_fault(verifier, fault);
}

/* Bytes have come that belong elsewhere. */
static void report_from(struct verifier *verifier, enum fault_kind kind, struct pattern_place place)
{
        report(verifier, &(struct fault){.kind = kind, .offset = verifier->high, .place = place});
}

static void report_lost(struct verifier *verifier, uint64_t from, uint64_t to)
{
        if (from < to)
                report(verifier, &(struct fault){
                                         .kind = FAULT_LOST,
                                         .offset = from,
                                         .length = to - from,
                                 });
}

/* What is in the gap will not come any more. */
static void give_gap_up(struct verifier *verifier)
{
        report_lost(verifier, verifier->gap_start, verifier->gap_end);
        verifier->gap_start = verifier->gap_end = 0;
}

uint64_t verifier_decided(const struct verifier *verifier)
{
        return verifier->gap_start < verifier->gap_end ? verifier->gap_start : verifier->high;
}

static bool is_own(const struct verifier *verifier)
{
        return verifier->cursor.connection == verifier->connection;
}

static bool is_in_gap(const struct verifier *verifier, uint64_t offset)
{
        return offset >= verifier->gap_start && offset < verifier->gap_end;
}

/* Up to where bytes from the cursor on mean the same. */
static uint64_t segment_end(const struct verifier *verifier)
{
        uint64_t offset = verifier->cursor.offset;

        if (!is_own(verifier))
                return UINT64_MAX;
        if (offset >= verifier->high)
                return verifier->n_sent;
        if (is_in_gap(verifier, offset))
                return verifier->gap_end;
        return offset < verifier->gap_start ? verifier->gap_start : verifier->high;
}

/* Bytes of our own have come that were missing. */
static void fill_gap(struct verifier *verifier, uint64_t to)
{
        verifier->gap_start = to;
        if (to == verifier->gap_end)
                verifier->cursor.offset = verifier->high;
}

/* So many bytes of one segment have come as expected. */
static void accept(struct verifier *verifier, size_t length)
{
        uint64_t from = verifier->cursor.offset, to = from + length;

        verifier->cursor.offset = to;
        if (!is_own(verifier) || length == 0)
                return;
        if (is_in_gap(verifier, from)) {
                fill_gap(verifier, to);
        } else if (from >= verifier->high) {
                verifier->high = to;
                if (verifier->gap_end > 0 && to - verifier->gap_end > GAP_PATIENCE)
                        give_gap_up(verifier);
        } else {
                return; /* again */
        }
        verifier->events->on_good(verifier, from, to);
}

/* Whether there can be a whole word at that place. */
static bool is_plausible(const struct verifier *verifier, const struct pattern_place *place)
{
        if (place->connection == verifier->connection)
                return place->offset + PATTERN_WORD <= verifier->n_sent;
        return place->connection < verifier->n_connections &&
               pattern_is_reached(verifier->pattern, place->offset);
}

/*
 * Looks for a word in the evidence. `ret_place`: where the bytes that lead up to it come from;
 * returns the index of the first of these, or -1.
 */
static int find_place(const struct verifier *verifier, struct pattern_place *ret_place)
{
        const uint8_t *evidence = verifier->evidence;
        uint8_t expected;

        for (int at = 0; at + PATTERN_WORD <= verifier->n_evidence; at++) {
                struct pattern_place place = pattern_invert(verifier->pattern, evidence + at);

                if (!is_plausible(verifier, &place))
                        continue;
                for (; at > 0 && place.offset > 0; at--, place.offset--) {
                        struct pattern_place previous = {place.connection, place.offset - 1};

                        pattern_fill(verifier->pattern, previous, &expected, 1);
                        if (expected != evidence[at - 1])
                                break;
                }
                *ret_place = place;
                return at;
        }
        return -1;
}

/* The bytes that belong nowhere. `next`: where the stream goes on, if it is our own. */
static void report_junk(struct verifier *verifier, uint64_t next)
{
        uint64_t at = is_own(verifier) ? verifier->cursor.offset : verifier->high;

        report(verifier, &(struct fault){
                                 .kind = FAULT_CORRUPTED,
                                 .offset = at,
                                 .length = verifier->n_junk,
                         });
        /* They came in the place of others, which are accounted for so. */
        if (next == at + verifier->n_junk) {
                if (is_in_gap(verifier, at))
                        verifier->gap_start = MIN(next, verifier->gap_end);
                verifier->high = MAX(verifier->high, next);
                verifier->cursor.offset = next;
        }
        verifier->n_junk = 0;
}

static void leap_ahead(struct verifier *verifier, uint64_t offset)
{
        give_gap_up(verifier);
        verifier->gap_start = verifier->high;
        verifier->gap_end = verifier->high = offset;
}

static void enter_gap(struct verifier *verifier, uint64_t offset)
{
        report_lost(verifier, verifier->gap_start, offset);
        verifier->gap_start = offset;
        report(verifier, &(struct fault){
                                 .kind = FAULT_REORDERED,
                                 .offset = offset,
                                 .place = {verifier->connection, verifier->gap_end},
                         });
}

/*
 * Where streams part, bytes of both can be the same by chance. So the front may lie a little too
 * far ahead when the cursor leaves it, which is remembered here,
 */
static void leave_front(struct verifier *verifier, struct pattern_place place)
{
        struct pattern_place front = {verifier->connection, verifier->high};

        if (is_own(verifier) && verifier->cursor.offset == verifier->high)
                verifier->n_blurred =
                        (uint8_t)pattern_same_before(verifier->pattern, place, front, PATTERN_WORD);
}

/* and the cursor may come back to it a little behind the front: the bytes between are good. */
static void catch_up(struct verifier *verifier, uint64_t offset)
{
        struct pattern_place place = {verifier->connection, offset};
        uint64_t high = verifier->high;
        bool is_at_front = is_own(verifier) && verifier->cursor.offset == high;

        if (offset <= high || is_at_front ||
            pattern_same_before(verifier->pattern, place, verifier->cursor, offset - high) <
                    offset - high)
                return;
        verifier->high = offset;
        verifier->events->on_good(verifier, high, offset);
}

/* Our own stream goes on elsewhere than expected. */
static void move_within(struct verifier *verifier, uint64_t offset)
{
        bool is_expected = is_own(verifier) && offset == verifier->cursor.offset;
        struct pattern_place place = {verifier->connection, offset};

        if (offset > verifier->high) {
                leap_ahead(verifier, offset);
        } else if (is_in_gap(verifier, offset)) {
                if (!is_expected)
                        enter_gap(verifier, offset);
        } else if (offset < verifier->high - verifier->n_blurred) {
                leave_front(verifier, place);
                report_from(verifier, FAULT_DUPLICATED, place);
        } else {
                verifier->n_blurred = 0;
        }
}

/* The stream goes on elsewhere than expected. */
static void move_cursor(struct verifier *verifier, struct pattern_place place)
{
        bool is_own_place = place.connection == verifier->connection;

        if (verifier->n_junk > 0)
                report_junk(verifier, is_own_place ? place.offset : UINT64_MAX);
        else if (is_own_place)
                catch_up(verifier, place.offset);
        if (is_own_place) {
                move_within(verifier, place.offset);
        } else {
                leave_front(verifier, place);
                report_from(verifier, FAULT_MIXED, place);
        }
        verifier->cursor = place;
}

/* Goes on from a place with the evidence from an index on. */
static void go_on_at(struct verifier *verifier, struct pattern_place place, size_t index)
{
        uint8_t rest[VERIFIER_EVIDENCE];
        size_t n = verifier->n_evidence - index;

        memcpy(rest, verifier->evidence + index, n);
        verifier->n_junk += index;
        verifier->n_evidence = 0;
        move_cursor(verifier, place);
        verifier_feed(verifier, rest, n);
}

/* There is as much evidence as there can be. */
static void judge(struct verifier *verifier)
{
        struct pattern_place place;
        int index = find_place(verifier, &place);

        if (index >= 0) {
                go_on_at(verifier, place, (size_t)index);
                return;
        }
        verifier->n_junk++;
        verifier->n_evidence--;
        memmove(verifier->evidence, verifier->evidence + 1, verifier->n_evidence);
}

/* Compares what it can; returns how many bytes were as expected. */
static size_t compare(struct verifier *verifier, const uint8_t *bytes, size_t length)
{
        uint64_t room = segment_end(verifier) - verifier->cursor.offset;
        size_t n = pattern_match(verifier->pattern, verifier->cursor, bytes, MIN(length, room));

        accept(verifier, n);
        return n;
}

void verifier_feed(struct verifier *verifier, const uint8_t *bytes, size_t length)
{
        while (length > 0) {
                size_t n = 0;

                if (verifier->n_evidence == 0 && verifier->n_junk == 0)
                        n = compare(verifier, bytes, length);
                if (n == 0) {
                        verifier->evidence[verifier->n_evidence++] = bytes[0];
                        n = 1;
                }
                bytes += n;
                length -= n;
                if (verifier->n_evidence == VERIFIER_EVIDENCE)
                        judge(verifier);
        }
}

/* Whether all the evidence from an index on is our own from an offset on. */
static bool fits(const struct verifier *verifier, uint64_t offset, size_t index)
{
        struct pattern_place place = {.connection = verifier->connection, .offset = offset};
        size_t n = verifier->n_evidence - index;

        return offset + n <= verifier->n_sent &&
               pattern_match(verifier->pattern, place, verifier->evidence + index, n) == n;
}

/*
 * Where evidence that is too short to be inverted may come from: the very end of what was sent, the
 * expected place but for its first bytes, or somewhere near. True: `*ret_offset` and `*ret_index`.
 */
static bool find_fragment(const struct verifier *verifier, uint64_t *ret_offset, size_t *ret_index)
{
        uint64_t next = verifier->high + verifier->n_junk, n = verifier->n_evidence;

        *ret_index = 0;
        *ret_offset = verifier->n_sent - MIN(n, verifier->n_sent);
        if (fits(verifier, *ret_offset, 0))
                return true;
        for (*ret_index = 1; *ret_index < n; ++*ret_index) {
                *ret_offset = next + *ret_index;
                if (fits(verifier, *ret_offset, *ret_index))
                        return true;
        }
        *ret_index = 0;
        for (uint64_t distance = 1; distance < SEARCH_MAX && n > 1; distance++) {
                *ret_offset = next + distance;
                if (fits(verifier, *ret_offset, 0))
                        return true;
                *ret_offset = next - MIN(next, distance);
                if (fits(verifier, *ret_offset, 0))
                        return true;
        }
        return false;
}

void verifier_settle(struct verifier *verifier)
{
        struct pattern_place place = {.connection = verifier->connection};
        size_t index;
        int found = verifier->n_evidence > 0 ? find_place(verifier, &place) : -1;

        if (found >= 0) {
                go_on_at(verifier, place, (size_t)found);
        } else if (verifier->n_evidence > 0 && find_fragment(verifier, &place.offset, &index)) {
                go_on_at(verifier, place, index);
        } else if (verifier->n_evidence > 0) {
                uint64_t n = verifier->n_junk + verifier->n_evidence;

                place.offset = MIN(verifier->high + n, verifier->n_sent);
                go_on_at(verifier, place, verifier->n_evidence);
        }
        give_gap_up(verifier);
}

void verifier_finish(struct verifier *verifier)
{
        verifier_settle(verifier);
        report_lost(verifier, verifier->high, verifier->n_sent);
        verifier->high = verifier->n_sent;
        verifier->cursor = (struct pattern_place){verifier->connection, verifier->n_sent};
}
