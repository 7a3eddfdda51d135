/*
 * echod as a service: what echod(8) says of systemctl, done with a real one.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box.h"
#include "client.h"
#include "page.h"
#include "reload.h"

#define BAD_FILE "log_connections = true;\nworkers = -1;\n"

TestSuite(systemd_service, .init = box_enter);

/* "active", "inactive", "failed" ... */
static const char *state_of(const char *unit)
{
        return box_shell("systemctl is-active '%s' || :", unit);
}

Test(systemd_service, enabled_and_started_it_serves_and_the_journal_has_its_log)
{
        box_shell("systemctl enable --now echod");
        cr_assert_str_eq(state_of("echod"), "active");
        cr_assert_str_eq(box_shell("systemctl is-enabled echod"), "enabled");
        assert_serves(7);
        box_await_journal("echod", "listening on 0.0.0.0:7\n");
        box_await("Serving 0 connections", "systemctl status echod");
}

Test(systemd_service, a_reload_applies_the_edited_file_and_keeps_open_connections)
{
        int before, after;

        box_shell("systemctl start echod");
        before = client_connect(7);
        client_echo(before, "before");
        /* As editors do: a new file takes the place of the old one. */
        box_shell("sed -i 's/^#log_connections = false;/log_connections = true;/' /etc/echod.conf");
        box_shell("systemctl reload echod");
        box_await_journal("echod", "configuration reloaded");
        after = client_connect(7);
        client_echo(after, "after");
        close(after);
        box_await_journal("echod", " listener=0.0.0.0:7 in=5 out=5 ");
        client_echo(before, "and still");
        close(before);
}

Test(systemd_service, a_reload_of_a_bad_file_fails_and_says_where_and_the_service_goes_on)
{
        struct outcome outcome;
        int client;

        box_shell("systemctl start echod");
        client = client_connect(7);
        box_write("/etc/echod.conf", BAD_FILE);
        box_try(&outcome, "systemctl reload echod");
        cr_assert_neq(outcome.status, 0);
        cr_assert_not_null(strstr(outcome.err, "echod.service failed"), "%s", outcome.err);
        box_await("/etc/echod.conf:2: workers: ", "systemctl status echod");
        cr_assert_str_eq(state_of("echod"), "active");
        client_echo(client, "as before");
        close(client);
        assert_serves(7);
        /* It was not even asked: its own log has nothing of it. */
        cr_assert_null(strstr(box_await_journal("echod", "workers"), "stays as it was"));
}

Test(systemd_service, a_start_with_a_bad_file_fails_says_where_and_is_not_tried_again)
{
        struct outcome outcome;

        box_write("/etc/echod.conf", BAD_FILE);
        box_try(&outcome, "systemctl start echod");
        cr_assert_neq(outcome.status, 0);
        cr_assert_str_eq(state_of("echod"), "failed");
        box_await("/etc/echod.conf:2: workers: ", "systemctl status echod");
        cr_assert_str_eq(box_shell("systemctl show -P ExecMainStatus echod"), "6");
        cr_assert_str_eq(box_shell("systemctl show -P NRestarts echod"), "0");
}

Test(systemd_service, a_stop_lets_a_client_finish_and_closes_the_port)
{
        int client;

        box_shell("systemctl start echod");
        client = client_connect(7);
        client_echo(client, "first");
        box_shell("systemctl stop --no-block echod");
        box_await_journal("echod", "Stopping echod.service");
        client_echo(client, "and last");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
        box_await("inactive", "systemctl is-active echod");
        assert_refuses(7);
        cr_assert_str_eq(box_shell("systemctl show -P Result echod"), "success");
}

Test(systemd_service, after_a_crash_it_is_started_again)
{
        box_shell("systemctl start echod && systemctl kill --signal=SEGV echod");
        box_await("1", "systemctl show -P NRestarts echod");
        box_await("active", "systemctl is-active echod | grep -x active");
        assert_serves(7);
}

Test(systemd_service, several_instances_have_files_and_directories_of_their_own)
{
        int client;

        box_write("/etc/echod/one.conf", "listeners = ( { port = 7001; } );\n");
        box_write("/etc/echod/two.conf", "listeners = ( { port = 7002; },"
                                         " { address = \"/run/echod-two/echo.sock\"; } );\n");
        box_shell("systemctl start echod echod@one echod@two");
        assert_serves(7);
        assert_serves(7001);
        assert_serves(7002);
        client = client_connect_unix(box_path("/run/echod-two/echo.sock"));
        client_echo(client, "two");
        close(client);
        box_shell("systemctl stop echod@two");
        assert_refuses(7002);
        box_shell("test ! -e /run/echod-two && test -e /run/echod");
        assert_serves(7001);
        assert_serves(7);
}

Test(systemd_service, of_the_service_and_the_socket_the_one_that_is_started_stops_the_other)
{
        box_shell("systemctl start echod");
        box_shell("systemctl enable --now echod.socket");
        cr_assert_str_eq(state_of("echod.service"), "inactive");
        cr_assert_str_eq(state_of("echod.socket"), "active");
        box_shell("systemctl start echod");
        cr_assert_str_eq(state_of("echod.socket"), "inactive");
        cr_assert_str_eq(state_of("echod-socket.service"), "inactive");
        assert_serves(7);
}

Test(systemd_service, socket_activated_it_starts_with_the_first_client_and_refuses_none_later)
{
        int client;

        box_spare_user_namespaces();
        box_shell("systemctl enable --now echod.socket");
        cr_assert_str_eq(state_of("echod-socket.service"), "inactive");
        assert_serves(7);
        cr_assert_str_eq(state_of("echod-socket.service"), "active");
        box_shell("systemctl stop --no-block echod-socket.service");
        client = client_connect(7);
        client_echo(client, "waits for the next echod, if need be");
        close(client);
        client = client_connect_to("::1", 7);
        client_echo(client, "IPv6");
        close(client);
}

/* A status of 200 for each path, after a configuration with metrics. */
static void expect_metrics(void)
{
        cr_assert_eq(page_status(9007, "/readyz"), 200);
        cr_assert_not(isnan(page_value(page_get(9007, "/metrics"), "echod_connections")));
}

Test(systemd_service, metrics_are_served_in_the_sandbox)
{
        if (strstr(box_shell("echod -V"), "-metrics"))
                cr_skip_test("built without metrics");
        box_write("/etc/echod.conf", "metrics = {};\n");
        box_shell("systemctl start echod");
        expect_metrics();
        box_shell("systemctl restart echod");
        expect_metrics();
}

Test(systemd_service, with_a_socket_for_them_metrics_are_served_without_a_network)
{
        if (strstr(box_shell("echod -V"), "-metrics"))
                cr_skip_test("built without metrics");
        box_spare_user_namespaces();
        box_write("/etc/echod.conf", "metrics = {};\n");
        box_write("/etc/systemd/system/echod.socket.d/override.conf",
                  "[Socket]\nListenStream=127.0.0.1:9007\n");
        box_shell("systemctl daemon-reload");
        box_shell("systemctl start echod.socket");
        expect_metrics();
        assert_serves(7);
        box_shell("systemctl restart echod-socket.service");
        expect_metrics();
}

Test(systemd_service, systemd_finds_nothing_wrong_with_the_units)
{
        struct outcome outcome;

        box_write("/etc/echod/instance.conf", "workers = 1;\n");
        box_try(&outcome, "systemd-analyze verify --man=no echod.service echod-socket.service"
                          " echod.socket echod@instance.service");
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
        cr_assert_str_empty(outcome.err);
}
