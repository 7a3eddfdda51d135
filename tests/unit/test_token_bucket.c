#include <criterion/criterion.h>

#include "token_bucket.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

/* How many tokens there are to take at once. */
static unsigned take_all(uint64_t *bucket, const struct token_rate *rate, uint64_t now_ns)
{
        unsigned n = 0;

        while (n < 10000 && token_bucket_take(bucket, rate, now_ns))
                n++;
        return n;
}

Test(token_bucket, is_full_at_first_with_one_seconds_worth)
{
        const struct token_rate rate = token_rate(7);
        uint64_t bucket = 0;

        cr_assert_eq(take_all(&bucket, &rate, 100 * S), 7);
}

Test(token_bucket, gives_again_at_its_rate)
{
        const struct token_rate rate = token_rate(10);
        uint64_t bucket = 0, now = 100 * S;

        take_all(&bucket, &rate, now);
        for (int i = 0; i < 50; i++) {
                cr_assert_not(token_bucket_take(&bucket, &rate, now + 99 * MS));
                now += 100 * MS;
                cr_assert_eq(take_all(&bucket, &rate, now), 1);
        }
        cr_assert_eq(take_all(&bucket, &rate, now + 350 * MS), 3);
}

Test(token_bucket, holds_no_more_than_that_however_long_it_rests)
{
        const struct token_rate rate = token_rate(5);
        uint64_t bucket = 0;

        take_all(&bucket, &rate, S);
        cr_assert_eq(take_all(&bucket, &rate, 1000000 * S), 5);
}

Test(token_bucket, holds_one_even_if_that_takes_longer_than_a_second)
{
        const struct token_rate rate = token_rate(0.1);
        uint64_t bucket = 0;

        cr_assert_eq(take_all(&bucket, &rate, 100 * S), 1);
        cr_assert_eq(take_all(&bucket, &rate, 110 * S - 1), 0);
        cr_assert_eq(take_all(&bucket, &rate, 110 * S), 1);
}

Test(token_bucket, keeps_what_is_less_than_a_token)
{
        const struct token_rate rate = token_rate(2.5);
        uint64_t bucket = 0;

        cr_assert_eq(take_all(&bucket, &rate, 100 * S), 2);
        cr_assert_eq(take_all(&bucket, &rate, 100 * S + 199 * MS), 0);
        cr_assert_eq(take_all(&bucket, &rate, 100 * S + 200 * MS), 1);
}

Test(token_bucket, who_gets_none_loses_none)
{
        const struct token_rate rate = token_rate(1);
        uint64_t bucket = 0;

        take_all(&bucket, &rate, 100 * S);
        for (uint64_t now = 100 * S; now < 101 * S; now += MS)
                cr_assert_not(token_bucket_take(&bucket, &rate, now));
        cr_assert(token_bucket_take(&bucket, &rate, 101 * S));
}

Test(token_bucket, without_a_rate_there_is_no_limit)
{
        const struct token_rate rate = token_rate(0);
        uint64_t bucket = 1000 * S; /* left from a rate before */

        cr_assert_eq(take_all(&bucket, &rate, S), 10000);
}

Test(token_bucket, a_faster_rate_holds_at_once)
{
        const struct token_rate slow = token_rate(0.001), fast = token_rate(100);
        uint64_t bucket = 0;

        take_all(&bucket, &slow, 5 * S);
        cr_assert_eq(take_all(&bucket, &fast, 5 * S), 0);
        cr_assert_eq(take_all(&bucket, &fast, 5 * S + 10 * MS), 1);
        cr_assert_eq(take_all(&bucket, &fast, 8 * S), 100);
}

Test(token_bucket, bears_rates_beyond_all_measure)
{
        static const double rates[] = {5e-324, 1e-9, 1e-3, 1e9};

        for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
                const struct token_rate rate = token_rate(rates[i]);
                uint64_t bucket = 0;

                for (uint64_t now = S; now < UINT64_C(1) << 60; now *= 3) {
                        cr_assert(token_bucket_take(&bucket, &rate, now) || rates[i] < 1);
                        cr_assert_leq(bucket, now + rate.fill_ns);
                }
        }
}
