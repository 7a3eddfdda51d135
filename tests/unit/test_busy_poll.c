#include <criterion/criterion.h>

#include "busy_poll.h"

#define MAX_NS 50000

static struct busy_poll with_limit(uint64_t max_ns)
{
        struct busy_poll busy_poll;

        busy_poll_set(&busy_poll, max_ns);
        return busy_poll;
}

/* Lets attempts fail until it no longer polls; returns how much time they cost. */
static uint64_t fail_until_it_sleeps(struct busy_poll *busy_poll)
{
        uint64_t cost_ns = 0;

        while (busy_poll->budget_ns > 0) {
                cost_ns += busy_poll->budget_ns;
                busy_poll_missed(busy_poll);
        }
        return cost_ns;
}

Test(busy_poll, does_not_poll_before_it_has_slept)
{
        cr_assert_eq(with_limit(MAX_NS).budget_ns, 0);
}

Test(busy_poll, tries_after_a_sleep_that_polling_would_have_spared)
{
        struct busy_poll busy_poll = with_limit(MAX_NS);

        busy_poll_slept(&busy_poll, MAX_NS);
        cr_assert_eq(busy_poll.budget_ns, MAX_NS);
}

Test(busy_poll, sparse_traffic_never_makes_it_poll)
{
        struct busy_poll busy_poll = with_limit(MAX_NS);

        for (unsigned i = 0; i < 10000; i++)
                busy_poll_slept(&busy_poll, MAX_NS + 1);
        cr_assert_eq(busy_poll.budget_ns, 0);
}

Test(busy_poll, with_a_limit_of_0_it_never_polls)
{
        struct busy_poll busy_poll = with_limit(0);

        busy_poll_slept(&busy_poll, 0);
        busy_poll_slept(&busy_poll, 1);
        cr_assert_eq(busy_poll.budget_ns, 0);
}

Test(busy_poll, goes_on_at_the_full_budget_while_it_finds_work)
{
        struct busy_poll busy_poll = with_limit(MAX_NS);

        busy_poll_slept(&busy_poll, 1000);
        busy_poll_missed(&busy_poll);
        cr_assert_eq(busy_poll.budget_ns, MAX_NS / 2);
        for (unsigned i = 0; i < 100; i++)
                busy_poll_found(&busy_poll);
        cr_assert_eq(busy_poll.budget_ns, MAX_NS);
}

Test(busy_poll, gives_up_after_at_most_two_full_budgets_in_vain)
{
        struct busy_poll busy_poll = with_limit(MAX_NS);

        busy_poll_slept(&busy_poll, 1000);
        cr_assert_leq(fail_until_it_sleeps(&busy_poll), 2 * MAX_NS);
}

Test(busy_poll, in_vain_again_and_again_it_tries_ever_more_seldom)
{
        struct busy_poll busy_poll = with_limit(MAX_NS);
        uint64_t cost_ns = 0;
        unsigned n_sleeps = 100000;

        for (unsigned i = 0; i < n_sleeps; i++) {
                busy_poll_slept(&busy_poll, 1000);
                cost_ns += fail_until_it_sleeps(&busy_poll);
        }
        cr_assert_gt(cost_ns, 0, "it tries at all");
        cr_assert_leq(cost_ns / n_sleeps, 150, "nanoseconds for each sleep");
}

Test(busy_poll, success_makes_it_eager_again)
{
        struct busy_poll busy_poll = with_limit(MAX_NS);

        for (unsigned i = 0; i < 5000; i++) {
                busy_poll_slept(&busy_poll, 1000);
                fail_until_it_sleeps(&busy_poll);
        }
        while (busy_poll.budget_ns == 0)
                busy_poll_slept(&busy_poll, 1000);
        while (!busy_poll_found(&busy_poll))
                ;
        busy_poll_check(&busy_poll, 0);
        fail_until_it_sleeps(&busy_poll);
        for (unsigned i = 0; i < 3; i++)
                busy_poll_slept(&busy_poll, 1000);
        cr_assert_gt(busy_poll.budget_ns, 0);
}

/* An attempt that is preempted at every answer; returns how many answers it took to give up. */
static unsigned answers_until_it_gives_up(struct busy_poll *busy_poll, uint64_t *n_preemptions)
{
        unsigned n_answers = 0;

        busy_poll_begin(busy_poll, *n_preemptions);
        while (busy_poll->budget_ns > 0) {
                n_answers++;
                ++*n_preemptions;
                if (busy_poll_found(busy_poll))
                        busy_poll_check(busy_poll, *n_preemptions);
        }
        return n_answers;
}

Test(busy_poll, a_peer_on_the_same_processor_is_soon_left_alone)
{
        struct busy_poll busy_poll = with_limit(MAX_NS);
        uint64_t n_preemptions = 7;
        unsigned n_polled = 0, n_sleeps = 100000;

        for (unsigned i = 0; i < n_sleeps; i++)
                if (busy_poll_slept(&busy_poll, 1000))
                        n_polled += answers_until_it_gives_up(&busy_poll, &n_preemptions);
        cr_assert_gt(n_polled, 0, "it tries at all");
        cr_assert_lt(n_polled, n_sleeps / 20, "answers that were polled for");
}

Test(busy_poll, goes_on_if_it_is_preempted_now_and_then)
{
        struct busy_poll busy_poll = with_limit(MAX_NS);

        cr_assert(busy_poll_slept(&busy_poll, 1000));
        busy_poll_begin(&busy_poll, 0);
        for (unsigned i = 0; i < 10000; i++)
                if (busy_poll_found(&busy_poll))
                        busy_poll_check(&busy_poll, i / 8);
        cr_assert_eq(busy_poll.budget_ns, MAX_NS);
}

Test(busy_poll, a_reload_starts_over_with_the_new_limit)
{
        struct busy_poll busy_poll = with_limit(MAX_NS);

        busy_poll_slept(&busy_poll, 1000);
        busy_poll_set(&busy_poll, 0);
        cr_assert_eq(busy_poll.budget_ns, 0);
}
