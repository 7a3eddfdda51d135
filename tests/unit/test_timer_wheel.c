#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "timer_wheel.h"
#include "util.h"

#define ENTRIES_MAX 20000
#define TICK        WHEEL_TICK_MS
#define YEAR_MS     (365ULL * 24 * 3600 * 1000)
#define TOP_MS      ((1ULL << (6 * WHEEL_LEVELS)) * TICK) /* as far as the levels reach */

/* The wheel beside what it ought to do, kept in the simplest way. */
static struct timer_wheel wheel;
static struct timer_entry entries[ENTRIES_MAX];
static uint64_t deadlines[ENTRIES_MAX]; /* as scheduled; NO_DEADLINE: not */
static uint64_t latest[ENTRIES_MAX];    /* when a pop at that time must give the entry */
static unsigned n_entries;
static uint64_t now_ms, turned_ms; /* the time, and that of the last pop */
static uint64_t seed;

static uint64_t next_random(void)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed;
}

static void begin(unsigned n, uint64_t start_ms, uint64_t first_seed)
{
        cr_assert_leq(n, ENTRIES_MAX);
        n_entries = n;
        now_ms = turned_ms = start_ms;
        seed = first_seed * 0x9e3779b97f4a7c15 + 1;
        timer_wheel_init(&wheel, start_ms);
        for (unsigned i = 0; i < n; i++) {
                timer_entry_init(&entries[i]);
                deadlines[i] = NO_DEADLINE;
        }
}

/* What has passed already is due at the next tick. */
static void schedule(unsigned i, uint64_t deadline_ms)
{
        deadlines[i] = deadline_ms;
        latest[i] = MAX((deadline_ms + TICK - 1) / TICK * TICK, (turned_ms / TICK + 1) * TICK);
        timer_wheel_schedule(&wheel, &entries[i], deadline_ms);
}

static void cancel(unsigned i)
{
        deadlines[i] = NO_DEADLINE;
        timer_wheel_cancel(&entries[i]);
}

/* Turns to `to_ms`: what comes out is due, and what is due comes out. Returns how many. */
static unsigned advance(uint64_t to_ms)
{
        struct timer_entry *entry;
        unsigned n = 0;

        now_ms = turned_ms = to_ms;
        while ((entry = timer_wheel_pop(&wheel, now_ms))) {
                ptrdiff_t i = entry - entries;

                cr_assert_neq(deadlines[i], NO_DEADLINE, "%td comes out unasked", i);
                cr_assert_leq(deadlines[i], now_ms, "%td is early", i);
                cr_assert_eq(entry->deadline_ms, NO_DEADLINE);
                deadlines[i] = NO_DEADLINE;
                n++;
        }
        for (unsigned i = 0; i < n_entries; i++)
                cr_assert(deadlines[i] == NO_DEADLINE || latest[i] > now_ms, "%u is late", i);
        return n;
}

/* next() is in the future, and not later than the first entry must come. */
static void expect_next(void)
{
        uint64_t first = NO_DEADLINE, next = timer_wheel_next(&wheel);

        for (unsigned i = 0; i < n_entries; i++)
                if (deadlines[i] != NO_DEADLINE)
                        first = MIN(first, latest[i]);
        cr_assert_leq(next, first);
        cr_assert_gt(next, now_ms, "would be polled without end");
}

/* From 1 ms to about `1 << max_bits` ms, each magnitude as often as the others. */
static uint64_t random_span(unsigned max_bits)
{
        unsigned bits = (unsigned)(next_random() % (max_bits + 1));

        return 1 + next_random() % (1ULL << bits);
}

static void act_at_random(unsigned max_bits)
{
        unsigned i = (unsigned)(next_random() % n_entries);
        uint64_t span = random_span(max_bits);

        switch (next_random() % 8) {
        case 0:
                cancel(i);
                break;
        case 1: /* it has passed already */
                schedule(i, now_ms - MIN(now_ms, span));
                break;
        default:
                schedule(i, now_ms + span);
                break;
        }
}

