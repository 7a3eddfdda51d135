/* systemctl restart, under a real systemd: nobody notices. systemctl stop: drains. */

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "client.h"
#include "daemon.h"
#include "echoc.h"
#include "observe.h"

#define N_RESTARTS 10
#define N_IDLE     5000

TestSuite(systemd_restart, .init = box_enter);

/* More than five in ten seconds would be too many for systemd. */
static void restart_unit(const char *unit, unsigned n_times)
{
        box_shell("for i in $(seq %u); do systemctl reset-failed %s; systemctl restart %s ||"
                  " exit; done",
                  n_times, unit, unit);
}

static void restart(unsigned n_times)
{
        restart_unit("echod", n_times);
}

/* Starts the service, and returns a client that it serves. */
static int start(void)
{
        box_shell("systemctl start echod");
        return client_enter(7);
}

/* The same with a drop-in for the unit. */
static int start_with(const char *drop_in)
{
        box_write("/etc/systemd/system/echod.service.d/test.conf", "[Service]\n%s\n", drop_in);
        box_shell("systemctl daemon-reload");
        return start();
}

/* Valid until eight further calls of box_shell(). */
static const char *main_pid(void)
{
        return box_shell("systemctl show -P MainPID echod");
}

Test(systemd_restart, an_open_connection_goes_on_in_the_next_process)
{
        int client = start();
        const char *pid = main_pid();

        restart(1);
        cr_assert_str_neq(main_pid(), pid);
        client_echo(client, "after");
        box_await_journal("echod", "took over 1 connections");
        cr_assert_str_eq(box_shell("systemctl show -P NFileDescriptorStore echod"), "0");
        /* systemd has no copy of it left. */
        client_half_close(client);
        client_expect_eof(client);
        close(client);
}

static void open_all(int clients[], unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                clients[i] = client_connect(7);
        for (unsigned i = 0; i < n; i++)
                client_send(clients[i], &i, sizeof(i));
        for (unsigned i = 0; i < n; i++)
                client_receive(clients[i], &(unsigned){0}, sizeof(i));
}

static void echo_and_close_all(int clients[], unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                client_send(clients[i], &i, sizeof(i));
        for (unsigned i = 0; i < n; i++) {
                unsigned answer;

                client_receive(clients[i], &answer, sizeof(answer));
                cr_assert_eq(answer, i);
                close(clients[i]);
        }
}

/* Under a verified stream, and with thousands that are idle. The service runs. */
static void expect_unnoticed(const char *service)
{
        static int clients[N_IDLE];
        char count[16];
        int status;
        pid_t bulk;

        if (raise_file_limit() < N_IDLE + 200)
                cr_skip_test("the limit on open files is too low");
        open_all(clients, N_IDLE);
        bulk = START_ECHOC("--load", "--bulk", "-n", "2", "-t", "600", "127.0.0.1", "7");
        restart_unit(service, N_RESTARTS);
        cr_assert_eq(waitpid(bulk, &status, WNOHANG), 0, "the stream ended too early");
        kill(bulk, SIGINT);
        cr_assert_eq(waitpid(bulk, &status, 0), bulk);
        cr_assert_eq(status, 0, "echoc: %d", status);
        echo_and_close_all(clients, N_IDLE);
        snprintf(count, sizeof(count), "=%u=", N_RESTARTS);
        box_await(count,
                  "journalctl --sync;"
                  " echo =$(journalctl -u %s | grep -c 'took over 500[0-9] connections')=",
                  service);
        box_shell("! journalctl -u %s | grep -E 'reset [0-9]+ connections'", service);
}

Test(systemd_restart, a_verified_stream_and_thousands_pass_through_ten_restarts)
{
        box_shell("systemctl start echod");
        expect_unnoticed("echod");
}

Test(systemd_restart, the_same_under_the_socket_unit)
{
        box_spare_user_namespaces();
        box_shell("systemctl start echod.socket");
        expect_unnoticed("echod-socket");
}

Test(systemd_restart, whoever_comes_meanwhile_waits)
{
        pid_t pid;
        int status;

        box_shell("systemctl start echod");
        pid = START_ECHOC("--load", "--connect", "-n", "1", "-t", "600", "127.0.0.1", "7");
        restart(5);
        cr_assert_eq(waitpid(pid, &status, WNOHANG), 0, "the load ended too early");
        kill(pid, SIGINT);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0, "echoc: %d", status);
}

