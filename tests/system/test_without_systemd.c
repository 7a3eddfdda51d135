/*
 * What a supervisor other than systemd (runit, s6, a container) relies on, with a plain shell in
 * its place: foreground, log on standard error, signals, exit status.
 */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "daemon.h"
#include "scratch.h"

TestSuite(without_systemd, .init = scratch_make, .fini = scratch_remove);

/* echod with its log in the file `log`, and how to wait for a line there. */
#define SUPERVISE                                                                          \
        "cd \"$1\" || exit 99\n"                                                           \
        "set -- -c /dev/null -o 'listeners = ({ address = \"127.0.0.1\"; port = 0; });'\n" \
        "await() { until grep -q \"$1\" log; do sleep 0.05; done; }\n"

static void run_script(struct outcome *ret_outcome, const char *script)
{
        command_run(ret_outcome, NULL,
                    (const char *const[]){"sh", "-c", script, "sh", scratch_path("."), NULL});
}

Test(without_systemd, it_stays_in_the_foreground_reloads_by_hup_and_ends_by_term_with_status_0)
{
        struct outcome outcome;

        run_script(&outcome, SUPERVISE "\"$ECHOD\" \"$@\" 2>log &\n"
                                       "await 'listening on'\n"
                                       "kill -HUP $!; await 'configuration reloaded'\n"
                                       "kill -TERM $!; wait $!; echo \"status $?\"\n");
        cr_assert_str_eq(outcome.out, "status 0\n", "%s", outcome.err);
}

Test(without_systemd, it_has_no_children_and_its_pid_is_that_of_the_shell_that_execs_it)
{
        struct outcome outcome;

        run_script(&outcome,
                   SUPERVISE "sh -c 'echo $$ >pid; exec \"$ECHOD\" \"$@\"' sh \"$@\" 2>log &\n"
                             "await 'listening on'\n"
                             "test \"$(cat pid)\" = $! && echo same\n"
                             "cat /proc/$!/task/*/children\n"
                             "kill -TERM $!; wait $!; echo \"status $?\"\n");
        cr_assert_str_eq(outcome.out, "same\nstatus 0\n", "%s", outcome.err);
}

Test(without_systemd, what_no_restart_mends_has_a_status_of_its_own)
{
        struct outcome outcome;

        scratch_write("bad.conf", "workers = -1;\n");
        run_script(&outcome, SUPERVISE "\"$ECHOD\" -c bad.conf 2>/dev/null; echo $?\n"
                                       "\"$ECHOD\" --nonsense 2>/dev/null; echo $?\n");
        cr_assert_str_eq(outcome.out, "6\n2\n");
}

/* PID 1 gets only the signals for which it has a handler. */
Test(without_systemd, as_process_1_of_a_container_it_ends_by_term_and_leaves_nothing)
{
        struct outcome outcome;

        if (daemon_is_sanitized())
                cr_skip_test("a sanitizer starts processes of its own");
        run_script(&outcome, "unshare --pid --fork --mount-proc true 2>&1");
        if (outcome.status != 0)
                cr_skip_test("no namespace for processes: %s", outcome.out);
        run_script(&outcome, SUPERVISE
                   "unshare --pid --fork --kill-child --mount-proc \"$ECHOD\" \"$@\" 2>log &\n"
                   "await 'listening on'\n"
                   "read -r inner </proc/$!/task/$!/children\n"
                   "awk '/^NSpid/ {print \"pid\", $NF}' /proc/$inner/status\n"
                   "kill -HUP $inner; await 'configuration reloaded'\n"
                   "kill -TERM $inner; wait $!; echo \"status $?\"\n");
        cr_assert_str_eq(outcome.out, "pid 1\nstatus 0\n", "%s", outcome.err);
}
