/* Ctrl-C while connections are still being opened, and a second one while answers are missing. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "crooked_server.h"
#include "daemon.h"
#include "echoc_outcome.h"

/* The number before a word of the result. */
static unsigned long number_before(const char *word)
{
        const char *p = strstr(outcome.out, word);

        cr_assert_not_null(p, "no '%s' in:\n%s", word, outcome.out);
        while (p > outcome.out && strchr(" 0123456789", p[-1]))
                p--;
        return strtoul(p, NULL, 10);
}

Test(echoc_interrupt, hold_ends_with_those_that_are_open)
{
        struct daemon *daemon = DAEMON();

        INTERRUPT_ECHOC(&outcome, "HOLD", "--hold", "-n", "5000", "-t", "3600", "-W", "20",
                        "127.0.0.1", port_text(daemon->port));
        expect_status(number_before(" opened") > 0 ? 0 : 2);
        cr_assert_eq(number_before(" lost"), 0);
        cr_assert_eq(number_before(" still echo"), number_before(" opened"));
        if (number_before(" opened") < 5000)
                cr_assert_eq(number_before(" not tried"), 5000 - number_before(" opened"));
        daemon_stop(daemon);
}

Test(echoc_interrupt, hold_does_not_take_a_connection_for_good_that_has_not_answered)
{
        struct crooked_server *server = crooked_start(TRICK_MUTE, 0, 0);

        INTERRUPT_ECHOC(&outcome, "HOLD", "--hold", "-n", "5", "-t", "3600", "-W", "0.5",
                        "127.0.0.1", crooked_port(server));
        expect_status(number_before(" opened") > 0 ? 1 : 2);
        cr_assert_eq(number_before(" still echo"), 0);
        cr_assert_eq(number_before(" lost"), number_before(" opened"));
        crooked_stop(server);
}

/* The first message is answered, the second one is not; and nobody waits for it for an hour. */
Test(echoc_interrupt, hold_does_not_take_a_missing_last_answer_for_good)
{
        struct crooked_server *server = crooked_start(TRICK_DROP, 64, 64);

        INTERRUPT_ECHOC_IMPATIENTLY(&outcome, "open after", "--hold", "-n", "1", "-t", "3600", "-W",
                                    "3600", "127.0.0.1", crooked_port(server));
        expect_status(1);
        cr_assert_eq(number_before(" still echo"), 0);
        cr_assert_eq(number_before(" no answer"), 1);
        crooked_stop(server);
}

/* Nobody accepts, so most of them are never open. */
Test(echoc_interrupt, load_that_has_not_begun_has_no_result_and_ends_whatever_the_rate)
{
        struct crooked_server *server = crooked_start(TRICK_DEAF, 0, 0);

        INTERRUPT_ECHOC(&outcome, "LOAD", "--load", "-n", "5000", "-t", "3600", "--rate",
                        "100000000", "127.0.0.1", crooked_port(server));
        expect_out("^messages    0, 0\\.0/s$");
        expect_out("^bytes       0, 0\\.0 MiB/s$");
        cr_assert_eq(count_text(outcome.out, "latency"), 0, "%s", outcome.out);
        cr_assert_eq(count_text(outcome.out, "behind"), 0, "%s", outcome.out);
        expect_out("^errors      0$");
        expect_status(0);
        crooked_stop(server);
}
