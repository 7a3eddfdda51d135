/* Load on echod, and on servers that do not return everything. */

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crooked_server.h"
#include "daemon.h"
#include "echoc.h"
#include "port.h"
#include "scratch.h"

TestSuite(echoc_load, .init = scratch_make, .fini = scratch_remove);

static struct outcome outcome;

static void expect_status(int status)
{
        cr_assert_eq(outcome.status, status, "exit status %d\n%s%s", outcome.status, outcome.out,
                     outcome.err);
}

static void expect_out(const char *pattern)
{
        cr_assert(command_matches(outcome.out, pattern), "no %s in:\n%s%s", pattern, outcome.out,
                  outcome.err);
}

static void expect_err(const char *pattern)
{
        cr_assert(command_matches(outcome.err, pattern), "no %s in:\n%s", pattern, outcome.err);
}

/* What another program than ours reads in the JSON: the condition, of `r`, holds. */
static void expect_json(const char *condition)
{
        const char *path = scratch_write("result.json", "%s", outcome.out);
        struct outcome *python = malloc(sizeof(*python));
        char program[512];

        snprintf(program, sizeof(program),
                 "import json, sys; r = json.load(open(sys.argv[1])); e = r['errors']; "
                 "l = r['latency_ns']; sys.exit(0 if %s else 1)",
                 condition);
        command_run(python, NULL, (const char *const[]){"python3", "-c", program, path, NULL});
        cr_assert_eq(python->status, 0, "not %s:\n%s%s%s", condition, outcome.out, outcome.err,
                     python->err);
        free(python);
}

/* Loads a fresh echod with these options beyond a time of half a second. */
#define LOAD_ECHOD(...)                                                              \
        do {                                                                         \
                struct daemon *daemon = DAEMON();                                    \
                RUN_ECHOC(&outcome, "--load", "-t", "0.5", __VA_ARGS__, "127.0.0.1", \
                          port_text(daemon->port));                                  \
                daemon_stop(daemon);                                                 \
        } while (0)

/* Two connections with a pipeline of four; the trick is played on the first one. */
static void load_crooked(enum trick trick, uint64_t offset, uint64_t length)
{
        struct crooked_server *server = crooked_start(trick, offset, length);

        RUN_ECHOC(&outcome, "--load", "-n", "2", "-d", "4", "-t", "0.5", "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
}

Test(echoc_load, says_how_many_and_how_fast)
{
        LOAD_ECHOD("-n", "4");
        expect_status(0);
        expect_out(
                "^LOAD 127\\.0\\.0\\.1 port [0-9]+: connections: 4, size: 64, depth: 1, 0.5 s\\.$");
        expect_out("^messages    [1-9][0-9]*, [0-9.]+/s$");
        expect_out("^bytes       [1-9][0-9]*, [0-9.]+ MiB/s$");
        expect_out("^latency     p50 [0-9.]+ .*s, p90 [0-9.]+ .*p99.9 [0-9.]+ .*max [0-9.]+ ");
        expect_out("^errors      0$");
        cr_assert_not(command_matches(outcome.out, "▇"), "bars are for terminals");
}

Test(echoc_load, json_is_one_object_that_others_can_read)
{
        LOAD_ECHOD("-n", "3", "-d", "5", "-s", "100", "--json");
        expect_status(0);
        cr_assert_eq(count_text(outcome.out, "\n"), 1);
        expect_json("r['kind'] == 'messages' and r['connections'] == 3 and r['depth'] == 5");
        expect_json("r['messages'] > 0 and r['bytes'] > 0 and r['seconds'] >= 0.5");
        expect_json("0 < l['min'] <= l['p50'] <= l['p90'] <= l['p99'] <= l['p99_9'] <= l['max']");
        expect_json("l['count'] >= r['messages'] and sum(e.values()) == 0");
}

Test(echoc_load, a_host_with_quotes_is_escaped_in_json)
{
        const char *path = scratch_path("a\"b\\c.sock");
        struct daemon *daemon =
                DAEMON("-o", "listeners = ( { address = \"/tmp/echoc-escaped.sock\"; } );");

        cr_assert_eq(rename("/tmp/echoc-escaped.sock", path), 0);
        RUN_ECHOC(&outcome, "--load", "-t", "0.1", "--json", path);
        cr_assert_eq(rename(path, "/tmp/echoc-escaped.sock"), 0); /* echod removes it */
        expect_status(0);
        expect_json("r['host'].endswith('a\\\"b\\\\c.sock')");
        daemon_stop(daemon);
}

Test(echoc_load, every_size_and_depth_comes_back)
{
        static const char *const cases[][2] = {
                {"1", "1"}, {"1", "4096"}, {"7", "3"}, {"65536", "16"}, {"1000000", "4"},
        };
        struct daemon *daemon = DAEMON();

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                RUN_ECHOC(&outcome, "--load", "-n", "2", "-t", "0.2", "-s", cases[i][0], "-d",
                          cases[i][1], "127.0.0.1", port_text(daemon->port));
                expect_status(0);
        }
        daemon_stop(daemon);
}

Test(echoc_load, streams_come_back_in_full)
{
        LOAD_ECHOD("--bulk", "-n", "3", "--json");
        expect_status(0);
        expect_json("r['kind'] == 'bulk' and r['bytes'] > 1000000 and l['count'] == 0");
}

Test(echoc_load, connections_are_opened_again_and_again)
{
        struct daemon *daemon = DAEMON();

        RUN_ECHOC(&outcome, "--load", "--connect", "-n", "3", "-t", "0.5", "--json", "127.0.0.1",
                  port_text(daemon->port));
        expect_status(0);
        expect_json("r['kind'] == 'connect' and r['messages'] > 3");
        expect_json("l['count'] >= r['messages']");
        daemon_stop(daemon);
}

