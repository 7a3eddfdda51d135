/* The figures of a daemon as a table, fetched from its own metrics. */

#include <criterion/criterion.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "crooked_server.h"
#include "daemon.h"
#include "echoc_outcome.h"
#include "page.h"
#include "port.h"

/* The URL of a page of the daemon's. Valid until the next call. */
static const char *url(struct daemon *daemon, const char *path)
{
        static char text[128];

        snprintf(text, sizeof(text), "http://127.0.0.1:%u%s", page_port(daemon), path);
        return text;
}

Test(echoc_status, prints_each_figure_once_where_nobody_watches)
{
        struct daemon *daemon = DAEMON("-o", METRICS "workers = 1;");
        int client = client_connect(daemon->port);

        client_echo(client, "twelve bytes");
        RUN_ECHOC(&outcome, "--status", "127.0.0.1", port_text(page_port(daemon)));
        expect_status(0);
        cr_assert_str_empty(outcome.err);
        expect_out("^echod [0-9.]+ at http://127\\.0\\.0\\.1:[0-9]+/metrics, up "
                   "[0-9]{2}:[0-9]{2}:[0-9]{2}$");
        expect_out("^FIGURE +LABEL +VALUE$");
        expect_out("^connections +1$");
        expect_out("^received_bytes_total +12$");
        expect_out("^worker_connections +worker=\"0\" +1$");
        cr_assert_eq(count_text(outcome.out, "\nconnections "), 1);
        cr_assert_null(strchr(outcome.out, '\033'));
        close(client);
        daemon_stop(daemon);
}

Test(echoc_status, says_from_the_second_time_on_how_fast_a_figure_grows)
{
        struct daemon *daemon = DAEMON("-o", METRICS);

        RUN_ECHOC(&outcome, "--status", "-c", "3", "-i", "0.05", url(daemon, ""));
        expect_status(0);
        cr_assert_eq(count_text(outcome.out, "VALUE\n"), 1);
        cr_assert_eq(count_text(outcome.out, "PER SECOND\n"), 2);
        expect_out("^received_bytes_total +0 +0\\.0$");
        daemon_stop(daemon);
}

/* Runs echoc on a terminal of ten lines, and types Ctrl-C there as soon as it has written `needle`.
 */