/* Some time passes: a bit, or up to what the wheel asks for, or far beyond. */
static void advance_at_random(unsigned max_bits)
{
        uint64_t next = timer_wheel_next(&wheel);

        switch (next_random() % 4) {
        case 0:
                advance(now_ms + next_random() % 20);
                break;
        case 1:
                advance(now_ms + random_span(max_bits));
                break;
        default:
                advance(next == NO_DEADLINE ? now_ms : MAX(next, now_ms));
                break;
        }
        expect_next();
}

static void live_at_random(unsigned n, uint64_t start_ms, unsigned max_bits, unsigned n_steps)
{
        for (uint64_t first_seed = 1; first_seed <= 8; first_seed++) {
                begin(n, start_ms, first_seed);
                for (unsigned step = 0; step < n_steps; step++) {
                        for (uint64_t k = next_random() % 8; k > 0; k--)
                                act_at_random(max_bits);
                        /* Time also passes without a look at the wheel. */
                        now_ms += next_random() % 16 == 0 ? random_span(10) : 0;
                        advance_at_random(max_bits);
                }
                advance(now_ms + (2ULL << max_bits));
                cr_assert_eq(timer_wheel_next(&wheel), NO_DEADLINE, "nothing is left");
        }
}

TestSuite(timer_wheel, .timeout = 100);

Test(timer_wheel, agrees_with_a_naive_model_over_seconds)
{
        live_at_random(200, 0, 13, 4000);
}

Test(timer_wheel, agrees_with_a_naive_model_over_hours)
{
        live_at_random(200, 123456789, 25, 4000);
}

Test(timer_wheel, agrees_with_a_naive_model_over_years)
{
        live_at_random(200, 1700000000123, 37, 4000);
}

Test(timer_wheel, agrees_with_a_naive_model_for_few_entries)
{
        live_at_random(3, 7, 34, 10000);
}

Test(timer_wheel, agrees_with_a_naive_model_for_many_thousand_entries)
{
        begin(ENTRIES_MAX, 5, 1);
        for (unsigned i = 0; i < ENTRIES_MAX; i++)
                schedule(i, now_ms + random_span(24));
        for (unsigned step = 0; step < 2000; step++) {
                for (unsigned k = 0; k < 50; k++)
                        act_at_random(24);
                advance_at_random(14);
        }
}

/* Pops exactly when the wheel asks for it, until the entry comes; returns when. */
static uint64_t await(unsigned i)
{
        for (unsigned turns = 0; deadlines[i] != NO_DEADLINE; turns++) {
                cr_assert_lt(turns, 1000, "turns without end");
                advance(timer_wheel_next(&wheel));
        }
        return now_ms;
}

Test(timer_wheel, an_entry_polled_at_next_comes_within_one_tick)
{
        static const uint64_t starts[] = {0, 1, 7, 8, 511, 512, 32767 * 8, 1700000000123};

        for (size_t s = 0; s < ARRAY_SIZE(starts); s++) {
                for (uint64_t span = 1; span < 20 * YEAR_MS; span += 1 + span / 7) {
                        uint64_t deadline = starts[s] + span;

                        begin(1, starts[s], 1);
                        schedule(0, deadline);
                        cr_assert_lt(await(0) - deadline, TICK, "%" PRIu64 " + %" PRIu64, starts[s],
                                     span);
                }
        }
}

Test(timer_wheel, entries_at_the_edges_of_every_level_come_in_time)
{
        begin(ENTRIES_MAX, 999, 1);
        for (unsigned level = 0, i = 0; level <= WHEEL_LEVELS; level++) {
                uint64_t edge = (1ULL << (6 * level)) * TICK;

                for (uint64_t near = edge - MIN(edge, 3 * TICK); near < edge + 3 * TICK; near++)
                        schedule(i++, now_ms + near);
        }
        while (timer_wheel_next(&wheel) != NO_DEADLINE) {
                advance(timer_wheel_next(&wheel));
                expect_next();
        }
}

Test(timer_wheel, an_entry_far_beyond_the_top_level_is_neither_early_nor_lost)
{
        begin(2, 0, 1);
        schedule(0, 10 * TOP_MS + 3);
        schedule(1, TOP_MS);
        cr_assert_eq(await(1), TOP_MS);
        cr_assert_eq(advance(10 * TOP_MS), 0);
        cr_assert_eq(await(0), 10 * TOP_MS + TICK);
}

