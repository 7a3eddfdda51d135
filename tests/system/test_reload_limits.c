/* HUP: limits, lists, timeouts and the log, for connections that are open and for new ones. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "observe.h"
#include "port.h"
#include "reload.h"
#include "scratch.h"

TestSuite(reload_limits, .init = scratch_make, .fini = scratch_remove);

/* The file has one listener with a free port, and these options. */
static const char *write_options(const char *options)
{
        return scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n%s\n", options);
}

static struct daemon *start_with(const char *options)
{
        return DAEMON("-c", write_options(options));
}

static void reload_with(struct daemon *daemon, const char *options)
{
        write_options(options);
        reload(daemon);
}

/* By a timeout that was not there when it came, and of which it is past already or soon. */
static void expect_end_by(const char *options)
{
        struct daemon *daemon = start_with("");
        int client = client_enter(daemon->port);

        reload_with(daemon, options);
        client_expect_eof(client);
        close(client);
        daemon_stop(daemon);
}

Test(reload_limits, idle_timeout_reaches_a_connection_that_is_open)
{
        expect_end_by("idle_timeout = 0.2;");
}

Test(reload_limits, a_timeout_that_is_taken_away_spares_a_connection_that_is_open)
{
        /* Long enough that even a slow machine gets to the reload before. */
        struct daemon *daemon = start_with("idle_timeout = 4; log_connections = true;");
        int client = client_connect(daemon->port);

        client_echo(client, "then silence");
        reload_with(daemon, "idle_timeout = 0; log_connections = true;");
        cr_assert_not(daemon_has_logged(daemon, "closed "));
        cr_assert_not(client_is_readable(client, 5000));
        client_echo(client, "alive");
        close(client);
        daemon_stop(daemon);
}

Test(reload_limits, max_lifetime_reaches_a_connection_that_is_open)
{
        expect_end_by("max_lifetime = 0.1;");
}

Test(reload_limits, write_timeout_reaches_a_client_that_is_stuck)
{
        struct daemon *daemon = start_with("write_timeout = 0;");
        int client = connect_narrow(daemon->port);
        uint64_t sent = 0;

        fill_until_pending(daemon, &client, &sent, 1);
        reload_with(daemon, "write_timeout = 0.2; log_connections = true;");
        daemon_await_log(daemon, " reason=write_timeout ");
        client_expect_reset(client);
        close(client);
        daemon_stop(daemon);
}

Test(reload_limits, deny_keeps_out_new_clients_only_and_can_be_lifted)
{
        struct daemon *daemon = start_with("");
        int client = client_connect(daemon->port), refused;

        client_echo(client, "before");
        reload_with(daemon, "deny = [ \"127.0.0.0/8\" ];");
        refused = client_connect(daemon->port);
        client_expect_reset(refused);
        client_echo(client, "after");
        reload_with(daemon, "deny = [];");
        assert_serves(daemon->port);
        close(refused);
        close(client);
        daemon_stop(daemon);
}

Test(reload_limits, allow_keeps_out_whom_it_does_not_name)
{
        struct daemon *daemon = start_with("");
        int refused;

        reload_with(daemon, "allow = [ \"127.0.0.2\" ];");
        refused = client_connect(daemon->port);
        client_expect_reset(refused);
        close(refused);
        refused = client_connect_from("127.0.0.2", daemon->port);
        client_echo(refused, "allowed");
        close(refused);
        daemon_stop(daemon);
}

Test(reload_limits, max_connections_lowered_ends_nobody_and_lets_nobody_in)
{
        struct daemon *daemon = start_with("max_connections = 3;");
        int clients[3], waiting;

        for (unsigned i = 0; i < 3; i++) {
                clients[i] = client_connect(daemon->port);
                client_echo(clients[i], "in");
        }
        reload_with(daemon, "max_connections = 1;");
        waiting = client_connect(daemon->port);
        client_send(waiting, "w", 1);
        for (unsigned i = 0; i < 3; i++) {
                client_echo(clients[i], "still in");
                cr_assert_not(client_is_readable(waiting, 100));
                client_half_close(clients[i]);
                client_expect_eof(clients[i]);
                close(clients[i]);
        }
        client_receive(waiting, &(char){0}, 1);
        close(waiting);
        daemon_stop(daemon);
}