static void interrupt_on_terminal(const char *needle, const char *url_of_page)
{
        const struct winsize size = {.ws_row = 10, .ws_col = 80};
        bool is_interrupted = false;
        size_t length = 0;
        ssize_t n = 1;
        int terminal, status;
        pid_t pid = forkpty(&terminal, NULL, NULL, &size);

        cr_assert_geq(pid, 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                execl(command_echoc(), "echoc", "--status", "-i", "0.1", url_of_page, NULL);
                _exit(127);
        }
        outcome = (struct outcome){0};
        while (n > 0) { /* at its end there is EIO */
                struct pollfd readable = {.fd = terminal, .events = POLLIN};

                cr_assert_gt(poll(&readable, 1, PATIENCE_MS), 0, "it hangs:\n%s", outcome.out);
                n = read(terminal, outcome.out + length, sizeof(outcome.out) - length - 1);
                length += n > 0 ? (size_t)n : 0;
                if (!is_interrupted && strstr(outcome.out, needle)) {
                        is_interrupted = true;
                        cr_assert_eq(write(terminal, "\003", 1), 1);
                }
        }
        close(terminal);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Test(echoc_status, is_written_over_on_a_terminal_until_it_is_interrupted)
{
        struct daemon *daemon = DAEMON("-o", METRICS);

        interrupt_on_terminal("PER SECOND", url(daemon, "/metrics"));
        expect_status(0);
        cr_assert_geq(count_text(outcome.out, "\033[H\033[J"), 2, "%s", outcome.out);
        cr_assert_geq(count_text(outcome.out, "PER SECOND"), 1, "%s", outcome.out);
        expect_out("^\\.\\.\\. and [0-9]+ more");
        daemon_stop(daemon);
}

Test(echoc_status, a_page_that_is_not_echods_is_status_1)
{
        struct daemon *daemon = DAEMON("-o", METRICS);

        RUN_ECHOC(&outcome, "--status", url(daemon, "/healthz"));
        expect_status(1);
        cr_assert_not_null(strstr(outcome.err, "/healthz: this is not the metrics of an echod"),
                           "%s", outcome.err);
        RUN_ECHOC(&outcome, "--status", url(daemon, "/nowhere"));
        expect_status(1);
        cr_assert_not_null(strstr(outcome.err, "HTTP status 404"), "%s", outcome.err);
        cr_assert_str_empty(outcome.out);
        daemon_stop(daemon);
}

Test(echoc_status, an_answer_that_is_no_page_is_status_1)
{
        struct daemon *daemon = DAEMON();
        char secure[64];

        RUN_ECHOC(&outcome, "--status", "127.0.0.1", port_text(daemon->port));
        expect_status(1);
        cr_assert_str_empty(outcome.out);
        snprintf(secure, sizeof(secure), "https://127.0.0.1:%u/", daemon->port);
        RUN_ECHOC(&outcome, "--status", secure);
        expect_status(1);
        cr_assert_not_null(strstr(outcome.err, secure), "%s", outcome.err);
        daemon_stop(daemon);
}

Test(echoc_status, one_who_closes_without_an_answer_is_status_2)
{
        struct crooked_server *server = crooked_start(TRICK_CLOSE, 0, 0);

        RUN_ECHOC(&outcome, "--status", "127.0.0.1", crooked_port(server));
        expect_status(2);
        crooked_stop(server);
}

Test(echoc_status, nobody_there_is_status_2)
{
        char nowhere[128];

        snprintf(nowhere, sizeof(nowhere), "http://127.0.0.1:%u/metrics", free_port());
        RUN_ECHOC(&outcome, "--status", nowhere);
        expect_status(2);
        cr_assert_not_null(strstr(outcome.err, nowhere), "%s", outcome.err);
        cr_assert_str_empty(outcome.out);
}

Test(echoc_status, what_is_neither_url_nor_host_is_status_2)
{
        static const char *const bad[] = {"a b", "ftp://localhost/", "file:///etc/passwd"};

        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                RUN_ECHOC(&outcome, "--status", bad[i]);
                cr_assert_eq(outcome.status, 2, "%s: %d", bad[i], outcome.status);
                cr_assert_not_null(strstr(outcome.err, bad[i]), "%s", outcome.err);
        }
}

/* A port on which somebody listens who never answers. */
Test(echoc_status, an_answer_that_does_not_come_is_waited_for_as_long_as_asked)
{
        struct crooked_server *server = crooked_start(TRICK_MUTE, 0, 0);
        uint64_t began_ms = now_ms();

        RUN_ECHOC(&outcome, "--status", "-W", "0.2", "127.0.0.1", crooked_port(server));
        expect_status(2);
        expect_err("timed out");
        cr_assert_str_empty(outcome.out);
        cr_assert_geq(now_ms() - began_ms, 200);
        crooked_stop(server);
}

Test(echoc_status, a_daemon_that_ends_meanwhile_is_said)
{
        struct daemon *daemon = DAEMON("-o", METRICS);
        char command[512];

        /* It is ended by who has read the first line. */
        snprintf(command, sizeof(command),
                 "{ '%s' --status -c 1000 -i 0.02 %s; echo status $? >&2; } |"
                 "{ read line; kill -TERM %d; cat; }",
                 command_echoc(), url(daemon, "/metrics"), (int)daemon->pid);
        command_run(&outcome, NULL, (const char *const[]){"sh", "-c", command, NULL});
        expect_out("^FIGURE +LABEL +VALUE$");
        expect_err("^status 2$");
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
}
