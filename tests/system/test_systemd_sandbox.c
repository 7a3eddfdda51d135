/*
 * How far echod is locked up by its units. What is forbidden is tried by an intruder, a program
 * that runs under the unit in the place of echod.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box.h"
#include "client.h"
#include "reload.h"

TestSuite(systemd_sandbox, .init = box_enter);

/* Lets the intruder run as this service. */
static void intrude(const char *service, const char *argument)
{
        struct outcome outcome;
        char path[256];

        box_push(getenv("INTRUDER"), "/usr/local/sbin/intruder");
        snprintf(path, sizeof(path), "/etc/systemd/system/%s.d/intruder.conf", service);
        box_write(path,
                  "[Service]\n"
                  "Type=oneshot\n"
                  "Restart=no\n"
                  "BindReadOnlyPaths=/usr/local/sbin/intruder\n"
                  "ExecStart=\n"
                  "ExecStart=/usr/local/sbin/intruder %s\n",
                  argument);
        box_shell("systemctl daemon-reload");
        box_try(&outcome, "systemctl start %s", service);
        box_await_journal(service, " allowed\n");
        cr_assert_eq(outcome.status, 0, "%s\n%s", outcome.err,
                     box_await_journal(service, " allowed\n"));
}

Test(systemd_sandbox, without_a_unit_of_ours_the_intruder_can_do_most)
{
        struct outcome outcome;

        box_push(getenv("INTRUDER"), "/usr/local/sbin/intruder");
        box_try(&outcome, "systemd-run --quiet --wait --pipe intruder </dev/null");
        cr_assert_eq(outcome.status, 1, "%s", outcome.err);
        cr_assert_not_null(strstr(outcome.out, "allowed: run what was written to /tmp\n"));
        cr_assert_not_null(strstr(outcome.out, "allowed: mount\n"));
}

Test(systemd_sandbox, the_service_allows_nothing_but_to_serve)
{
        intrude("echod.service", "");
}

Test(systemd_sandbox, an_instance_allows_nothing_but_to_serve)
{
        intrude("echod@one.service", "");
}

Test(systemd_sandbox, with_sockets_handed_in_there_is_no_internet_and_no_capability_either)
{
        if (!box_has_user_namespaces())
                cr_skip_test("no user namespace can be made here, as in a chroot");
        intrude("echod-socket.service", "no-internet");
}

/* `tenths`: the most that systemd-analyze may find. */
static void assert_exposure(const char *unit, unsigned tenths)
{
        struct outcome outcome;

        box_try(&outcome, "systemd-analyze security --no-pager --threshold=%u %s", tenths, unit);
        cr_assert_eq(outcome.status, 0, "%s", outcome.out);
}

Test(systemd_sandbox, the_exposure_that_systemd_sees_is_as_low_as_we_say)
{
        box_write("/etc/echod/one.conf", "listeners = ( { port = 7001; } );\n");
        box_shell("systemctl start echod echod@one");
        assert_exposure("echod.service", 14);
        assert_exposure("echod@one.service", 14);
        assert_exposure("echod-socket.service", 1);
        assert_exposure("--offline=true $(systemctl show -P FragmentPath echod)", 14);
        assert_exposure("--offline=true $(systemctl show -P FragmentPath echod-socket)", 1);
        assert_serves(7);
        assert_serves(7001);
}

Test(systemd_sandbox, every_feature_of_the_configuration_works_in_it)
{
        int client;

        box_write("/etc/echod.d/more.conf", "workers = 1024;\n");
        box_write("/etc/echod.conf",
                  "@include \"echod.d/more.conf\"\n"
                  "listeners = ( { port = 7; },"
                  " { address = \"/run/echod/echo.sock\"; mode = \"0666\"; } );\n");
        box_shell("systemctl start echod");
        assert_serves(7);
        client = client_connect_unix(box_path("/run/echod/echo.sock"));
        client_echo(client, "Unix");
        close(client);
        cr_assert_str_eq(box_shell("stat -c %%a /run/echod/echo.sock"), "666");
        cr_assert_null(strstr(box_await_journal("echod", "Started "), "not permitted"));
        box_shell("systemctl kill --signal=USR2 --kill-whom=main echod");
        box_await_journal("echod", "took over 0 connections");
        assert_serves(7);
        box_shell("rm -r /etc/echod.d");
}

Test(systemd_sandbox, a_backlog_that_the_kernel_lowers_is_noticed_without_proc_sys)
{
        box_shell("sysctl -q -w net.core.somaxconn=100");
        box_shell("systemctl start echod");
        box_shell("sysctl -q -w net.core.somaxconn=4096");
        box_await_journal("echod", "the kernel lowers 1024 to 100;");
}

/* A refused call that is only answered with an error may be made up for in silence. */
static void serve_on_pain_of_death(const char *service)
{
        char path[256];
        int client;

        snprintf(path, sizeof(path), "/etc/systemd/system/%s.service.d/kill.conf", service);
        box_write(path, "[Service]\nSystemCallErrorNumber=kill\nRestart=no\n");
        box_shell("systemctl daemon-reload && systemctl start %s", service);
        client = client_connect(7);
        client_exchange(client, 32 << 20, 65536);
        close(client);
        box_shell("systemctl reload %s", service);
        box_await_journal(service, "configuration reloaded");
        box_shell("systemctl kill --signal=USR1 --kill-whom=main %s", service);
        box_await_journal(service, "statistics ");
        box_shell("systemctl kill --signal=USR2 --kill-whom=main %s", service);
        box_await_journal(service, "took over 0 connections");
        assert_serves(7);
        box_shell("systemctl stop %s", service);
        cr_assert_str_eq(box_shell("systemctl show -P Result %s", service), "success");
}

Test(systemd_sandbox, no_system_call_of_echod_is_refused_where_it_binds_its_ports)
{
        serve_on_pain_of_death("echod");
}

Test(systemd_sandbox, no_system_call_of_echod_is_refused_where_sockets_are_handed_in)
{
        if (!box_has_user_namespaces())
                cr_skip_test("no user namespace can be made here, as in a chroot");
        serve_on_pain_of_death("echod-socket");
}

Test(systemd_sandbox, its_limits_are_those_of_the_unit)
{
        box_shell("systemctl start echod");
        cr_assert_str_eq(box_shell("cat /proc/$(systemctl show -P MainPID echod)/oom_score_adj"),
                         "200");
        cr_assert_str_eq(box_shell("systemctl show -P TasksMax echod"), "1040");
        cr_assert_str_eq(box_shell("systemctl show -P LimitNOFILE echod"), "524288");
        cr_assert_str_neq(box_shell("systemctl show -P MemoryMax echod"), "infinity");
}
