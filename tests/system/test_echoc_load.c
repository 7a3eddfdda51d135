/* Load on echod, and on servers that do not return everything. */

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crooked_server.h"
#include "daemon.h"
#include "echoc_outcome.h"
#include "scratch.h"

TestSuite(echoc_load, .init = scratch_make, .fini = scratch_remove);

/* For how long there is load: only a machine that stands still gets next to nothing done in it. */
#define SECONDS "1"

/* Loads a fresh echod with these options beyond the time. */
#define LOAD_ECHOD(...)                                                                \
        do {                                                                           \
                struct daemon *daemon = DAEMON();                                      \
                RUN_ECHOC(&outcome, "--load", "-t", SECONDS, __VA_ARGS__, "127.0.0.1", \
                          port_text(daemon->port));                                    \
                daemon_stop(daemon);                                                   \
        } while (0)

/* Two connections with a pipeline of four; the trick is played on the first that the kernel has
 * ready for the server, which need not be the first that was begun. */
static void load_crooked(enum trick trick, uint64_t offset, uint64_t length)
{
        struct crooked_server *server = crooked_start(trick, offset, length);

        RUN_ECHOC(&outcome, "--load", "--seed", "1", "-n", "2", "-d", "4", "-t", SECONDS, "--json",
                  "127.0.0.1", crooked_port(server));
        crooked_stop(server);
}

Test(echoc_load, says_how_many_and_how_fast)
{
        LOAD_ECHOD("-n", "4");
        expect_status(0);
        expect_out(
                "^LOAD 127\\.0\\.0\\.1 port [0-9]+: connections: 4, size: 64, depth: 1, 1 s\\.$");
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
        expect_json("r['messages'] > 0 and r['bytes'] > 0 and r['seconds'] >= 1");
        expect_json("0 < l['min'] <= l['p50'] <= l['p90'] <= l['p99'] <= l['p99_9'] <= l['max']");
        expect_json("l['count'] >= r['messages'] and sum(e.values()) == 0");
        expect_out("\"kind\": \"messages\", \"host\": \"127\\.0\\.0\\.1\", \"port\": ");
}

Test(echoc_load, a_host_that_is_no_plain_text_is_escaped_in_json)
{
        const char *path = scratch_path("a\"b\\c\n\xff.sock");
        struct daemon *daemon = DAEMON("-o", scratch_listener("plain.sock"));

        cr_assert_eq(rename(scratch_path("plain.sock"), path), 0);
        RUN_ECHOC(&outcome, "--load", "-t", "0.1", "--json", path);
        cr_assert_eq(rename(path, scratch_path("plain.sock")), 0); /* echod removes it */
        expect_status(0);
        expect_json("r['host'].endswith('a\\\"b\\\\c\\n\\ufffd.sock')");
        daemon_stop(daemon);
}

