/* The transcript shows at a glance whether a server serves one client at a time or all at once. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "crooked_server.h"
#include "daemon.h"
#include "echoc_outcome.h"
#include "port.h"
#include "scratch.h"

TestSuite(echoc_transcript, .init = scratch_make, .fini = scratch_remove);

/* Where it happens in the transcript. */
static const char *find(const char *event)
{
        const char *found = strstr(outcome.out, event);

        cr_assert_not_null(found, "no '%s' in:\n%s", event, outcome.out);
        return found;
}

static void expect_order(const char *first, const char *second)
{
        cr_assert_lt((uintptr_t)find(first), (uintptr_t)find(second), "'%s', but '%s' before:\n%s",
                     first, second, outcome.out);
}

static void write_transcript(const char *port)
{
        RUN_ECHOC(&outcome, "--clients", "3", "-i", "0.5", "-m", "你好", "-m", "世界！",
                  "--transcript", "127.0.0.1", port);
}

static void write_transcript_of_one(enum trick trick, uint64_t offset, uint64_t length)
{
        struct crooked_server *server = crooked_start(trick, offset, length);

        RUN_ECHOC(&outcome, "--clients", "1", "-i", "0.01", "-m", "hello", "-m", "world",
                  "--transcript", "127.0.0.1", crooked_port(server));
        crooked_stop(server);
}

/* Everything that happens to one client, in this order. */
static void expect_life(const char *client)
{
        static const char *const events[] = {
                "connects.",         "sends \"你好\".",      "receives \"你好\".",
                "sends \"世界！\".", "receives \"世界！\".", "disconnects.",
        };
        char event[128], previous[128] = "";

        for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
                snprintf(event, sizeof(event), "Client %s %s\n", client, events[i]);
                cr_assert_eq(count_text(outcome.out, event), 1, "%s in:\n%s", event, outcome.out);
                if (i > 0)
                        expect_order(previous, event);
                memcpy(previous, event, sizeof(event));
        }
}

Test(echoc_transcript, all_at_once)
{
        struct daemon *daemon = DAEMON();

        write_transcript(port_text(daemon->port));
        expect_status(0);
        expect_life("0");
        expect_life("1");
        expect_life("2");
        cr_assert_eq(count_text(outcome.out, "\n"), 18, "%s", outcome.out);
        expect_order("Client 2 receives \"你好\"", "Client 0 disconnects");
        expect_order("Client 1 receives \"世界！\"", "Client 0 disconnects");
        daemon_stop(daemon);
}

static const char *find_of(unsigned client, const char *what)
{
        char event[64];

        snprintf(event, sizeof(event), "Client %u %s", client, what);
        return find(event);
}

/* In whichever order the kernel has them ready: of two clients one has gone before the other is
 * served. */
static void expect_one_after_the_other(void)
{
        for (unsigned a = 0; a < 3; a++)
                for (unsigned b = 0; b < a; b++)
                        cr_assert(find_of(a, "disconnects") < find_of(b, "receives") ||
                                          find_of(b, "disconnects") < find_of(a, "receives"),
                                  "%u and %u at once:\n%s", a, b, outcome.out);
}

Test(echoc_transcript, one_at_a_time)
{
        struct daemon *daemon = DAEMON("-o", "max_connections = 1;");

        write_transcript(port_text(daemon->port));
        expect_status(0);
        expect_life("0");
        expect_life("1");
        expect_life("2");
        expect_one_after_the_other();
        expect_order("Client 2 connects", "Client 0 sends \"你好\""); /* the kernel lets it in */
        daemon_stop(daemon);
}

Test(echoc_transcript, who_finds_the_queue_of_a_unix_socket_full_waits)
{
        const char *path = scratch_path("echo.sock");
        struct crooked_server *server = crooked_start_at_path(TRICK_ONE_AT_A_TIME, path, 1);

        RUN_ECHOC(&outcome, "--clients", "6", "-i", "0.05", "-m", "hi", "--transcript", path);
        crooked_stop(server);
        expect_status(0);
        cr_assert_eq(count_text(outcome.out, " connects."), 6, "%s", outcome.out);
        cr_assert_eq(count_text(outcome.out, " receives \"hi\"."), 6, "%s", outcome.out);
}