Test(reload_limits, max_connections_raised_lets_in_who_waits)
{
        struct daemon *daemon = start_with("max_connections = 1;");
        int client = client_connect(daemon->port), waiting;

        client_echo(client, "in");
        waiting = client_connect(daemon->port);
        client_send(waiting, "w", 1);
        cr_assert_not(client_is_readable(waiting, 100));
        reload_with(daemon, "max_connections = 2;");
        client_receive(waiting, &(char){0}, 1);
        client_echo(client, "in as well");
        close(waiting);
        close(client);
        daemon_stop(daemon);
}

Test(reload_limits, when_full_changed_to_reject_resets_who_waits)
{
        struct daemon *daemon = start_with("max_connections = 1; when_full = \"wait\";");
        int client = client_connect(daemon->port), waiting;

        client_echo(client, "in");
        waiting = client_connect(daemon->port);
        cr_assert_not(client_is_readable(waiting, 100));
        reload_with(daemon, "max_connections = 1; when_full = \"reject\";");
        client_expect_reset(waiting);
        client_echo(client, "still in");
        close(waiting);
        close(client);
        daemon_stop(daemon);
}

Test(reload_limits, when_full_changed_to_wait_lets_clients_wait)
{
        struct daemon *daemon = start_with("max_connections = 1; when_full = \"reject\";");
        int client = client_connect(daemon->port), waiting;

        client_echo(client, "in");
        reload_with(daemon, "max_connections = 1; when_full = \"wait\";");
        waiting = client_connect(daemon->port);
        client_send(waiting, "w", 1);
        cr_assert_not(client_is_readable(waiting, 100));
        client_half_close(client);
        client_expect_eof(client);
        client_receive(waiting, &(char){0}, 1);
        close(waiting);
        close(client);
        daemon_stop(daemon);
}

Test(reload_limits, drain_timeout_is_the_one_of_the_last_reload)
{
        struct daemon *daemon = start_with("drain_timeout = 3600;");
        int client = client_connect(daemon->port);

        client_echo(client, "in");
        reload_with(daemon, "drain_timeout = 0.1;");
        daemon_signal(daemon, SIGTERM);
        client_expect_reset(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        close(client);
        daemon_free(daemon);
}

Test(reload_limits, log_connections_can_be_turned_on)
{
        struct daemon *daemon = start_with("");

        assert_serves(daemon->port);
        await_statistics(daemon, " closed_eof=1 ");
        reload_with(daemon, "log_connections = true;");
        assert_serves(daemon->port);
        daemon_await_log(daemon, " reason=eof ");
        cr_assert_eq(daemon_count_log(daemon, "closed peer="), 1);
        daemon_stop(daemon);
}

/* Waits until the daemon has taken a signal that is pending. Of those that it finds together it
 * obeys the one with the lowest number first. */
static void await_taken(const struct daemon *daemon, int number)
{
        uint64_t deadline = now_ms() + PATIENCE_MS, pending;
        char path[64], line[256];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon->pid);
        do {
                cr_assert_lt(now_ms(), deadline, "signal %d is still pending", number);
                file = fopen(path, "re");
                cr_assert_not_null(file);
                pending = UINT64_MAX;
                while (fgets(line, sizeof(line), file))
                        sscanf(line, "ShdPnd: %" SCNx64, &pending);
                fclose(file);
        } while (pending >> (number - 1) & 1);
}

Test(reload_limits, log_level_changes_both_ways)
{
        struct daemon *daemon = start_with("");
        uint16_t sign = free_port(); /* of the reload that is not logged */

        scratch_write("echod.conf",
                      "listeners = ( " ANY_PORT ", { port = %u; } );\nlog_level = \"error\";\n",
                      sign);
        daemon_signal(daemon, SIGHUP);
        for (uint64_t deadline = now_ms() + PATIENCE_MS; try_to_connect(sign) != 0; sleep_ms(10))
                cr_assert_lt(now_ms(), deadline, "no reload");
        daemon_signal(daemon, SIGUSR1);
        await_taken(daemon, SIGUSR1);
        assert_serves(sign);
        reload_with(daemon, "log_level = \"info\";");
        cr_assert_eq(daemon_count_log(daemon, "configuration reloaded"), 1);
        cr_assert_eq(daemon_count_log(daemon, "statistics "), 0);
        daemon_signal(daemon, SIGUSR1);
        daemon_await_log(daemon, "statistics ");
        daemon_stop(daemon);
}
