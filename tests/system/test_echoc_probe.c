/*
 * A probe against echod, and against servers that do not do what an echo server does.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "crooked_server.h"
#include "daemon.h"
#include "echoc_outcome.h"
#include "port.h"
#include "scratch.h"

TestSuite(echoc_probe, .init = scratch_make, .fini = scratch_remove);

/* Four messages of 64 bytes to a server with a trick. A late answer is one after so many seconds.
 */
static void probe(enum trick trick, uint64_t offset, uint64_t length, const char *timeout)
{
        struct crooked_server *server = crooked_start(trick, offset, length);

        RUN_ECHOC(&outcome, "--seed", "1", "-c", "4", "-i", "0.02", "-W", timeout, "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
}

Test(echoc_probe, prints_a_line_for_each_answer_and_a_summary)
{
        struct daemon *daemon = DAEMON();

        RUN_ECHOC(&outcome, "-c", "3", "-i", "0.02", "-W", "20", "localhost",
                  port_text(daemon->port));
        expect_status(0);
        expect_out("^ECHO localhost \\(127\\.0\\.0\\.1\\) port [0-9]+: 64 bytes of data\\.$");
        expect_out("^64 bytes from 127\\.0\\.0\\.1: seq=1 time=[0-9]+\\.[0-9]{3} ms$");
        expect_out("^64 bytes from 127\\.0\\.0\\.1: seq=3 time=[0-9]+\\.[0-9]{3} ms$");
        cr_assert_eq(count_text(outcome.out, "seq="), 3);
        expect_out("^--- localhost echo statistics ---$");
        expect_out("^3 sent, 3 received, 0% lost, 0 late, 0 wrong, time [0-9]+ ms$");
        expect_out("^rtt min/avg/max/mdev = ([0-9.]+/){3}[0-9.]+ ms$");
        expect_out("^rtt p50/p90/p99 = ([0-9.]+/){2}[0-9.]+ ms$");
        cr_assert_str_empty(outcome.err);
        daemon_stop(daemon);
}

Test(echoc_probe, reads_a_unix_socket_by_its_path)
{
        const char *path = scratch_path("echo.sock");
        struct daemon *daemon = DAEMON("-o", scratch_listener("echo.sock"));

        RUN_ECHOC(&outcome, "-c", "2", "-i", "0.01", "-W", "20", path);
        expect_status(0);
        expect_out("^ECHO /tmp/.*/echo\\.sock: 64 bytes of data\\.$");
        expect_out("^64 bytes from /tmp/.*/echo\\.sock: seq=2 ");
        daemon_stop(daemon);
}

Test(echoc_probe, messages_can_be_of_any_size)
{
        static const char *const sizes[] = {"1", "2", "7", "8", "65537", "16777216"};
        struct daemon *daemon = DAEMON();

        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                RUN_ECHOC(&outcome, "-c", "2", "-i", "0.01", "-s", sizes[i], "-W", "20",
                          "127.0.0.1", port_text(daemon->port));
                expect_status(0);
                expect_out("^2 sent, 2 received, 0% lost");
        }
        daemon_stop(daemon);
}

Test(echoc_probe, takes_the_next_address_if_the_first_one_refuses)
{
        struct daemon *daemon = DAEMON(); /* localhost may be ::1 first */

        RUN_ECHOC(&outcome, "-c", "1", "-4", "localhost", port_text(daemon->port));
        expect_status(0);
        RUN_ECHOC(&outcome, "-c", "1", "localhost", port_text(daemon->port));
        expect_status(0);
        daemon_stop(daemon);
}

Test(echoc_probe, is_quiet_but_for_the_summary)
{
        struct daemon *daemon = DAEMON();

        RUN_ECHOC(&outcome, "-q", "-c", "3", "-i", "0.01", "-W", "20", "127.0.0.1",
                  port_text(daemon->port));
        expect_status(0);
        cr_assert_eq(count_text(outcome.out, "seq="), 0, "%s", outcome.out);
        expect_out("^3 sent, 3 received");
        daemon_stop(daemon);
}