Test(systemd_restart, a_unix_socket_stays_where_it_is)
{
        box_write("/etc/echod.conf", "listeners = ( { address = \"/run/echod/s\"; } );\n");
        box_shell("systemctl start echod");
        box_shell("stat -c %%i /run/echod/s > /tmp/inode");
        restart(1);
        box_shell("stat -c %%i /run/echod/s | cmp - /tmp/inode");
        box_await_journal("echod", "and 1 listening sockets to systemd");
}

Test(systemd_restart, a_stop_drains)
{
        int client = start();

        box_shell("systemctl stop --no-block echod");
        box_await_journal("echod", "no longer accepting, waiting 30.000 s");
        client_echo(client, "drains");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
        box_await("inactive", "systemctl is-active echod || :");
}

Test(systemd_restart, a_crash_leaves_nothing_and_ends_in_a_clean_start)
{
        int client = start();

        box_shell("systemctl kill -s KILL echod");
        client_expect_eof(client);
        close(client);
        box_await("1", "systemctl show -P NRestarts echod"); /* else it might not know yet */
        box_await("active", "systemctl is-active echod | grep -x active");
        client = client_enter(7);
        close(client);
        box_shell("! journalctl -u echod | grep 'took over'");
}

/* systemd then stops the earlier one without ExecStop=, wherever it is in its start. */
Test(systemd_restart, a_restart_in_the_middle_of_a_restart_loses_nobody_either)
{
        int client = start_with("ExecStartPost=+/bin/sleep 1");

        box_shell("systemctl restart --no-block echod");
        box_await_journal("echod", "took over 1 connections");
        box_shell("systemctl restart --no-block echod");
        box_await("2", "journalctl -u echod | grep -c 'took over 1 connections'");
        client_echo(client, "after");
        close(client);
        box_shell("! journalctl -u echod | grep 'no longer accepting'");
}

/* systemd has no room for what would go along. */
static void expect_drain_with_store_of(unsigned n)
{
        char drop_in[40], reason[40];
        int client;

        snprintf(drop_in, sizeof(drop_in), "FileDescriptorStoreMax=%u", n);
        client = start_with(drop_in);
        box_shell("systemctl restart --no-block echod");
        snprintf(reason, sizeof(reason), "has room for %u descriptors", n);
        box_await_journal("echod", reason);
        box_await_journal("echod", "no longer accepting, waiting 30.000 s");
        client_echo(client, "drains");
        close(client);
        box_await("active", "systemctl is-active echod | grep -x active");
}

Test(systemd_restart, without_a_store_it_drains_as_at_a_stop)
{
        expect_drain_with_store_of(0);
}

/* Two listening sockets, the state, and what the connection lies in. */
Test(systemd_restart, with_too_small_a_store_it_drains_as_at_a_stop)
{
        expect_drain_with_store_of(3);
}

/* systemd-escape(1) makes \x2f of a slash, which neither systemd nor the shell may take apart. */
Test(systemd_restart, an_instance_with_an_escaped_name_loses_nobody)
{
        int client;

        box_shell("mkdir -p /etc/echod && echo 'listeners = ( { port = 7007; } );' >"
                  " '/etc/echod/a\\x2fb.conf' && systemctl start 'echod@a\\x2fb'");
        client = client_enter(7007);
        box_shell("systemctl restart 'echod@a\\x2fb'");
        client_echo(client, "after");
        close(client);
        box_await_journal("echod@a\\x2fb", "took over 1 connections");
}

/* In the sandbox the file that was there at the start stays. */
Test(systemd_restart, an_upgrade_needs_a_restart)
{
        static const char inodes[] = "stat -L -c %%i /usr/local/sbin/echod"
                                     " /proc/$(systemctl show -P MainPID echod)/exe |"
                                     " uniq | wc -l";
        int client = start();

        box_shell("cd /usr/local/sbin && cp echod new && mv new echod");
        box_shell("systemctl kill --kill-whom=main -s USR2 echod");
        box_await_journal("echod", "took over 1 connections");
        cr_assert_str_eq(box_shell(inodes), "2");
        restart(1);
        cr_assert_str_eq(box_shell(inodes), "1");
        client_echo(client, "after");
        close(client);
}

Test(systemd_restart, usr2_under_systemd_goes_unnoticed)
{
        int client = start();
        const char *pid = main_pid();

        box_shell("systemctl kill --kill-whom=main -s USR2 echod");
        box_await_journal("echod", "took over 1 connections");
        client_echo(client, "after");
        cr_assert_str_eq(box_shell("systemctl is-active echod"), "active");
        cr_assert_str_eq(main_pid(), pid);
        restart(1);
        client_echo(client, "and so on");
        close(client);
}