Test(echoc_load, threads_share_the_connections)
{
        struct daemon *daemon = DAEMON();

        RUN_ECHOC(&outcome, "--load", "-n", "7", "--threads", "3", "-t", "0.5", "127.0.0.1",
                  port_text(daemon->port));
        expect_status(0);
        daemon_signal(daemon, SIGUSR1);
        daemon_await_log(daemon, " accepted=7 ");
        daemon_stop(daemon);
}

Test(echoc_load, more_threads_than_connections_do_no_harm)
{
        LOAD_ECHOD("-n", "1", "--threads", "4");
        expect_status(0);
}

Test(echoc_load, a_rate_is_not_exceeded)
{
        LOAD_ECHOD("-n", "4", "--rate", "100", "--threads", "2", "--json");
        expect_json("0 < r['messages'] <= 100 * r['seconds'] + 2 and r['rate'] == 100");
}

Test(echoc_load, a_stall_is_not_hidden_when_there_is_a_rate)
{
        struct crooked_server *server = crooked_start(TRICK_DELAY, 640, 1000);

        RUN_ECHOC(&outcome, "--load", "--rate", "100", "-t", "2", "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
        expect_status(0);
        /* One message waited for a second, and a hundred were due behind it meanwhile. */
        expect_json("l['max'] >= 990000000 and l['p90'] >= 500000000");
}

Test(echoc_load, a_terminal_sees_progress_and_bars)
{
        struct daemon *daemon = DAEMON();
        char line[512];

        snprintf(line, sizeof(line), "%s --load -t 2.2 127.0.0.1 %u", command_echoc(),
                 daemon->port);
        command_run(&outcome, NULL,
                    (const char *const[]){"script", "-qec", line, "/dev/null", NULL});
        expect_status(0);
        expect_out("[0-9]+/s, [0-9.]+ MiB/s, [01] in flight, 0 errors");
        expect_out("^  < +[0-9.]+ .*s +[0-9.]+ % ▇");
        daemon_stop(daemon);
}

Test(echoc_load, lost_bytes_are_told)
{
        load_crooked(TRICK_DROP, 645, 3);
        expect_status(1);
        expect_json("e['lost'] == 1 and e['corrupted'] == 0 and e['mixed'] == 0");
        expect_err("^echoc: connection 0, offset 645: 3 bytes lost$");
}

Test(echoc_load, duplicated_bytes_are_told)
{
        load_crooked(TRICK_DUPLICATE, 640, 64);
        expect_status(1);
        expect_json("e['duplicated'] == 1 and sum(e.values()) == 1");
        expect_err("^echoc: connection 0, offset 640: duplicated: bytes from offset 576 on");
}

Test(echoc_load, reordered_bytes_are_told)
{
        load_crooked(TRICK_SWAP, 640, 32);
        expect_status(1);
        expect_json("e['reordered'] == 1 and sum(e.values()) == 1");
}

Test(echoc_load, bytes_of_the_wrong_connection_are_told)
{
        load_crooked(TRICK_MIX, 640, 64);
        expect_status(1);
        expect_json("e['mixed'] == 1 and e['lost'] == 1 and e['corrupted'] == 0");
        expect_err("^echoc: connection 1, offset [0-9]+: mixed: bytes of connection 0 from its "
                   "offset 640 on$");
        expect_err("^echoc: connection 0, offset 640: 64 bytes lost$");
}

Test(echoc_load, corrupted_bytes_are_told)
{
        load_crooked(TRICK_CORRUPT, 640, 1);
        expect_status(1);
        expect_json("e['corrupted'] == 1 and e['lost'] == 0");
        expect_err("^echoc: connection 0, offset 640: 1 byte corrupted$");
}

Test(echoc_load, a_reset_is_counted_and_the_others_go_on)
{
        load_crooked(TRICK_RESET, 640, 0);
        expect_status(1);
        expect_json(
                "e['reset'] == 1 and e['unanswered'] > 0 and e['lost'] == 0 and r['messages'] > 10");
}

Test(echoc_load, an_early_end_is_counted)
{
        load_crooked(TRICK_CLOSE, 640, 0);
        expect_status(1);
        expect_json("e['reset'] + e['ended'] == 1");
}

Test(echoc_load, it_ends_although_no_answer_comes)
{
        load_crooked(TRICK_MUTE, 0, 0);
        expect_status(1);
        expect_json("e['unanswered'] == 8 and r['messages'] == 0");
}

Test(echoc_load, streams_end_although_nobody_reads)
{
        struct crooked_server *server = crooked_start(TRICK_DEAF, 0, 0);

        RUN_ECHOC(&outcome, "--load", "--bulk", "-t", "0.2", "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
        expect_status(1);
        expect_json("e['lost'] == 1 and r['bytes'] == 0");
}

Test(echoc_load, no_connection_is_status_2)
{
        RUN_ECHOC(&outcome, "--load", "-n", "10", "-t", "3600", "127.0.0.1",
                  port_text(free_port()));
        expect_status(2);
        expect_err("^echoc: 127\\.0\\.0\\.1 port [0-9]+: connection refused$");
        RUN_ECHOC(&outcome, "--load", "--connect", "-t", "3600", "127.0.0.1",
                  port_text(free_port()));
        expect_status(2);
}

Test(echoc_load, an_interrupt_ends_it_with_the_result)
{
        struct daemon *daemon = DAEMON();

        INTERRUPT_ECHOC(&outcome, "LOAD", "--load", "-n", "10", "-t", "3600", "127.0.0.1",
                        port_text(daemon->port));
        expect_status(0);
        expect_out("^messages ");
        daemon_stop(daemon);
}
