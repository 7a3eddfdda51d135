/*
 * The service under a real systemd goes on: sockets that systemd holds outlive restarts and
 * crashes, and an echod that hangs is killed and started again.
 */

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"
#include "client.h"
#include "daemon.h"

TestSuite(systemd_survival, .init = box_enter);

#define SERVICE "echod-socket.service"

static void serve_one(void)
{
        int client = client_connect(7);

        client_echo(client, "served");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
}

static void activate(void)
{
        box_spare_user_namespaces();
        box_shell("systemctl start echod.socket");
        cr_assert_str_eq(box_shell("systemctl is-active " SERVICE " || :"), "inactive");
        serve_one();
        cr_assert_str_eq(box_shell("systemctl is-active " SERVICE), "active");
}

Test(systemd_survival, a_client_starts_the_service_which_needs_no_capability)
{
        activate();
        cr_assert_str_eq(box_shell("grep -c '^Cap[A-Z][a-z]*:.*[^0[:space:]]' "
                                   "/proc/$(systemctl show -P MainPID " SERVICE ")/status || :"),
                         "0");
        box_await_journal(SERVICE, "listening on 0.0.0.0:7 (socket handed in)");
        box_await_journal(SERVICE, "listening on [::]:7 (socket handed in)");
}

/* What a thread of its own does to the service. */
struct disturbance {
        const char *command;
        struct outcome outcome;
        atomic_bool is_over;
};

static void *disturb(void *user)
{
        struct disturbance *disturbance = user;

        box_try(&disturbance->outcome, "%s", disturbance->command);
        atomic_store(&disturbance->is_over, true);
        return NULL;
}

Test(systemd_survival, no_client_is_refused_while_it_is_restarted)
{
        static struct disturbance disturbance = {
                .command = "for i in 1 2 3; do systemctl restart " SERVICE " || exit 1; done",
        };
        pthread_t thread;
        unsigned n = 0;

        activate();
        cr_assert_eq(pthread_create(&thread, NULL, disturb, &disturbance), 0);
        for (; !atomic_load(&disturbance.is_over); n++)
                serve_one();
        pthread_join(thread, NULL);
        cr_assert_eq(disturbance.outcome.status, 0, "%s", disturbance.outcome.err);
        cr_assert_gt(n, 10);
        serve_one();
}

Test(systemd_survival, after_a_crash_who_comes_waits_and_is_served)
{
        uint64_t longest_ms = 0;

        activate();
        for (int i = 0; i < 3; i++) {
                uint64_t killed_ms = now_ms();

                box_shell("systemctl kill --signal=KILL " SERVICE);
                serve_one();
                longest_ms = now_ms() - killed_ms > longest_ms ? now_ms() - killed_ms : longest_ms;
                box_await("active", "systemctl is-active " SERVICE " | grep -x active");
        }
        cr_assert_str_eq(box_shell("systemctl show -P NRestarts " SERVICE), "3");
        fprintf(stderr, "from SIGKILL to the first echo: at most %llu ms in 3 crashes\n",
                (unsigned long long)longest_ms);
}

/* A Unix socket, beside the TCP ones, for unit and configuration. */
static void add_unix_socket(const char *path)
{
        box_write("/etc/systemd/system/echod.socket.d/unix.conf",
                  "[Socket]\nListenStream=%s\nSocketMode=0640\n", path);
        box_write("/etc/echod.conf", "listeners = ( { port = 7; }, { address = \"%s\"; } );\n",
                  path);
        box_shell("systemctl daemon-reload");
}

Test(systemd_survival, a_unix_socket_outlives_a_restart_too)
{
        struct stat before, after;
        int client;

        add_unix_socket("/run/echod/echo.sock");
        activate();
        for (int i = 0; i < 2; i++) {
                cr_assert_eq(lstat(box_path("/run/echod/echo.sock"), &before), 0);
                client = client_connect_unix(box_path("/run/echod/echo.sock"));
                client_echo(client, "served");
                close(client);
                box_shell("systemctl restart " SERVICE);
                cr_assert_eq(lstat(box_path("/run/echod/echo.sock"), &after), 0);
                cr_assert_eq(before.st_ino, after.st_ino);
                cr_assert_eq(after.st_mode & 07777, 0640);
        }
}

Test(systemd_survival, a_socket_that_the_configuration_has_no_listener_for_is_said_once)
{
        struct outcome outcome;

        box_spare_user_namespaces();
        box_write("/etc/systemd/system/echod.socket.d/more.conf",
                  "[Socket]\nListenStream=127.0.0.1:9\n");
        box_shell("systemctl daemon-reload && systemctl start echod.socket");
        box_try(&outcome, "systemctl start " SERVICE);
        cr_assert_neq(outcome.status, 0);
        box_await_journal(SERVICE, "(echod.socket, 127.0.0.1:9) from the service manager: "
                                   "no listener of the configuration is for it");
        cr_assert_str_eq(box_shell("systemctl show -P ExecMainStatus " SERVICE), "6");
        cr_assert_str_eq(box_shell("systemctl show -P NRestarts " SERVICE), "0");
}

/* The same echod, but with a read(2) that can be made to hang, and a watchdog with less patience.
 */
static void install_hanging_echod(void)
{
        box_push(getenv("HANGING_ECHOD"), "/usr/lib/hanging-echod");
        box_write("/etc/systemd/system/echod.service.d/hanging.conf",
                  "[Service]\nExecStart=\nExecStart=/usr/lib/hanging-echod -o 'workers = 2;'\n"
                  "WatchdogSec=5\n");
        box_shell("systemctl daemon-reload");
}

Test(systemd_survival, one_that_hangs_is_killed_and_started_again)
{
        int clients[3];

        box_shell("systemctl start echod");
        cr_assert_str_eq(box_shell("systemctl show -P WatchdogUSec echod"), "20s");
        install_hanging_echod();
        box_shell("systemctl restart echod");
        for (int i = 0; i < 3; i++) {
                clients[i] = client_connect(7);
                client_echo(clients[i], "served");
        }
        client_send(clients[0], "hang forever", 12);
        box_await_journal("echod", "Watchdog timeout");
        for (int i = 0; i < 3; i++)
                close(clients[i]);
        box_await("1", "systemctl show -P NRestarts echod");
        box_await("active", "systemctl is-active echod | grep -x active");
        serve_one();
}
