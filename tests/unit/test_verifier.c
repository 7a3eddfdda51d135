#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "verifier_fixture.h"

TestSuite(verifier, .init = begin);

Test(verifier, a_faithful_echo_is_good_however_it_is_cut)
{
        for (size_t cut = 0; cut <= LENGTH; cut++) {
                begin();
                memcpy(received, sent, LENGTH);
                feed_and_finish(LENGTH, cut, 0);
                cr_assert_eq(n_good, LENGTH);
        }
}

Test(verifier, a_faithful_echo_is_good_byte_by_byte)
{
        for (size_t i = 0; i < LENGTH; i++)
                verifier_feed(&verifier, sent + i, 1);
        verifier_finish(&verifier);
        cr_assert_eq(n_good, LENGTH);
        expect_faults(0);
}

/* How many bytes before an offset are, by chance, those before another `n` bytes later. */
static size_t same_before(size_t at, size_t n)
{
        size_t same = 0;

        while (same < at && sent[at - 1 - same] == sent[at + n - 1 - same])
                same++;
        return same;
}

/* Drops bytes and expects that this is told. */
static void lose(size_t at, size_t n, size_t cut)
{
        begin();
        memcpy(received, sent, at);
        memcpy(received + at, sent + at + n, LENGTH - at - n);
        feed_and_finish(LENGTH - n, cut, 1);
        expect_fault(0, FAULT_LOST, first_difference(LENGTH - n), n);
        cr_assert_eq(n_good, LENGTH - n + MIN(n, same_before(faults[0].offset, n)));
}

Test(verifier, lost_bytes_are_told_at_every_offset)
{
        static const size_t lengths[] = {1, 2, 7, 8, 9, 16, 40};

        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
                for (size_t at = 0; at + lengths[i] < LENGTH; at++)
                        lose(at, lengths[i], LENGTH);
}

Test(verifier, lost_bytes_are_told_wherever_the_stream_is_cut)
{
        for (size_t cut = 0; cut < LENGTH; cut++)
                lose(70, 5, cut);
}

Test(verifier, an_end_that_is_missing_is_lost)
{
        for (size_t at = 0; at < LENGTH; at++) {
                begin();
                verifier_feed(&verifier, sent, at);
                verifier_settle(&verifier);
                expect_faults(0); /* it may still come */
                verifier_finish(&verifier);
                expect_faults(1);
                expect_fault(0, FAULT_LOST, at, LENGTH - at);
        }
}

/* Repeats `n` bytes before `at` there. */
static void duplicate(size_t at, size_t n, size_t cut)
{
        begin();
        memcpy(received, sent, at);
        memcpy(received + at, sent + at - n, LENGTH - at + n);
        feed_and_finish(LENGTH + n, cut, 1);
        expect_fault(0, FAULT_DUPLICATED, first_difference(LENGTH + n), 0);
        cr_assert_eq(faults[0].offset - faults[0].place.offset, n);
        cr_assert_eq(n_good, LENGTH);
}

Test(verifier, duplicated_bytes_are_told_at_every_offset)
{
        static const size_t lengths[] = {8, 15, 16, 64};

        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
                for (size_t at = lengths[i]; at <= LENGTH; at++)
                        duplicate(at, lengths[i], LENGTH);
}

Test(verifier, duplicated_bytes_are_told_wherever_the_stream_is_cut)
{
        for (size_t cut = 0; cut < LENGTH; cut++)
                duplicate(80, 16, cut);
}

/* Exchanges two neighbouring pieces. */
static void swap(size_t at, size_t n, size_t m, size_t cut)
{
        begin();
        memcpy(received, sent, LENGTH);
        memcpy(received + at, sent + at + n, m);
        memcpy(received + at + m, sent + at, n);
        feed_and_finish(LENGTH, cut, 1);
        expect_fault(0, FAULT_REORDERED, first_difference(LENGTH), 0);
        cr_assert_eq(n_good, LENGTH);
}

Test(verifier, reordered_bytes_are_told_at_every_offset)
{
        for (size_t at = 0; at + 48 <= LENGTH; at++)
                swap(at, 24, 24, LENGTH);
}

Test(verifier, reordered_bytes_are_told_whatever_their_lengths)
{
        for (size_t n = 16; n < 60; n++)
                for (size_t m = 16; m < 60; m++)
                        swap(16, n, m, LENGTH);
}

Test(verifier, reordered_bytes_are_told_wherever_the_stream_is_cut)
{
        for (size_t cut = 0; cut < LENGTH; cut++)
                swap(41, 24, 32, cut);
}

Test(verifier, what_is_missing_is_not_decided_until_it_is_back_or_lost)
{
        cr_assert_eq(verifier_decided(&verifier), 0);
        verifier_feed(&verifier, sent, 40);
        cr_assert_eq(verifier_decided(&verifier), 40);
        verifier_feed(&verifier, sent + 64, 32);
        cr_assert_eq(verifier_decided(&verifier), 40);
        verifier_feed(&verifier, sent + 40, 16);
        cr_assert_eq(verifier_decided(&verifier), 56);
        verifier_settle(&verifier);
        cr_assert_eq(verifier_decided(&verifier), 96);
}

/* Bytes of another connection come in between. */
static void insert(size_t at, uint64_t offset, size_t n, size_t cut)
{
        begin();
        memcpy(received, sent, at);
        others(7, offset, received + at, n);
        memcpy(received + at + n, sent + at, LENGTH - at);
        feed_and_finish(LENGTH + n, cut, 1);
        cr_assert_eq(faults[0].kind, FAULT_MIXED);
        cr_assert_eq(faults[0].offset, first_difference(LENGTH));
        cr_assert_eq(faults[0].place.connection, 7);
        cr_assert_eq(faults[0].place.offset, offset + faults[0].offset - at);
        cr_assert_eq(n_good, LENGTH);
}

