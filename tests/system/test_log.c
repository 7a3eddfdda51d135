/* The contract with people and programs that read the log. */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "observe.h"
#include "port.h"
#include "reload.h"
#include "scratch.h"

#define STAMP "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

#define CLOSED_RECORDS "log_connections = true;"

static void set_up(void)
{
        scratch_make();
        unsetenv("JOURNAL_STREAM");
}

TestSuite(log, .init = set_up, .fini = scratch_remove);

/* Ends the daemon and expects every line of its log to match the pattern. */
static void assert_every_line(struct daemon *daemon, const char *pattern)
{
        char *line, *rest;

        daemon_signal(daemon, SIGTERM);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        cr_assert_eq(daemon->log[daemon->log_length - 1], '\n');
        rest = daemon->log;
        while ((line = strsep(&rest, "\n")) && rest)
                cr_assert(command_matches(line, pattern), "%s", line);
        daemon_free(daemon);
}

Test(log, lines_have_time_stamp_and_level)
{
        struct daemon *daemon = DAEMON("-o", CLOSED_RECORDS);

        assert_serves(daemon->port);
        assert_every_line(daemon, "^" STAMP " (error|warning|notice|info|debug): [[:print:]]+$");
}

Test(log, under_the_journal_lines_have_a_priority_instead)
{
        uint16_t port = free_port();
        struct daemon *daemon;

        setenv("JOURNAL_STREAM", "8:12345", 1);
        scratch_write("echod.conf", "listeners = ( { port = %u; } );\n" CLOSED_RECORDS, port);
        daemon = daemon_spawn((const char *const[]){"-c", scratch_path("echod.conf"), NULL});
        daemon_await_log(daemon, "workers=");
        assert_serves(port);
        assert_every_line(daemon, "^<[3-7]>[[:alpha:]][[:print:]]+$");
}

Test(log, an_error_has_its_priority)
{
        struct outcome outcome;

        setenv("JOURNAL_STREAM", "8:12345", 1);
        RUN_ECHOD(&outcome, "-t", "-c", "/dev/null", "-o", "workers = -1;");
        cr_assert(command_matches(outcome.err, "^<3>command line:1: workers: "), "%s", outcome.err);
}

Test(log, start_up_says_version_listeners_workers_and_limits)
{
        const char *path = scratch_path("echod.sock");
        char override[512], expected[256];
        struct daemon *daemon;

        snprintf(override, sizeof(override),
                 "listeners = ( " ANY_PORT ", { address = \"%s\"; }, "
                 "{ address = \"127.0.0.2\"; port = 0; } );"
                 "workers = 2; max_connections = 77; idle_timeout = 60; drain_timeout = 0.5;",
                 path);
        daemon = DAEMON("-o", override);
        daemon_await_log(daemon, "read_buffer=");
        snprintf(expected, sizeof(expected), "listening on %s$", path);
        cr_assert(command_matches(daemon->log, expected));
        cr_assert(command_matches(daemon->log, "echod [0-9]+\\.[0-9]+\\.[0-9]+ starting"));
        cr_assert(command_matches(daemon->log, "listening on 127\\.0\\.0\\.1:[1-9][0-9]*$"));
        cr_assert(command_matches(daemon->log, "listening on 127\\.0\\.0\\.2:[1-9][0-9]*$"));
        cr_assert(command_matches(daemon->log, " workers=2 max_connections=77 "));
        cr_assert(command_matches(daemon->log, " idle_timeout=60\\.000 "));
        cr_assert(command_matches(daemon->log, " drain_timeout=0\\.500( |$)"));
        assert_serves(daemon->port);
        daemon_stop(daemon);
}

Test(log, a_level_hides_what_is_less_important)
{
        struct daemon *daemon;
        const char *const arguments[] = {
                "-c", "/dev/null",
                "-o", "listeners = ( " ANY_PORT " ); log_level = \"warning\";",
                "-o", "max_connections = 2147483647;",
                NULL};

        daemon = daemon_spawn(arguments);
        daemon_await_log(daemon, "max_connections is lowered");
        daemon_signal(daemon, SIGTERM);
        daemon_await_exit(daemon);
        cr_assert_not(daemon_has_logged(daemon, "listening on"));
        daemon_free(daemon);
}

