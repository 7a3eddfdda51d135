#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "sent_messages.h"

#define SIZE         64 /* bytes of a message */
#define CAPACITY_MAX 256

static struct sent_messages sent;
static bool there_is_no_memory;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
        return there_is_no_memory ? NULL : __real_calloc(n, size);
}

static void begin(void)
{
        sent_messages_init(&sent, SIZE, CAPACITY_MAX);
}

static void end(void)
{
        sent_messages_free(&sent);
}

TestSuite(sent_messages, .init = begin, .fini = end);

/* Each is sent at a time of its own, by which it is known. */
static uint64_t time_of(uint64_t n)
{
        return 1000 + n;
}

static void add(uint64_t n_more)
{
        while (n_more-- > 0)
                cr_assert_eq(sent_messages_add(&sent, time_of(sent.n)), 0);
}

static void expect_remembered(uint64_t from, uint64_t to)
{
        for (uint64_t n = 0; n < to + 2; n++) {
                const struct sent_message *message = sent_messages_find(&sent, n);

                cr_assert_eq(message != NULL, n >= from && n < to, "%lu", (unsigned long)n);
                if (message)
                        cr_assert_eq(message->sent_ns, time_of(n));
        }
}

Test(sent_messages, none_are_remembered_at_first)
{
        expect_remembered(0, 0);
}

Test(sent_messages, all_are_remembered_as_long_as_there_is_room)
{
        for (uint64_t n = 1; n <= CAPACITY_MAX; n++) {
                add(1);
                expect_remembered(0, n);
        }
}

/* The message has come back in full, or is late. */
static void answer(uint64_t n)
{
        sent_messages_find(&sent, n)->n_good = SIZE;
        sent_messages_judge(&sent);
}

static void give_up(uint64_t n)
{
        sent_messages_find(&sent, n)->is_late = true;
        sent_messages_judge(&sent);
}

/* Never is one taken for another. */
Test(sent_messages, beyond_that_the_oldest_are_forgotten)
{
        for (uint64_t n = 1; n <= 3 * CAPACITY_MAX; n++) {
                add(1);
                give_up(n - 1);
                expect_remembered(n > CAPACITY_MAX ? n - CAPACITY_MAX : 0, n);
        }
}

Test(sent_messages, there_is_no_room_when_none_is_judged)
{
        add(CAPACITY_MAX - 1);
        cr_assert(sent_messages_have_room(&sent));
        add(1);
        cr_assert_not(sent_messages_have_room(&sent));
        give_up(0);
        cr_assert(sent_messages_have_room(&sent));
}

Test(sent_messages, they_are_judged_in_their_order)
{
        cr_assert_null(sent_messages_judge(&sent));
        add(5);
        cr_assert_eq(sent_messages_judge(&sent), sent_messages_find(&sent, 0));
        answer(1);
        cr_assert_eq(sent_messages_judge(&sent), sent_messages_find(&sent, 0));
        cr_assert_eq(sent_messages_under_way(&sent), 4);
        give_up(0);
        cr_assert_eq(sent_messages_judge(&sent), sent_messages_find(&sent, 2));
        cr_assert_eq(sent_messages_under_way(&sent), 3);
        for (uint64_t n = 2; n < 5; n++)
                answer(n);
        cr_assert_null(sent_messages_judge(&sent));
        cr_assert_eq(sent_messages_under_way(&sent), 0);
}

Test(sent_messages, what_has_come_back_is_kept_when_the_table_grows)
{
        add(40);
        for (uint64_t n = 0; n < 20; n++)
                answer(n);
        sent_messages_forget(&sent, 20);
        sent_messages_find(&sent, 30)->n_good = 7;
        sent_messages_find(&sent, 31)->is_late = true;
        add(CAPACITY_MAX / 2);
        cr_assert_eq(sent_messages_find(&sent, 30)->n_good, 7);
        cr_assert(sent_messages_find(&sent, 31)->is_late);
        expect_remembered(20, 40 + CAPACITY_MAX / 2);
}

Test(sent_messages, the_table_is_small_as_long_as_answers_come)
{
        for (uint64_t n = 0; n < 10000; n++) {
                add(1);
                answer(n);
                sent_messages_forget(&sent, n > 10 ? n - 10 : 0);
        }
        cr_assert_leq(sent.capacity, 64);
        expect_remembered(9989, 10000);
}

Test(sent_messages, what_is_not_judged_is_not_forgotten)
{
        add(3);
        answer(0);
        sent_messages_forget(&sent, 100);
        expect_remembered(1, 3);
}

Test(sent_messages, without_memory_none_is_forgotten)
{
        there_is_no_memory = true;
        cr_assert_eq(sent_messages_add(&sent, 1), -ENOMEM);
        there_is_no_memory = false;
        add(64);
        there_is_no_memory = true;
        cr_assert_eq(sent_messages_add(&sent, 1), -ENOMEM);
        there_is_no_memory = false;
        expect_remembered(0, 64);
}