Test(echoc_probe, goes_on_without_a_count_until_it_is_interrupted)
{
        struct daemon *daemon = DAEMON();

        INTERRUPT_ECHOC(&outcome, "seq=3 ", "-i", "0.05", "-W", "20", "127.0.0.1",
                        port_text(daemon->port));
        expect_status(0);
        expect_out("^[0-9]+ sent, [0-9]+ received, 0% lost");
        daemon_stop(daemon);
}

Test(echoc_probe, what_is_under_way_at_an_interrupt_is_not_lost)
{
        struct crooked_server *server = crooked_start(TRICK_MUTE, 64, 0);

        INTERRUPT_ECHOC(&outcome, "seq=1 ", "-i", "3600", "-W", "3600", "127.0.0.1",
                        crooked_port(server));
        expect_status(0);
        expect_out("^1 sent, 1 received, 0% lost");
        crooked_stop(server);
}

Test(echoc_probe, a_lost_byte_is_told_with_its_offset)
{
        probe(TRICK_DROP, 70, 1, "4");
        expect_status(1);
        expect_out("^seq=2: offset 70: 1 byte lost$");
        expect_out("^seq=2: 63 of 64 bytes within 4 s$");
        expect_out("^4 sent, 3 received, 25% lost, 0 late, 1 wrong,");
}

Test(echoc_probe, a_lost_last_byte_is_no_answer_in_full)
{
        probe(TRICK_DROP, 255, 1, "2");
        expect_status(1);
        expect_out("^seq=4: 63 of 64 bytes within 2 s$");
        expect_out("^seq=4: offset 255: 1 byte lost$");
}

Test(echoc_probe, duplicated_bytes_are_told_and_the_message_is_received)
{
        probe(TRICK_DUPLICATE, 128, 32, "20");
        expect_status(1);
        expect_out("^seq=3: offset 128: duplicated: bytes from offset 96 on came again$");
        expect_out("^4 sent, 4 received, 0% lost, 0 late, 1 wrong,");
}

Test(echoc_probe, a_duplicated_end_is_told_as_well)
{
        probe(TRICK_DUPLICATE, 256, 64, "20");
        expect_status(1);
        expect_out("^after the last message: offset 256: duplicated: bytes from offset 192 on came "
                   "again$");
        cr_assert_eq(count_text(outcome.out, "seq=5"), 0, "%s", outcome.out);
}

Test(echoc_probe, reordered_bytes_are_told_and_the_message_is_received)
{
        probe(TRICK_SWAP, 64, 24, "20");
        expect_status(1);
        expect_out("^seq=2: offset 64: reordered: bytes from offset 88 on came first$");
        expect_out("^4 sent, 4 received, 0% lost, 0 late, 1 wrong,");
}

Test(echoc_probe, corrupted_bytes_are_told)
{
        probe(TRICK_CORRUPT, 100, 3, "4");
        expect_status(1);
        expect_out("^seq=2: offset 100: 3 bytes corrupted$");
        expect_out("^4 sent, 3 received, 25% lost, 0 late, 1 wrong,");
}

Test(echoc_probe, two_probes_know_each_others_bytes_from_their_own)
{
        struct crooked_server *server = crooked_start(TRICK_CROSS, 0, 0);
        char line[256];

        snprintf(line, sizeof(line),
                 "exec 3>&1; probe() { \"$0\" -q -c 2 -i 0.02 -W 2 127.0.0.1 %s >/dev/null; "
                 "echo status=$? >&3; }; probe & probe; wait",
                 crooked_port(server));
        command_run(&outcome, NULL, (const char *const[]){"sh", "-c", line, command_echoc(), NULL});
        crooked_stop(server);
        cr_assert_eq(count_text(outcome.out, "status=1"), 2, "%s%s", outcome.out, outcome.err);
}

