/* What is asked for without end ends when its output cannot be written any more. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "echoc_outcome.h"
#include "page.h"

/* Runs a line of the shell, in which $0 is echoc and $1 the port. */
static void run_line(const char *line, uint16_t port)
{
        command_run(
                &outcome, NULL,
                (const char *const[]){"sh", "-c", line, command_echoc(), port_text(port), NULL});
}

static void expect_end_at_full_disk(const char *arguments)
{
        struct daemon *daemon = DAEMON();
        char line[256];

        snprintf(line, sizeof(line), "exec \"$0\" %s 127.0.0.1 $1 >/dev/full", arguments);
        run_line(line, daemon->port);
        expect_status(1);
        expect_err("^echoc: cannot write: [Nn]o space left on device$");
        daemon_stop(daemon);
}

Test(echoc_mute, a_probe_on_a_full_disk_ends)
{
        expect_end_at_full_disk("-c 1");
        expect_end_at_full_disk("-i 3600");
        expect_end_at_full_disk("-q -i 3600");
}

Test(echoc_mute, hold_on_a_full_disk_ends)
{
        expect_end_at_full_disk("--hold -n 3 -t 3600 -W 20");
}

Test(echoc_mute, a_transcript_on_a_full_disk_ends)
{
        expect_end_at_full_disk("--transcript --clients 3 -i 3600 -m x");
}

/* SIGPIPE is ignored, as systemd has it. */
Test(echoc_mute, a_probe_whose_reader_has_gone_ends)
{
        struct daemon *daemon = DAEMON();

        run_line("trap '' PIPE; { \"$0\" -i 0.01 127.0.0.1 $1; echo status=$? >&2; } | head -n 1",
                 daemon->port);
        expect_out("^ECHO ");
        expect_err("^echoc: cannot write: [Bb]roken pipe$");
        expect_err("^status=1$");
        daemon_stop(daemon);
}

Test(echoc_mute, status_whose_reader_has_gone_ends)
{
        struct daemon *daemon;

        RUN_ECHOC(&outcome, "--status", "127.0.0.1", "1");
        if (!command_echod_has("metrics") || strstr(outcome.err, "built without libcurl"))
                cr_skip_test("without metrics, or without libcurl");
        daemon = DAEMON("-o", METRICS);
        run_line("trap '' PIPE; { \"$0\" --status -c 1000000 -i 0.01 127.0.0.1 $1; "
                 "echo status=$? >&2; } | head -n 1",
                 page_port(daemon));
        expect_out("^echod ");
        expect_err("^status=1$");
        daemon_stop(daemon);
}