Test(verifier, bytes_of_another_connection_are_told_at_every_offset)
{
        for (size_t at = 0; at + 16 <= LENGTH; at++)
                insert(at, 1000 + at, 32, LENGTH);
}

Test(verifier, bytes_of_another_connection_are_told_wherever_the_stream_is_cut)
{
        for (size_t cut = 0; cut < LENGTH; cut++)
                insert(50, 0, 24, cut);
}

/* Has 32 bytes from 64 on come from another connection. */
static void replace(uint32_t connection)
{
        memcpy(received, sent, LENGTH);
        others(connection, 64, received + 64, 32);
}

Test(verifier, bytes_of_another_connection_in_the_place_of_ones_own_are_told_with_the_loss)
{
        replace(0);
        feed_and_finish(LENGTH, LENGTH, 2);
        expect_fault(0, FAULT_MIXED, 64, 0);
        expect_fault(1, FAULT_LOST, 64, 32);
        cr_assert_eq(n_good, LENGTH - 32);
}

Test(verifier, a_connection_that_does_not_exist_is_not_blamed)
{
        replace(10);
        feed_and_finish(LENGTH, LENGTH, 1);
        expect_fault(0, FAULT_CORRUPTED, 64, 32);
}

Test(verifier, an_offset_that_no_connection_has_reached_is_not_blamed)
{
        memcpy(received, sent, LENGTH);
        others(7, 50 << 20, received + 64, 32);
        feed(LENGTH, LENGTH);
        verifier_finish(&verifier);
        expect_faults(1);
        expect_fault(0, FAULT_CORRUPTED, 64, 32);
}

Test(verifier, bytes_of_another_connection_are_told_however_far_ahead_it_is)
{
        struct verifier other;

        verifier_init(&other, &pattern, &EVENTS, 7, 10);
        memcpy(received, sent, LENGTH);
        verifier_fill(&other, 50 << 20, received + 64, 32);
        feed(LENGTH, LENGTH);
        verifier_finish(&verifier);
        expect_faults(2);
        expect_fault(0, FAULT_MIXED, 64, 0);
        cr_assert_eq(faults[0].place.connection, 7);
        cr_assert_eq(faults[0].place.offset, 50 << 20);
        expect_fault(1, FAULT_LOST, 64, 32);
}

/* Changes bytes in their place. */
static void corrupt(size_t at, size_t n, size_t cut)
{
        begin();
        memcpy(received, sent, LENGTH);
        for (size_t i = 0; i < n; i++)
                received[at + i] = (uint8_t)~received[at + i];
        feed_and_finish(LENGTH, cut, 1);
        expect_fault(0, FAULT_CORRUPTED, at, n);
        cr_assert_eq(n_good, LENGTH - n);
}

Test(verifier, corrupted_bytes_are_told_at_every_offset)
{
        for (size_t n = 1; n < 40; n++)
                for (size_t at = 0; at + n <= LENGTH; at++)
                        corrupt(at, n, LENGTH);
}

Test(verifier, corrupted_bytes_are_told_wherever_the_stream_is_cut)
{
        for (size_t cut = 0; cut < LENGTH; cut++)
                corrupt(70, 3, cut);
}

Test(verifier, bytes_that_nobody_sent_are_told_when_they_are_inserted)
{
        for (size_t at = 0; at <= LENGTH; at++) {
                begin();
                memcpy(received, sent, at);
                memset(received + at, 0, 20);
                memcpy(received + at + 20, sent + at, LENGTH - at);
                feed(LENGTH + 20, LENGTH);
                verifier_finish(&verifier);
                cr_assert_geq(n_faults, 1);
                expect_fault(0, FAULT_CORRUPTED, first_difference(LENGTH + 20), faults[0].length);
                if (at + 16 <= LENGTH)
                        cr_assert_eq(n_good, LENGTH);
        }
}

Test(verifier, a_stream_of_nonsense_is_one_corruption)
{
        for (size_t i = 0; i < sizeof(received); i++)
                received[i] = (uint8_t)(33 + i % 94); /* chargen */
        verifier_feed(&verifier, received, sizeof(received));
        verifier_finish(&verifier);
        cr_assert_eq(n_good, 0);
        expect_fault(0, FAULT_CORRUPTED, 0, sizeof(received));
}

Test(verifier, after_a_fault_the_next_one_is_told_as_well)
{
        memcpy(received, sent, 40);
        memcpy(received + 40, sent + 41, 40);          /* 40 is lost */
        memcpy(received + 80, sent + 73, LENGTH - 73); /* from 73 on again */
        feed_and_finish(80 + LENGTH - 73, LENGTH, 2);
        expect_fault(0, FAULT_DUPLICATED, 81, 0);
        expect_fault(1, FAULT_LOST, 40, 1);
        cr_assert_eq(n_good, LENGTH - 1);
}

Test(verifier, a_fault_in_a_short_last_message_is_told_once_nothing_more_comes)
{
        for (size_t n = 2; n < 16; n++) { /* so many bytes are left, the first of them is lost */
                size_t at = LENGTH - n;

                begin();
                verifier_feed(&verifier, sent, at);
                verifier_feed(&verifier, sent + at + 1, n - 1);
                verifier_settle(&verifier);
                verifier_finish(&verifier);
                expect_faults(1);
                cr_assert_eq(faults[0].kind, FAULT_LOST);
                cr_assert_eq(faults[0].length, 1);
        }
}