Test(echoc_load, json_tells_the_threads_that_there_were)
{
        LOAD_ECHOD("-n", "2", "--threads", "4", "--json");
        expect_json("r['threads'] == 2 and r['connections'] == 2");
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
        expect_json("r['kind'] == 'bulk' and r['bytes'] > 100000 and l['count'] == 0");
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

/* Loads from a terminal with so many columns, in a locale. */
static void load_from_terminal(unsigned n_columns, const char *locale, const char *options,
                               const char *port)
{
        char line[512];

        snprintf(line, sizeof(line), "stty cols %u; exec env LC_ALL=%s %s --load %s 127.0.0.1 %s",
                 n_columns, locale, command_echoc(), options, port);
        command_run(&outcome, NULL,
                    (const char *const[]){"script", "-qec", line, "/dev/null", NULL});
}

/* The same, a fresh echod. */
static void load_on_terminal(unsigned n_columns, const char *locale, const char *options)
{
        struct daemon *daemon = DAEMON();

        load_from_terminal(n_columns, locale, options, port_text(daemon->port));
        daemon_stop(daemon);
        expect_status(0);
}

Test(echoc_load, a_terminal_sees_progress_and_bars)
{
        load_on_terminal(80, "C.UTF-8", "-t 2.2");
        expect_out("[0-9]+/s, [0-9.]+ MiB/s, [01] in flight, 0 errors");
        expect_out("^  < +[0-9.]+ .*s +[0-9.]+ % ▇");
}

/* One message is sent on the first connection, and never comes back; then one on the second. */
Test(echoc_load, progress_does_not_count_what_a_dead_connection_leaves)
{
        struct crooked_server *server = crooked_start(TRICK_RESET, 10, 0);

        load_from_terminal(80, "C", "-n 2 --rate 0.8 -t 2.2", crooked_port(server));
        crooked_stop(server);
        expect_status(1);
        expect_out(" 0 in flight, [1-9] errors");
}

Test(echoc_load, a_narrow_terminal_gets_lines_that_fit)
{
        load_on_terminal(30, "C", "-t 1.2");
        expect_out("\r[0-9]+/s, [0-9.]+ MiB/s, [0-9a-z, ]+\033");
        cr_assert_not(command_matches(outcome.out, "\r[^\033\r]{30}"), "%s", outcome.out);
        expect_out("^  < +[0-9.]+ .?s +[0-9.]+ % #+");
        cr_assert_not(command_matches(outcome.out, "^  < .{27}[^\r]"), "%s", outcome.out);
}

Test(echoc_load, a_terminal_sees_the_rate_of_streams)
{
        load_on_terminal(80, "C.UTF-8", "--bulk -t 1.2");
        expect_out("\r[1-9][0-9.]+ MiB/s, 0 errors");
}

Test(echoc_load, a_terminal_without_utf_8_gets_ascii_only)
{
        load_on_terminal(80, "C", "-t 0.3");
        expect_out("^latency     p50 [0-9.]+ [um]s, ");
        expect_out("^  < +[0-9.]+ .?s +[0-9.]+ % #");
        for (const char *c = outcome.out; *c; c++)
                cr_assert_lt((unsigned char)*c, 0x80, "%s", outcome.out);
}

Test(echoc_load, lost_bytes_are_told)
{
        load_crooked(TRICK_DROP, 645, 3);
        expect_status(1);
        expect_json("e['lost'] == 1 and e['corrupted'] == 0 and e['mixed'] == 0");
        expect_err("^echoc: connection [01], offset 645: 3 bytes lost$");
}

/* The second message lacks its end, so a third one is never sent. */
Test(echoc_load, a_missing_end_is_told_with_its_offset)
{
        struct crooked_server *server = crooked_start(TRICK_DROP, 100, 28);

        RUN_ECHOC(&outcome, "--load", "--seed", "1", "-t", SECONDS, "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
        expect_status(1);
        expect_json("r['seed'] == 1");
        expect_json("e['unanswered'] == 1 and e['lost'] == 1 and sum(e.values()) == 2");
        expect_err("^echoc: connection 0, offset 100: 28 bytes lost$");
}

Test(echoc_load, duplicated_bytes_are_told)
{
        load_crooked(TRICK_DUPLICATE, 640, 64);
        expect_status(1);
        expect_json("e['duplicated'] == 1 and sum(e.values()) == 1");
        expect_err("^echoc: connection [01], offset 640: duplicated: bytes from offset 576 on");
}

Test(echoc_load, reordered_bytes_are_told)
{
        load_crooked(TRICK_SWAP, 640, 32);
        expect_status(1);
        expect_json("e['reordered'] == 1 and sum(e.values()) == 1");
}

/* Bytes of one connection came on the other. */
static bool is_told_that_bytes_went(unsigned from, unsigned to)
{
        char mixed[128], lost[128];

        snprintf(mixed, sizeof(mixed),
                 "^echoc: connection %u, offset [0-9]+: mixed: bytes of connection %u from its "
                 "offset 640 on$",
                 to, from);
        snprintf(lost, sizeof(lost), "^echoc: connection %u, offset 640: 64 bytes lost$", from);
        return command_matches(outcome.err, mixed) && command_matches(outcome.err, lost);
}

Test(echoc_load, bytes_of_the_wrong_connection_are_told)
{
        load_crooked(TRICK_MIX, 640, 64);
        expect_status(1);
        expect_json("e['mixed'] == 1 and e['lost'] == 1 and e['corrupted'] == 0");
        cr_assert(is_told_that_bytes_went(0, 1) || is_told_that_bytes_went(1, 0), "%s",
                  outcome.err);
}

/* Each thread has one of the connections, and the second has sent one message only. */
Test(echoc_load, bytes_of_another_threads_connection_are_told_however_far_ahead_it_is)
{
        struct crooked_server *server = crooked_start(TRICK_MIX_AHEAD, 2621440, 4096);

        RUN_ECHOC(&outcome, "--load", "--seed", "1", "-n", "2", "--threads", "2", "-s", "262144",
                  "-t", "1.5", "--json", "127.0.0.1", crooked_port(server));
        crooked_stop(server);
        expect_status(1);
        expect_json("e['mixed'] == 1 and e['lost'] == 1 and e['corrupted'] == 0");
        expect_err("^echoc: connection [01], offset 0: mixed: bytes of connection [01] from its "
                   "offset 2621440 on$");
}

Test(echoc_load, corrupted_bytes_are_told)
{
        load_crooked(TRICK_CORRUPT, 640, 1);
        expect_status(1);
        expect_json("e['corrupted'] == 1 and e['lost'] == 0");
        expect_err("^echoc: connection [01], offset 640: 1 byte corrupted$");
}

/* One connection with a pipeline of four, on which twenty messages become due. */
static void load_crooked_with_twenty(enum trick trick, uint64_t offset, uint64_t length)
{
        struct crooked_server *server = crooked_start(trick, offset, length);

        RUN_ECHOC(&outcome, "--load", "--seed", "1", "-d", "4", "--rate", "20", "-t", SECONDS,
                  "--json", "127.0.0.1", crooked_port(server));
        crooked_stop(server);
        expect_status(1);
}

Test(echoc_load, a_message_that_is_not_whole_has_not_come_back)
{
        load_crooked_with_twenty(TRICK_CORRUPT, 70, 1);
        expect_json("e['corrupted'] == 1 and sum(e.values()) == 1 and l['count'] == 19");
        load_crooked_with_twenty(TRICK_DROP, 100, 64);
        expect_json("e['lost'] == 1 and sum(e.values()) == 1 and l['count'] == 18");
}

Test(echoc_load, a_message_that_is_whole_has_come_back_whatever_came_with_it)
{
        load_crooked_with_twenty(TRICK_SWAP, 32, 96);
        expect_json("e['reordered'] == 1 and sum(e.values()) == 1 and l['count'] == 20");
        load_crooked_with_twenty(TRICK_DUPLICATE, 100, 90);
        expect_json("e['duplicated'] == 1 and sum(e.values()) == 1 and l['count'] == 20");
}

/* In the midst of a message: at the end of one nothing might be under way behind it. */
Test(echoc_load, a_reset_is_counted_and_the_others_go_on)
{
        load_crooked(TRICK_RESET, 650, 0);
        expect_status(1);
        expect_json(
                "e['reset'] == 1 and e['unanswered'] > 0 and e['lost'] == 1 and r['messages'] > 10");
}

Test(echoc_load, an_early_end_is_counted)
{
        load_crooked(TRICK_CLOSE, 640, 0);
        expect_status(1);
        expect_json("e['reset'] + e['ended'] == 1");
}

Test(echoc_load, what_a_reset_leaves_unanswered_has_been_waited_for)
{
        struct crooked_server *server = crooked_start(TRICK_RESET, 64, 0);

        RUN_ECHOC(&outcome, "--load", "-d", "4", "-t", "3600", "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
        expect_status(1);
        expect_json("e['reset'] == 1 and e['unanswered'] >= 3");
        expect_json("l['count'] == r['messages'] + e['unanswered']");
}

Test(echoc_load, it_ends_although_no_answer_comes)
{
        load_crooked(TRICK_MUTE, 0, 0);
        expect_status(1);
        expect_json("e['unanswered'] == 8 and e['lost'] == 2 and r['messages'] == 0");
        expect_err("^echoc: connection 0, offset 0: 256 bytes lost$");
        expect_err("^echoc: connection 1, offset 0: 256 bytes lost$");
        /* Five seconds were waited for them. */
        expect_json("l['count'] == 8 and l['min'] > 4e9");
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

Test(echoc_load, an_interrupt_ends_it_with_the_result)
{
        struct daemon *daemon = DAEMON();

        INTERRUPT_ECHOC(&outcome, "LOAD", "--load", "-n", "10", "-t", "3600", "127.0.0.1",
                        port_text(daemon->port));
        expect_status(0);
        expect_out("^messages ");
        daemon_stop(daemon);
}