Test(echoc_transcript, each_client_has_a_column_and_each_line_a_time)
{
        struct daemon *daemon = DAEMON();
        double before = 0;

        write_transcript(port_text(daemon->port));
        expect_status(0);
        expect_out("^\\[0\\.[0-9]{6}\\] Client 0 connects\\.$");
        expect_out("^\\[0\\.[0-9]{6}\\] {9}Client 1 connects\\.$");
        expect_out("^\\[[0-9.]+\\] {17}Client 2 sends \"你好\"\\.$");
        for (char *line = strtok(outcome.out, "\n"); line; line = strtok(NULL, "\n")) {
                double now = strtod(line + 1, NULL);

                cr_assert_geq(now, before, "%s", line);
                before = now;
        }
        cr_assert_geq(before, 1.5); /* three pauses */
        daemon_stop(daemon);
}

Test(echoc_transcript, many_clients_have_columns_of_their_own_too)
{
        struct daemon *daemon = DAEMON();

        RUN_ECHOC(&outcome, "--clients", "30", "-i", "0.01", "-m", "x", "--transcript", "127.0.0.1",
                  port_text(daemon->port));
        expect_status(0);
        for (unsigned i = 0; i < 30; i++) {
                char line[320];

                snprintf(line, sizeof(line), "] %*sClient %u connects.\n", 8 * (int)i, "", i);
                find(line);
        }
        daemon_stop(daemon);
}

static void limit_open_files(rlim_t soft, rlim_t hard)
{
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = soft, .rlim_max = hard});
}

static void limit_softly(void)
{
        limit_open_files(8, 128);
}

/* Each client takes one, and echoc itself a few. */
static void leave_room_for_40(void)
{
        limit_open_files(88, 88);
}

static void leave_room_for_39(void)
{
        limit_open_files(87, 87);
}

static void run_40_clients(void (*prepare)(void))
{
        struct daemon *daemon = DAEMON();

        command_run(&outcome, prepare,
                    (const char *const[]){command_echoc(), "--clients", "40", "-i", "0.01", "-m",
                                          "x", "--transcript", "127.0.0.1", port_text(daemon->port),
                                          NULL});
        daemon_stop(daemon);
}

Test(echoc_transcript, the_limit_on_open_files_is_raised_as_far_as_it_goes)
{
        run_40_clients(limit_softly);
        expect_status(0);
        cr_assert_eq(count_text(outcome.out, " disconnects."), 40);
}

Test(echoc_transcript, more_clients_than_open_files_are_refused_with_the_limit)
{
        run_40_clients(leave_room_for_40);
        expect_status(0);
        cr_assert_eq(count_text(outcome.out, " disconnects."), 40);
        run_40_clients(leave_room_for_39);
        expect_status(2);
        expect_err("^echoc: 40 connections do not fit into the limit on open files, 87, "
                   "which leaves room for 39$");
        cr_assert_str_empty(outcome.out);
}

Test(echoc_transcript, a_long_text_comes_back)
{
        size_t length = 100000; /* arguments cannot be longer than 128 KiB */
        struct daemon *daemon = DAEMON();
        char *text = malloc(length + 1);

        memset(text, 'x', length);
        text[length] = '\0';
        command_run(&outcome, NULL,
                    (const char *const[]){"sh", "-c", "\"$0\" \"$@\" | cut -c -60", command_echoc(),
                                          "--clients", "2", "-i", "0.01", "-m", text,
                                          "--transcript", "127.0.0.1", port_text(daemon->port),
                                          NULL});
        expect_status(0);
        find("Client 0 receives \"xxx");
        find("Client 1 receives \"xxx");
        free(text);
        daemon_stop(daemon);
}