Test(log, usr1_logs_the_statistics)
{
        struct daemon *daemon = DAEMON("-o", "deny = [ \"127.0.0.2\" ];");
        int client = client_connect(daemon->port), refused;

        client_echo(client, "twelve bytes");
        refused = client_connect_from("127.0.0.2", daemon->port);
        client_expect_reset(refused);
        await_statistics(daemon,
                         "statistics connections=1 accepted=1 refused_deny=1 refused_full=0 "
                         "refused_source_limit=0 refused_source_rate=0 refused_proxy_header=0 "
                         ".*received_bytes=12 sent_bytes=12 pending_bytes=0 .*reloads_success=0 ");
        cr_assert(command_matches(daemon->log,
                                  "listener_figures listener=127\\.0\\.0\\.1:[0-9]+ accepted=1 "
                                  "queue_length=0 queue_limit=[0-9]+ drops=0$"));
        cr_assert(command_matches(daemon->log,
                                  "worker_figures worker=0 connections=[01] busy_seconds="));
        close(refused);
        close(client);
        daemon_stop(daemon);
}

/* How many of the clients that were refused the log accounts for, by a line or as suppressed. */
static unsigned count_refused(struct daemon *daemon, unsigned *ret_lines)
{
        unsigned n;

        *ret_lines = daemon_count_log(daemon, "refused peer=");
        n = *ret_lines;
        for (const char *p = daemon->log; (p = strstr(p, " suppressed=")); p++)
                n += (unsigned)atoi(p + strlen(" suppressed="));
        for (const char *p = daemon->log; (p = strstr(p, ": ")); p++) {
                unsigned n_suppressed = 0;
                int end = 0;

                if (sscanf(p, ": %u more lines about refused%n", &n_suppressed, &end) == 1)
                        n += end > 0 ? n_suppressed : 0;
        }
        return n;
}

Test(log, refusals_are_limited_and_those_suppressed_are_counted)
{
        struct daemon *daemon = DAEMON("-o", "deny = [ \"0.0.0.0/0\" ];");
        uint64_t deadline;
        unsigned n_lines;

        for (unsigned i = 0; i < 300; i++)
                close(client_connect(daemon->port));
        deadline = now_ms() + PATIENCE_MS;
        while (count_refused(daemon, &n_lines) < 300) {
                cr_assert_lt(now_ms(), deadline, "%u of 300", count_refused(daemon, &n_lines));
                sleep_ms(50);
        }
        cr_assert_eq(count_refused(daemon, &n_lines), 300);
        cr_assert_leq(n_lines, 150, "%u lines", n_lines);
        cr_assert(command_matches(daemon->log,
                                  STAMP " notice: refused peer=127\\.0\\.0\\.1:[0-9]+ "
                                        "listener=127\\.0\\.0\\.1:[0-9]+ reason=deny$"));
        daemon_stop(daemon);
}

Test(log, a_client_cannot_put_control_characters_into_it)
{
        struct sockaddr_un evil = {.sun_family = AF_UNIX}, address = {.sun_family = AF_UNIX};
        socklen_t length;
        const char *path = scratch_path("echod.sock");
        struct daemon *daemon = DAEMON("-o", scratch_listener("echod.sock"), "-o", CLOSED_RECORDS);
        int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        /* One of the abstract names, which all processes of the machine share. */
        length = (socklen_t)snprintf(&evil.sun_path[1], sizeof(evil.sun_path) - 1,
                                     "\x1b[31m\nfake: line %d\r\t\x7f", (int)getpid());
        length += (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1;
        cr_assert_eq(bind(client, (const struct sockaddr *)&evil, length), 0);
        strcpy(address.sun_path, path);
        cr_assert_eq(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
        client_echo(client, "\x1b[2J\r\n<0>fake\n");
        close(client);
        daemon_await_log(daemon, "closed ");
        assert_every_line(daemon, "^" STAMP " [a-z]+: [[:print:]]+$");
}

Test(log, a_configuration_cannot_put_control_characters_into_it)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-t", "-c", "/nowhere/\x1b[31m\nfake");
        cr_assert_eq(outcome.status, 6);
        cr_assert_null(strchr(outcome.err, '\x1b'));
        cr_assert_null(strstr(outcome.err, "\nfake"));
        RUN_ECHOD(&outcome, "-t", "-c", "/dev/null", "-o", "log_level = \"\x1b[31m\";");
        cr_assert_eq(outcome.status, 6);
        cr_assert_null(strchr(outcome.err, '\x1b'));
}

Test(log, a_reader_that_has_gone_does_not_end_the_daemon)
{
        struct daemon *daemon = DAEMON("-o", CLOSED_RECORDS);
        int client = client_connect(daemon->port);

        client_echo(client, "before");
        close(daemon->log_descriptor);
        daemon_signal(daemon, SIGUSR1);
        assert_serves(daemon->port);
        client_echo(client, "after");
        close(client);
        daemon_signal(daemon, SIGTERM);
        daemon->log_descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
}