Test(timer_wheel, the_last_deadlines_that_there_are_do_not_wrap_round)
{
        begin(2, YEAR_MS, 1);
        schedule(0, NO_DEADLINE - 2 * TICK);
        timer_wheel_schedule(&wheel, &entries[1], NO_DEADLINE);
        for (uint64_t t = YEAR_MS; t < 100 * YEAR_MS; t += YEAR_MS)
                cr_assert_null(timer_wheel_pop(&wheel, t));
        cr_assert_neq(timer_wheel_next(&wheel), NO_DEADLINE);
}

Test(timer_wheel, without_a_timeout_nothing_is_scheduled)
{
        begin(1, 100, 1);
        schedule(0, 200);
        timer_wheel_schedule(&wheel, &entries[0], NO_DEADLINE);
        cr_assert_not(list_is_linked(&entries[0].link));
        cr_assert_null(timer_wheel_pop(&wheel, 1000));
}

Test(timer_wheel, an_empty_one_wants_nothing)
{
        begin(0, 12345, 1);
        cr_assert_eq(timer_wheel_next(&wheel), NO_DEADLINE);
        cr_assert_null(timer_wheel_pop(&wheel, 12345));
        cr_assert_null(timer_wheel_pop(&wheel, 12345 + 10 * YEAR_MS));
        cr_assert_eq(timer_wheel_next(&wheel), NO_DEADLINE);
}

Test(timer_wheel, cancelling_twice_or_before_scheduling_does_no_harm)
{
        begin(1, 0, 1);
        cancel(0);
        schedule(0, 100);
        cancel(0);
        cancel(0);
        cr_assert_eq(advance(1000), 0);
        schedule(0, 2000);
        cr_assert_eq(advance(2000), 1);
}

Test(timer_wheel, an_entry_that_is_due_can_be_cancelled_or_put_off)
{
        begin(3, 0, 1);
        for (unsigned i = 0; i < 3; i++)
                schedule(i, 16);
        cr_assert_eq(timer_wheel_pop(&wheel, 16), &entries[0]);
        deadlines[0] = NO_DEADLINE;
        turned_ms = 16;
        cancel(1);
        schedule(2, 100);
        cr_assert_eq(advance(99), 0);
        cr_assert_eq(advance(104), 1);
}

Test(timer_wheel, what_waits_to_be_popped_is_next_at_once)
{
        begin(2, 0, 1);
        schedule(0, 16);
        schedule(1, 16);
        cr_assert_not_null(timer_wheel_pop(&wheel, 20));
        cr_assert_leq(timer_wheel_next(&wheel), 20);
}

Test(timer_wheel, a_deadline_set_again_while_popping_comes_no_sooner_than_the_next_tick)
{
        struct timer_entry *entry;

        begin(1, 0, 1);
        schedule(0, 8);
        entry = timer_wheel_pop(&wheel, 8);
        cr_assert_eq(entry, &entries[0]);
        timer_wheel_schedule(&wheel, entry, 3);
        cr_assert_null(timer_wheel_pop(&wheel, 8), "or one busy owner would turn here for ever");
        cr_assert_eq(timer_wheel_pop(&wheel, 16), entry);
}

Test(timer_wheel, a_deadline_that_has_passed_is_due_at_the_next_tick_of_an_idle_wheel_too)
{
        begin(1, 0, 1);
        cr_assert_null(timer_wheel_pop(&wheel, 1000));
        timer_wheel_schedule(&wheel, &entries[0], 3);
        cr_assert_eq(timer_wheel_next(&wheel), 1008);
        cr_assert_null(timer_wheel_pop(&wheel, 1007));
        cr_assert_eq(timer_wheel_pop(&wheel, 1008), &entries[0]);
}

Test(timer_wheel, a_leap_over_centuries_takes_no_more_turns_than_there_are_entries)
{
        begin(100, 0, 3);
        for (unsigned i = 0; i < 100; i++)
                schedule(i, random_span(36));
        cr_assert_eq(advance(500 * YEAR_MS), 100);
}
