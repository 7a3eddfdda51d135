/* Every line of the JSON log is what jq(1) takes for JSON, whatever is in it. */

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "observe.h"
#include "reload.h"
#include "scratch.h"

#define JSON "log_format = \"json\"; log_connections = true;"

static void set_up(void)
{
        scratch_make();
        unsetenv("JOURNAL_STREAM");
}

TestSuite(log_json, .init = set_up, .fini = scratch_remove);

/* What jq makes of the log so far, one line of the log at a time. */
static const char *jq(struct daemon *daemon, const char *filter)
{
        static struct outcome outcome;
        const char *path;

        if (system("jq --version >/dev/null 2>&1") != 0)
                cr_skip_test("jq is not installed");
        daemon_has_logged(daemon, "\n");
        path = scratch_write("log", "%s", daemon->log);
        command_run(&outcome, NULL, (const char *const[]){"jq", "-R", "-r", filter, path, NULL});
        cr_assert_eq(outcome.status, 0, "%s\n%s", outcome.err, daemon->log);
        return outcome.out;
}

/* Expects each line to be one object with time, level, and a message or an event. */
static void assert_all_json(struct daemon *daemon)
{
        const char *bad = jq(daemon, "select((fromjson? | (.time | test(\"^20.*Z$\")) and "
                                     "(.level | IN(\"error\",\"warning\",\"notice\",\"info\","
                                     "\"debug\")) and has(\"message\") != has(\"event\")) | not)");

        cr_assert_str_eq(bad, "");
}

/* Waits for a line with that event; returns its fields as jq prints them. */
static const char *event(struct daemon *daemon, const char *name, const char *fields)
{
        char needle[64], filter[256];

        snprintf(needle, sizeof(needle), "\"event\":\"%s\"", name);
        daemon_await_log(daemon, needle);
        daemon_await_log(daemon, "\n");
        snprintf(filter, sizeof(filter), "fromjson | select(.event == \"%s\") | %s", name, fields);
        return jq(daemon, filter);
}

Test(log_json, every_kind_of_line_parses)
{
        struct daemon *daemon;
        int client, refused;

        scratch_write("echod.conf",
                      "listeners = ( " ANY_PORT ", { address = \"%s\"; } );\n" JSON
                      "deny = [ \"127.0.0.2\" ]; max_connections = 2147483647;",
                      scratch_path("socket{=}"));
        daemon = daemon_start((const char *const[]){"-c", scratch_path("echod.conf"), NULL});
        client = client_connect(daemon->port);
        client_echo(client, "twelve bytes");
        refused = client_connect_from("127.0.0.2", daemon->port);
        client_expect_reset(refused);
        reload(daemon);
        scratch_write("echod.conf", "workers = \"\\t\xff\"; nonsense = 1;");
        reload_in_vain(daemon);
        close(refused);
        close(client);
        event(daemon, "closed", ".");
        daemon_signal(daemon, SIGUSR1);
        event(daemon, "statistics", ".");
        daemon_signal(daemon, SIGTERM);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        assert_all_json(daemon);
        cr_assert(strstr(jq(daemon, "fromjson.message"), "/socket{=}\n"));
        daemon_free(daemon);
}

Test(log_json, a_closed_connection_has_the_fields_of_the_contract_as_numbers_and_texts)
{
        struct daemon *daemon = DAEMON("-o", JSON);
        int client = client_connect(daemon->port);
        const char *fields;

        client_echo(client, "twelve bytes");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
        fields = event(daemon, "closed",
                       "[.in, .out, .reason, (.peer | test(\"^127.0.0.1:[0-9]+$\")), "
                       "(.listener | type), (.duration | type), (.rtt_ms | type), "
                       "(.retransmits | type)] | @csv");
        cr_assert_str_eq(fields,
                         "12,12,\"eof\",true,\"string\",\"number\",\"number\",\"number\"\n");
        daemon_stop(daemon);
}

Test(log_json, refusals_are_limited_and_the_number_suppressed_is_a_field)
{
        struct daemon *daemon = DAEMON("-o", JSON "deny = [ \"0.0.0.0/0\" ];");

        for (unsigned i = 0; i < 30; i++)
                close(client_connect(daemon->port));
        daemon_await_log(daemon, "20 more lines about refused clients suppressed");
        cr_assert(strstr(event(daemon, "refused", ".reason"), "deny\ndeny\n"));
        assert_all_json(daemon);
        daemon_stop(daemon);
}

Test(log_json, under_the_journal_the_priority_stands_before_the_object)
{
        struct daemon *daemon;

        setenv("JOURNAL_STREAM", "8:12345", 1);
        scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n" JSON);
        daemon = daemon_spawn((const char *const[]){"-c", scratch_path("echod.conf"), NULL});
        daemon_await_log(daemon, "\"workers\":");
        daemon_signal(daemon, SIGTERM);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        cr_assert_str_eq(jq(daemon, "select(test(\"^<[3-7]>\\\\{\") | not)"), "");
        cr_assert_str_eq(jq(daemon, ".[3:] | fromjson | select(has(\"level\") | not)"), "");
        daemon_free(daemon);
}

Test(log_json, a_reload_changes_the_format)
{
        struct daemon *daemon;

        scratch_write("echod.conf", "listeners = ( " ANY_PORT " );");
        daemon = daemon_start((const char *const[]){"-c", scratch_path("echod.conf"), NULL});
        scratch_write("echod.conf", "listeners = ( " ANY_PORT " ); log_format = \"json\";");
        hup(daemon, "\"message\":\"configuration reloaded\"");
        scratch_write("echod.conf", "listeners = ( " ANY_PORT " );");
        hup(daemon, "notice: configuration reloaded");
        daemon_stop(daemon);
}

/* It is for people, and for scripts that know its form: FILE:LINE: OPTION: ... */
Test(log_json, a_check_of_the_configuration_speaks_in_words)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-t", "-c", "/dev/null", "-o", JSON);
        cr_assert_eq(outcome.status, 0);
        cr_assert_str_eq(outcome.err, "the configuration is valid\n");
}
