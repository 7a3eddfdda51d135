/* What is wrong with a command line is named, and is status 2. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "echoc_outcome.h"

#define EXPECT_USAGE(message, ...)                                                           \
        do {                                                                                 \
                RUN_ECHOC(&outcome, __VA_ARGS__);                                            \
                cr_assert_eq(outcome.status, 2, "%d\n%s", outcome.status, outcome.err);      \
                cr_assert_not_null(strstr(outcome.err, message), "no '%s' in:\n%s", message, \
                                   outcome.err);                                             \
                cr_assert_str_empty(outcome.out);                                            \
        } while (0)

Test(echoc_command_line, a_missing_host_is_named)
{
        EXPECT_USAGE("no HOST", "-c", "1");
        RUN_ECHOC(&outcome);
        expect_status(2);
}

Test(echoc_command_line, superfluous_arguments_are_named)
{
        EXPECT_USAGE("unexpected argument 'more'", "localhost", "7", "more");
}

Test(echoc_command_line, bad_ports_are_named)
{
        EXPECT_USAGE("PORT: '0' is not", "localhost", "0");
        EXPECT_USAGE("PORT: '65536' is not", "localhost", "65536");
        EXPECT_USAGE("PORT: 'echo' is not", "localhost", "echo");
        EXPECT_USAGE("PORT: '7.5' is not", "localhost", "7.5");
}

Test(echoc_command_line, bad_numbers_are_named_with_their_range)
{
        EXPECT_USAGE("-c: '0' is not a whole number from 1 to", "-c", "0", "localhost");
        EXPECT_USAGE("-c: '1.5' is not a whole number", "-c", "1.5", "localhost");
        EXPECT_USAGE("-c: '' is not a whole number", "-c", "", "localhost");
        EXPECT_USAGE("-i: 'x' is not a number from 0.001 to 86400", "-i", "x", "localhost");
        EXPECT_USAGE("-i: 'nan' is not a number", "-i", "nan", "localhost");
        EXPECT_USAGE("-s: '16777217' is not a whole number from 1 to 16777216", "-s", "16777217",
                     "localhost");
        EXPECT_USAGE("-n: '1048577' is not", "--load", "-n", "1048577", "localhost");
        EXPECT_USAGE("--rate: '-1' is not", "--load", "--rate", "-1", "localhost");
}

Test(echoc_command_line, options_of_another_mode_are_named)
{
        EXPECT_USAGE("-n: there is no such option for a probe", "-n", "3", "localhost");
        EXPECT_USAGE("-c: there is no such option with --load", "--load", "-c", "3", "localhost");
        EXPECT_USAGE("--json: there is no such option with --hold", "--hold", "--json",
                     "localhost");
        EXPECT_USAGE("-W: there is no such option with --load", "--load", "-W", "1", "localhost");
        EXPECT_USAGE("-c: there is no such option with --transcript", "--transcript", "-m", "x",
                     "-c", "1", "localhost");
}

Test(echoc_command_line, options_that_exclude_each_other_are_named)
{
        EXPECT_USAGE("--load and --hold exclude each other", "--load", "--hold", "localhost");
        EXPECT_USAGE("--bulk and --connect exclude each other", "--load", "--bulk", "--connect",
                     "localhost");
        EXPECT_USAGE("--bulk and --rate exclude each other", "--load", "--bulk", "--rate", "1",
                     "localhost");
        EXPECT_USAGE("-4 and -6 exclude each other", "-4", "-6", "localhost");
}

Test(echoc_command_line, unknown_options_are_named)
{
        EXPECT_USAGE("--nonsense", "--nonsense", "localhost");
        EXPECT_USAGE("'x'", "-x", "localhost");
        EXPECT_USAGE("'c'", "localhost", "-c");
}

Test(echoc_command_line, a_transcript_needs_a_text)
{
        EXPECT_USAGE("-m", "--transcript", "localhost");
        EXPECT_USAGE("-m: an empty text", "--transcript", "-m", "", "localhost");
}

Test(echoc_command_line, more_connections_than_open_files_are_refused_with_the_limit)
{
        command_run(&outcome, NULL,
                    (const char *const[]){"sh", "-c",
                                          "ulimit -n 200 && exec \"$0\" --load -n 1000 127.0.0.1",
                                          command_echoc(), NULL});
        expect_status(2);
        expect_err("1000 connections do not fit into the limit on "
                   "open files, 200, which leaves room for [0-9]+$");
}

Test(echoc_command_line, where_too_few_files_can_be_opened_that_is_said)
{
        static const char *const modes[] = {
                "-c 1",
                "--transcript -i 0.01 -m x",
                "--load -t 0.05",
                "--hold -t 0.05",
        };
        struct daemon *daemon = DAEMON();
        char line[512];

        for (unsigned i = 0; i < 4; i++) {
                bool is_good = false;

                for (unsigned n = 4; n <= 80; n += n < 32 ? 1 : 8) {
                        snprintf(line, sizeof(line), "ulimit -n %u; exec \"$0\" %s 127.0.0.1 %u", n,
                                 modes[i], daemon->port);
                        command_run(&outcome, NULL,
                                    (const char *const[]){"sh", "-c", line, command_echoc(), NULL});
                        is_good = outcome.status == 0;
                        if (is_good)
                                break;
                        cr_assert_eq(outcome.status, 2, "%s: %d\n%s", line, outcome.status,
                                     outcome.err);
                        expect_err("^echoc: .*files");
                }
                cr_assert(is_good, "%s\n%s", line, outcome.err);
        }
        daemon_stop(daemon);
}

Test(echoc_command_line, standard_streams_that_are_closed_are_not_taken_by_something_else)
{
        static const char *const modes[] = {
                "-c 1",
                "--transcript -i 0.01 -m x",
                "--load -t 0.05",
                "--hold -t 0.05",
        };
        static const char *const closed[] = {"<&-", ">&-", "2>&-", "<&- >&- 2>&-"};
        struct daemon *daemon = DAEMON();
        char line[512];

        for (size_t i = 0; i < 4 * 4; i++) {
                snprintf(line, sizeof(line), "exec \"$0\" %s 127.0.0.1 %u %s", modes[i / 4],
                         daemon->port, closed[i % 4]);
                command_run(&outcome, NULL,
                            (const char *const[]){"sh", "-c", line, command_echoc(), NULL});
                cr_assert_eq(outcome.status, 0, "%s: %d\n%s", line, outcome.status, outcome.err);
                cr_assert_str_empty(outcome.err);
        }
        daemon_stop(daemon);
}

Test(echoc_command_line, help_and_version_are_printed)
{
        RUN_ECHOC(&outcome, "-h");
        expect_status(0);
        expect_out("^Usage: echoc ");
        RUN_ECHOC(&outcome, "--version");
        expect_status(0);
        expect_out("^echoc [0-9]+\\.[0-9]+\\.[0-9]+$");
}
