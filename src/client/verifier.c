/*
 * The happy path: verifier_feed() compares the bytes with the pattern from the cursor on.
 *
 * The first byte that differs begins the evidence. Once there is enough of it, evidence_find_word()
 * looks for a word of some stream in it. Bytes before that word that do not lead up to it are
 * corrupted. Where the word stands tells the rest, and move_cursor() goes on from there:
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
        verifier->n_gap_blurred = 0;
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
static void fill_gap(struct verifier *verifier, uint64_t from, uint64_t to)
{
        uint64_t start = MAX(from, verifier->fresh_start), end = MIN(to, verifier->fresh_end);

        verifier->gap_start = to;
        verifier->n_gap_blurred = 0;
        if (to == verifier->gap_end)
                verifier->cursor.offset = verifier->high;
        if (start < end)
                verifier->events->on_good(verifier, start, end);
}

/* So many bytes of one segment have come as expected. */
static void accept(struct verifier *verifier, size_t length)
{
        uint64_t from = verifier->cursor.offset, to = from + length;

        verifier->cursor.offset = to;
        if (!is_own(verifier) || length == 0)
                return;
        if (is_in_gap(verifier, from)) {
                fill_gap(verifier, from, to);
        } else if (from >= verifier->high) {
                verifier->high = to;
                if (verifier->gap_end > 0 && to - verifier->gap_end > GAP_PATIENCE)
                        give_gap_up(verifier);
                verifier->events->on_good(verifier, from, to);
        }
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

static bool is_at_front(const struct verifier *verifier)
{
        return is_own(verifier) && verifier->cursor.offset == verifier->high;
}

/*
 * Where streams part, bytes of both can be the same by chance. So when the cursor leaves the front
 * for another place, the front may lie too far ahead by as many bytes as are told here,
 */
static uint8_t blur_at_front(const struct verifier *verifier, struct pattern_place place)
{
        struct pattern_place front = {verifier->connection, verifier->high};

        if (!is_at_front(verifier) || verifier->n_junk > 0)
                return 0;
        return (uint8_t)pattern_same_before(verifier->pattern, place, front, PATTERN_WORD);
}

/* which is remembered until it comes back there; */
static void leave_front(struct verifier *verifier, uint8_t blur)
{
        if (is_at_front(verifier))
                verifier->n_blurred = blur;
}

/* what is missing may be as far back, */
static void leap_ahead(struct verifier *verifier, uint64_t offset, uint8_t blur)
{
        uint64_t high = verifier->high;

        give_gap_up(verifier);
        verifier->gap_start = verifier->fresh_start = high;
        verifier->gap_end = verifier->high = offset;
        verifier->fresh_end = MAX(high, offset - blur);
        verifier->n_gap_blurred = blur;
        if (verifier->fresh_end < offset)
                verifier->events->on_good(verifier, verifier->fresh_end, offset);
}

/*
 * and what was missing may have begun as far before `offset`. Whether it has come: `*ret_from`,
 * where it begins, which is where the gap does if that can be.
 */
static bool find_entry(const struct verifier *verifier, uint64_t offset, uint8_t blur,
                       uint64_t *ret_from)
{
        uint64_t first = offset - MIN(offset, blur), start = verifier->gap_start;

        *ret_from = offset;
        if (offset > start)
                *ret_from = MAX(first, start);
        else if (start - offset > verifier->n_gap_blurred)
                return false;
        return offset + MAX(start, *ret_from) - *ret_from < verifier->gap_end;
}

static void enter_gap(struct verifier *verifier, uint64_t from, uint64_t offset)
{
        if (from < verifier->gap_start)
                verifier->gap_end -= verifier->gap_start - from;
        report_lost(verifier, verifier->gap_start, from);
        verifier->gap_start = from;
        report(verifier, &(struct fault){
                                 .kind = FAULT_REORDERED,
                                 .offset = from,
                                 .place = {verifier->connection, verifier->gap_end},
                         });
        if (from < offset)
                fill_gap(verifier, from, offset);
}

/* and the cursor may come back to it a little behind the front: the bytes between are good. */
static void catch_up(struct verifier *verifier, uint64_t offset)
{
        struct pattern_place place = {verifier->connection, offset};
        uint64_t high = verifier->high;

        if (offset <= high || is_at_front(verifier) ||
            pattern_same_before(verifier->pattern, place, verifier->cursor, offset - high) <
                    offset - high)
                return;
        verifier->high = offset;
        verifier->events->on_good(verifier, high, offset);
}

/* Our own stream goes on elsewhere than expected. */
static void move_within(struct verifier *verifier, uint64_t offset, uint8_t blur)
{
        bool is_expected = is_own(verifier) && offset == verifier->cursor.offset;
        uint64_t from;

        if (is_expected && is_in_gap(verifier, offset))
                return;
        if (offset > verifier->high) {
                leap_ahead(verifier, offset, blur);
                verifier->n_blurred = 0;
        } else if (find_entry(verifier, offset, blur, &from)) {
                leave_front(verifier, blur);
                enter_gap(verifier, from, offset);
        } else if (offset < verifier->high - verifier->n_blurred) {
                leave_front(verifier, blur);
                report_from(verifier, FAULT_DUPLICATED,
                            (struct pattern_place){verifier->connection, offset});
        } else {
                verifier->n_blurred = 0;
        }
}

/* The stream goes on elsewhere than expected. */
static void move_cursor(struct verifier *verifier, struct pattern_place place)
{
        bool is_own_place = place.connection == verifier->connection;
        uint8_t blur = blur_at_front(verifier, place);

        if (verifier->n_junk > 0)
                report_junk(verifier, is_own_place ? place.offset : UINT64_MAX);
        else if (is_own_place)
                catch_up(verifier, place.offset);
        if (is_own_place) {
                move_within(verifier, place.offset, blur);
        } else {
                leave_front(verifier, blur);
                report_from(verifier, FAULT_MIXED, place);
        }
        verifier->cursor = place;
}

static struct suspects suspects_of(const struct verifier *verifier)
{
        return (struct suspects){
                .pattern = verifier->pattern,
                .connection = verifier->connection,
                .n_connections = verifier->n_connections,
                .n_sent = verifier->n_sent,
        };
}

/* Goes on from a place with the evidence from an index on. */
static void go_on_at(struct verifier *verifier, struct pattern_place place, size_t index)
{
        uint8_t rest[EVIDENCE_MAX];
        size_t n = verifier->evidence.n - index;

        memcpy(rest, verifier->evidence.bytes + index, n);
        verifier->n_junk += index;
        verifier->evidence.n = 0;
        move_cursor(verifier, place);
        verifier_feed(verifier, rest, n);
}

/* There is as much evidence as there can be. */
static void judge(struct verifier *verifier)
{
        struct pattern_place place;
        struct suspects suspects = suspects_of(verifier);
        int index = evidence_find_word(&verifier->evidence, &suspects, &place);

        if (index >= 0) {
                go_on_at(verifier, place, (size_t)index);
                return;
        }
        verifier->n_junk++;
        verifier->evidence.n--;
        memmove(verifier->evidence.bytes, verifier->evidence.bytes + 1, verifier->evidence.n);
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

                if (verifier->evidence.n == 0 && verifier->n_junk == 0)
                        n = compare(verifier, bytes, length);
                if (n == 0) {
                        verifier->evidence.bytes[verifier->evidence.n++] = bytes[0];
                        n = 1;
                }
                bytes += n;
                length -= n;
                if (verifier->evidence.n == EVIDENCE_MAX)
                        judge(verifier);
        }
}

void verifier_settle(struct verifier *verifier)
{
        struct pattern_place place = {.connection = verifier->connection};
        struct suspects suspects = suspects_of(verifier);
        const struct evidence *evidence = &verifier->evidence;
        uint64_t next = verifier->high + verifier->n_junk;
        int found = evidence_find_word(evidence, &suspects, &place);
        size_t index;

        if (found >= 0) {
                go_on_at(verifier, place, (size_t)found);
        } else if (evidence->n > 0 &&
                   evidence_find_fragment(evidence, &suspects, next, &place.offset, &index)) {
                go_on_at(verifier, place, index);
        } else if (evidence->n > 0) {
                place.offset = MIN(next + evidence->n, verifier->n_sent);
                go_on_at(verifier, place, evidence->n);
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
