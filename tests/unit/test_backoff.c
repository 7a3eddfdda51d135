#include <criterion/criterion.h>

#include "backoff.h"

/* How many chances pass by before the next attempt. */
static unsigned count_skipped(struct backoff *backoff)
{
        unsigned n = 0;

        while (!backoff_may_try(backoff))
                n++;
        return n;
}

Test(backoff, while_it_works_every_chance_is_taken)
{
        struct backoff backoff = {0};

        for (int i = 0; i < 10; i++) {
                cr_assert_eq(count_skipped(&backoff), 0);
                backoff_succeeded(&backoff);
        }
}

Test(backoff, each_failure_in_a_row_lets_twice_as_many_pass_by)
{
        struct backoff backoff = {0};

        for (unsigned expected = 2; expected <= 64; expected *= 2) {
                backoff_failed(&backoff, 6);
                cr_assert_eq(count_skipped(&backoff), expected);
        }
}

Test(backoff, it_goes_no_further_than_it_is_told)
{
        struct backoff backoff = {0};

        for (int i = 0; i < 100; i++) {
                backoff_failed(&backoff, 3);
                cr_assert_leq(count_skipped(&backoff), 8);
        }
        cr_assert_eq(count_skipped(&backoff), 0);
}

Test(backoff, a_success_starts_it_over)
{
        struct backoff backoff = {0};

        for (int i = 0; i < 10; i++)
                backoff_failed(&backoff, 6);
        cr_assert_eq(count_skipped(&backoff), 64);
        backoff_succeeded(&backoff);
        backoff_failed(&backoff, 6);
        cr_assert_eq(count_skipped(&backoff), 2);
}