Test(echoc_probe, the_seed_is_said_if_not_all_was_good)
{
        struct crooked_server *server = crooked_start(TRICK_MUTE, 0, 0);

        RUN_ECHOC(&outcome, "-c", "1", "-W", "0.5", "127.0.0.1", crooked_port(server));
        expect_status(1);
        expect_err("^echoc: --seed [0-9]+ sends the same bytes again$");
        RUN_ECHOC(&outcome, "--seed", "77", "-c", "1", "-W", "0.5", "127.0.0.1",
                  crooked_port(server));
        expect_err("^echoc: --seed 77 sends the same bytes again$");
        crooked_stop(server);
}

Test(echoc_probe, a_late_answer_is_said_to_be_missing_and_then_to_be_late)
{
        probe(TRICK_DELAY, 192, 1500, "0.5");
        expect_status(1);
        expect_out("^seq=4: no answer within 0\\.5 s$");
        expect_out("^4 sent, [34] received,");
}

Test(echoc_probe, a_late_answer_counts_as_received)
{
        struct crooked_server *server = crooked_start(TRICK_DELAY, 0, 2000);

        RUN_ECHOC(&outcome, "-c", "2", "-i", "4", "-W", "1", "127.0.0.1", crooked_port(server));
        expect_status(1);
        expect_out("^seq=1: no answer within 1 s$");
        expect_out("^64 bytes from 127\\.0\\.0\\.1: seq=1 time=[0-9.]+ ms \\(late\\)$");
        expect_out("^2 sent, 2 received, 0% lost, [12] late, 0 wrong,");
        crooked_stop(server);
}

Test(echoc_probe, no_answer_at_all_is_all_lost)
{
        probe(TRICK_MUTE, 0, 0, "0.3");
        expect_status(1);
        expect_out("^seq=1: offset 0: 256 bytes lost$");
        expect_out("^4 sent, 0 received, 100% lost, 0 late, 1 wrong,");
        cr_assert_eq(count_text(outcome.out, "rtt"), 0);
}

Test(echoc_probe, nobody_who_accepts_is_no_answer)
{
        probe(TRICK_DEAF, 0, 0, "0.3");
        expect_status(1);
        expect_out("100% lost");
}

Test(echoc_probe, a_reset_is_told_and_ends_it)
{
        probe(TRICK_RESET, 128, 0, "20");
        expect_status(1);
        expect_err("^echoc: 127\\.0\\.0\\.1 port [0-9]+: connection reset by peer$");
        expect_out("^[234] sent, 2 received,");
}

Test(echoc_probe, an_early_end_is_told_and_ends_it)
{
        probe(TRICK_CLOSE, 96, 0, "20");
        expect_status(1);
        cr_assert(command_matches(outcome.err, "the server has ended the connection") ||
                          command_matches(outcome.err, "connection reset by peer"),
                  "%s", outcome.err);
        expect_out("^[234] sent, 1 received,");
}

Test(echoc_probe, no_connection_is_status_2)
{
        RUN_ECHOC(&outcome, "127.0.0.1", port_text(free_port()));
        expect_status(2);
        expect_err("^echoc: 127\\.0\\.0\\.1 port [0-9]+: connection refused$");
        cr_assert_str_empty(outcome.out);
}

Test(echoc_probe, no_socket_at_the_path_is_status_2)
{
        RUN_ECHOC(&outcome, "/nonexistent/echo.sock");
        expect_status(2);
        expect_err("^echoc: /nonexistent/echo\\.sock: no such file or directory$");
}

Test(echoc_probe, a_queue_of_a_unix_socket_that_stays_full_is_no_connection_in_time)
{
        const char *path = scratch_path("echo.sock");
        struct crooked_server *server = crooked_start_at_path(TRICK_DEAF, path, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, path);
        cr_assert_eq(connect(waiting, (struct sockaddr *)&address, sizeof(address)), 0);
        RUN_ECHOC(&outcome, "-W", "0.3", path);
        expect_status(2);
        expect_err("^echoc: /tmp/.*/echo\\.sock: connection timed out$");
        close(waiting);
        crooked_stop(server);
}

Test(echoc_probe, an_unknown_name_is_status_2)
{
        RUN_ECHOC(&outcome, "no-such-host.invalid");
        expect_status(2);
        expect_err("^echoc: no-such-host\\.invalid: ");
}
