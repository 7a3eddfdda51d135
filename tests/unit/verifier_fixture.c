#include "verifier_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#include "util.h"

struct pattern pattern;
struct verifier verifier;
struct fault faults[FAULTS_MAX];
size_t n_faults;
uint8_t is_good[LENGTH];
uint64_t n_good;
uint8_t sent[LENGTH], received[4 * LENGTH];

static void on_good(struct verifier *self, uint64_t from, uint64_t to)
{
        cr_assert_eq(self, &verifier);
        cr_assert_lt(from, to);
        cr_assert_leq(to, LENGTH);
        for (uint64_t offset = from; offset < to; offset++)
                cr_assert_eq(is_good[offset]++, 0, "%lu is good twice", (unsigned long)offset);
        n_good += to - from;
}

static void on_fault(struct verifier *self, const struct fault *fault)
{
        cr_assert_eq(self, &verifier);
        cr_assert_lt(n_faults, FAULTS_MAX);
        faults[n_faults++] = *fault;
}

const struct verifier_events EVENTS = {on_good, on_fault};

void begin_with(uint64_t seed)
{
        pattern_init(&pattern, seed);
        verifier_init(&verifier, &pattern, &EVENTS, OWN, 10);
        verifier_fill(&verifier, 0, sent, LENGTH);
        memset(is_good, 0, sizeof(is_good));
        n_faults = n_good = 0;
}

void begin(void)
{
        begin_with(1);
}

void others(uint32_t connection, uint64_t offset, uint8_t *bytes, size_t length)
{
        pattern_fill(&pattern, (struct pattern_place){connection, offset}, bytes, length);
}

void feed(size_t length, size_t cut)
{
        verifier_feed(&verifier, received, MIN(cut, length));
        if (cut < length)
                verifier_feed(&verifier, received + cut, length - cut);
}

uint64_t first_difference(size_t length)
{
        size_t n = 0;

        while (n < length && n < LENGTH && received[n] == sent[n])
                n++;
        return n;
}

void expect_fault(size_t index, enum fault_kind kind, uint64_t offset, uint64_t length)
{
        char text[FAULT_TEXT_MAX];

        cr_assert_lt(index, n_faults, "no fault %zu", index);
        fault_format(&faults[index], text);
        cr_assert_eq(faults[index].kind, kind, "%s", text);
        cr_assert_eq(faults[index].offset, offset, "%s instead of %lu", text,
                     (unsigned long)offset);
        cr_assert_eq(faults[index].length, length, "%s instead of %lu", text,
                     (unsigned long)length);
}

void expect_faults(size_t n)
{
        char text[FAULT_TEXT_MAX] = "";

        if (n_faults > 0)
                fault_format(&faults[n_faults - 1], text);
        cr_assert_eq(n_faults, n, "%zu faults instead of %zu; the last: %s", n_faults, n, text);
}

void feed_and_finish(size_t length, size_t cut, size_t n)
{
        feed(length, cut);
        verifier_finish(&verifier);
        expect_faults(n);
}
