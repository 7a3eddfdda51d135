#include <criterion/criterion.h>

#include "load_messages.h"

#define SIZE  10
#define DEPTH 3

static struct load_message under_way[DEPTH], in_gap[DEPTH];
static struct load_messages messages;
static struct histogram *latencies;

static void begin(void)
{
        latencies = histogram_new();
        load_messages_init(&messages, under_way, in_gap, SIZE, DEPTH);
}

static void end(void)
{
        histogram_free(latencies);
}

TestSuite(load_messages, .init = begin, .fini = end);

static void send_at(uint64_t due_ns, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                load_messages_send(&messages, due_ns);
}

static uint64_t take(uint64_t from, uint64_t to, uint64_t now_ns)
{
        return load_messages_take(&messages, from, to, now_ns, latencies);
}

Test(load_messages, there_is_room_again_for_those_that_have_come)
{
        cr_assert_eq(load_messages_room(&messages), 3);
        send_at(100, 3);
        cr_assert_eq(load_messages_room(&messages), 0);
        cr_assert_eq(take(0, 25, 150), 2);
        cr_assert_eq(load_messages_pass(&messages, 25, 0, 0), 2);
        cr_assert_eq(load_messages_room(&messages), 2);
        cr_assert_eq(histogram_count(latencies), 2);
        cr_assert_eq(histogram_max(latencies), 50);
}

Test(load_messages, one_is_whole_when_its_last_byte_has_come_whichever_that_is)
{
        send_at(0, 1);
        cr_assert_eq(take(4, 10, 1), 0);
        cr_assert_eq(take(0, 3, 2), 0);
        cr_assert_eq(take(3, 4, 3), 1);
        cr_assert_eq(histogram_max(latencies), 3);
}

Test(load_messages, bytes_that_come_after_those_of_later_messages_count)
{
        send_at(0, 3);
        cr_assert_eq(take(0, 8, 1), 0);
        cr_assert_eq(take(22, 30, 1), 0);
        cr_assert_eq(load_messages_pass(&messages, 30, 8, 22), 3);
        send_at(2, 3);
        cr_assert_eq(take(30, 60, 3), 3);
        cr_assert_eq(load_messages_pass(&messages, 60, 8, 22), 3);
        cr_assert_eq(take(8, 22, 5), 3);
        cr_assert_eq(histogram_count(latencies), 6);
        cr_assert_eq(histogram_max(latencies), 5);
}

/* The fourth, which lacks a byte, is passed while the first one's may still come. */
Test(load_messages, one_that_is_not_whole_is_not_taken_for_one_in_the_gap)
{
        send_at(0, 3);
        cr_assert_eq(take(5, 30, 1), 2);
        cr_assert_eq(load_messages_pass(&messages, 30, 0, 5), 3);
        send_at(0, 1);
        cr_assert_eq(take(31, 40, 1), 0);
        cr_assert_eq(load_messages_pass(&messages, 40, 0, 5), 1);
        cr_assert_eq(take(0, 5, 1), 1);
        cr_assert_eq(take(30, 31, 1), 0);
}

Test(load_messages, one_of_which_bytes_are_lost_has_neither_come_nor_is_it_waited_for)
{
        send_at(0, 2);
        cr_assert_eq(take(1, 10, 1), 0);
        cr_assert_eq(load_messages_pass(&messages, 10, 0, 1), 1);
        cr_assert_eq(load_messages_give_up(&messages, 7, latencies), 1);
        cr_assert_eq(histogram_count(latencies), 1);
        cr_assert_eq(histogram_max(latencies), 7);
        cr_assert_eq(load_messages_room(&messages), 3);
}