Test(echoc_transcript, a_wrong_byte_is_told_with_its_offset)
{
        write_transcript_of_one(TRICK_CORRUPT, 7, 1);
        expect_status(1);
        find("Client 0 receives \"hello\".");
        find("Client 0 receives a wrong byte at offset 2 of its text.");
        find("Client 0 disconnects.");
}

Test(echoc_transcript, bytes_too_many_are_told)
{
        write_transcript_of_one(TRICK_DUPLICATE, 5, 2);
        expect_status(1);
        find("Client 0 receives bytes too many at offset 5 of its text.");
}

Test(echoc_transcript, a_server_that_closes_is_told)
{
        write_transcript_of_one(TRICK_CLOSE, 5, 0);
        expect_status(1);
        find("Client 0 receives \"hello\".");
        find("Client 0 is disconnected by the server.");
}

Test(echoc_transcript, a_server_that_resets_is_told)
{
        write_transcript_of_one(TRICK_RESET, 5, 0);
        expect_status(1);
        find("Client 0 loses its connection: connection reset by peer.");
}

Test(echoc_transcript, no_connection_is_status_2)
{
        RUN_ECHOC(&outcome, "--clients", "2", "-m", "x", "--transcript", "127.0.0.1",
                  port_text(free_port()));
        expect_status(2);
        find("Client 0 cannot connect: connection refused.");
        find("Client 1 cannot connect: connection refused.");
}

Test(echoc_transcript, an_interrupt_ends_it_and_is_no_fault)
{
        struct crooked_server *server = crooked_start(TRICK_MUTE, 0, 0);

        INTERRUPT_ECHOC(&outcome, "sends", "--clients", "1", "-i", "0.01", "-m", "x",
                        "--transcript", "127.0.0.1", crooked_port(server));
        expect_status(0);
        crooked_stop(server);
}

Test(echoc_transcript, a_fault_before_an_interrupt_remains_one)
{
        struct crooked_server *server = crooked_start(TRICK_CORRUPT, 0, 1);

        INTERRUPT_ECHOC(&outcome, "wrong byte", "--clients", "1", "-i", "3", "-m", "x",
                        "--transcript", "127.0.0.1", crooked_port(server));
        expect_status(1);
        crooked_stop(server);
}

Test(echoc_transcript, an_answer_is_waited_for_as_long_as_asked)
{
        struct crooked_server *server = crooked_start(TRICK_MUTE, 5, 0);

        RUN_ECHOC(&outcome, "--clients", "1", "-i", "0.01", "-m", "hello", "-m", "world", "-W", "1",
                  "--transcript", "127.0.0.1", crooked_port(server));
        crooked_stop(server);
        expect_status(1);
        find("Client 0 sends \"world\".");
        find("Client 0 receives no answer within 1 s.");
        cr_assert_eq(count_text(outcome.out, "disconnects"), 0, "%s", outcome.out);
}

/* One gets in. */
Test(echoc_transcript, a_connection_is_waited_for_as_long_as_asked)
{
        const char *path = scratch_path("echo.sock");
        struct crooked_server *server = crooked_start_at_path(TRICK_DEAF, path, 0);

        RUN_ECHOC(&outcome, "--clients", "3", "-i", "0.01", "-m", "x", "-W", "0.3", "--transcript",
                  path);
        crooked_stop(server);
        expect_status(1);
        find("Client 0 receives no answer within 0.3 s.");
        find("Client 1 cannot connect: connection timed out.");
        find("Client 2 cannot connect: connection timed out.");
}

Test(echoc_transcript, control_characters_do_not_destroy_the_columns)
{
        struct daemon *daemon = DAEMON();

        RUN_ECHOC(&outcome, "--clients", "1", "-i", "0.01", "-m", "a\nb\x1b[2J\x7f\t你好\\",
                  "--transcript", "127.0.0.1", port_text(daemon->port));
        expect_status(0);
        find("Client 0 sends \"a\\nb\\x1b[2J\\x7f\\x09你好\\\".\n");
        find("Client 0 receives \"a\\nb\\x1b[2J\\x7f\\x09你好\\\".\n");
        daemon_stop(daemon);
}
