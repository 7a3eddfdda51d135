/* What systemd is told: a notification socket of the test's own listens in its place. */

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "scratch.h"

static int manager = -1;
static char message[1024];

static void set_up(void)
{
        const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        scratch_make();
        strcpy(address.sun_path, scratch_path("notify"));
        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(manager, (const struct sockaddr *)&address, sizeof(address)), 0);
        setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        setenv("NOTIFY_SOCKET", address.sun_path, 1);
}

TestSuite(notify, .init = set_up, .fini = scratch_remove);

static void skip_unless_built_in(void)
{
        if (!command_echod_has("systemd"))
                cr_skip_test("this echod is built without systemd");
}

/* Takes the next message; false if there is none. */
static bool take_message(int flags)
{
        ssize_t n = recv(manager, message, sizeof(message) - 1, flags);

        message[n > 0 ? n : 0] = '\0';
        return n > 0;
}

/* Waits for a message that has this line, passing over those that only have a STATUS. */
static void await_message(const char *line)
{
        do
                cr_assert(take_message(0), "no %s: %s", line, strerror(errno));
        while (strncmp(message, "STATUS=", 7) == 0);
        cr_assert(command_matches(message, line), "instead of %s: %s", line, message);
}

/* Waits for a STATUS that matches. */
static void await_status(const char *pattern)
{
        do
                cr_assert(take_message(0), "no status '%s': %s", pattern, strerror(errno));
        while (!command_matches(message, pattern));
}

static struct daemon *spawn(const char *configuration)
{
        return daemon_spawn((const char *const[]){"-c", configuration, NULL});
}

static const char *write_unix_listener(void)
{
        return scratch_write("echod.conf", "listeners = ( { address = \"%s\"; } );\n",
                             scratch_path("echod.sock"));
}

Test(notify, ready_comes_only_when_connecting_works)
{
        struct daemon *daemon;
        int client;

        skip_unless_built_in();
        daemon = spawn(write_unix_listener());
        await_message("^READY=1$");
        client = client_connect_unix(scratch_path("echod.sock")); /* at the first attempt */
        client_echo(client, "ready");
        close(client);
        daemon_stop(daemon);
}

Test(notify, there_is_no_ready_from_one_that_cannot_start)
{
        struct daemon *first, *second;

        skip_unless_built_in();
        first = spawn(write_unix_listener());
        await_message("^READY=1$");
        second = spawn(scratch_path("echod.conf"));
        cr_assert_eq(daemon_await_exit(second), 1);
        while (take_message(MSG_DONTWAIT))
                cr_assert_null(strstr(message, "READY=1"));
        daemon_free(second);
        daemon_stop(first);
}

static long long monotonic_usec(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* HUP; RELOADING with the time of now, then READY again. */
static void assert_reload_is_told(struct daemon *daemon)
{
        long long before = monotonic_usec(), told = 0;
        const char *line;

        daemon_signal(daemon, SIGHUP);
        await_message("^RELOADING=1$");
        line = strstr(message, "\nMONOTONIC_USEC=");
        cr_assert_not_null(line, "%s", message);
        cr_assert_eq(sscanf(line, "\nMONOTONIC_USEC=%lld", &told), 1);
        cr_assert_geq(told, before);
        cr_assert_leq(told, monotonic_usec());
        await_message("^READY=1$");
}

Test(notify, a_reload_is_reloading_since_when_and_then_ready)
{
        struct daemon *daemon;

        skip_unless_built_in();
        daemon = spawn(write_unix_listener());
        await_message("^READY=1$");
        assert_reload_is_told(daemon);
        cr_assert(daemon_has_logged(daemon, "configuration reloaded"));
        daemon_stop(daemon);
}

Test(notify, ready_comes_after_a_reload_that_failed_too)
{
        struct daemon *daemon;

        skip_unless_built_in();
        daemon = spawn(write_unix_listener());
        await_message("^READY=1$");
        scratch_write("echod.conf", "nonsense");
        assert_reload_is_told(daemon);
        daemon_stop(daemon);
}

Test(notify, stopping_comes_as_soon_as_the_drain_begins)
{
        struct daemon *daemon;
        int client;

        skip_unless_built_in();
        daemon = spawn(write_unix_listener());
        await_message("^READY=1$");
        client = client_connect_unix(scratch_path("echod.sock"));
        client_echo(client, "in");
        daemon_signal(daemon, SIGTERM);
        await_message("^STOPPING=1$");
        client_echo(client, "still served");
        close(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
}

Test(notify, the_status_has_the_number_of_connections)
{
        struct daemon *daemon;
        int clients[2];

        skip_unless_built_in();
        daemon = spawn(write_unix_listener());
        await_status("^STATUS=.*[^0-9]0 connections");
        for (unsigned i = 0; i < 2; i++) {
                clients[i] = client_connect_unix(scratch_path("echod.sock"));
                client_echo(clients[i], "in");
        }
        await_status("^STATUS=.*[^0-9]2 connections");
        close(clients[0]);
        close(clients[1]);
        daemon_stop(daemon);
}

Test(notify, a_notification_socket_that_has_gone_does_no_harm)
{
        struct daemon *daemon;
        int client;

        skip_unless_built_in();
        daemon = spawn(write_unix_listener());
        await_message("^READY=1$");
        close(manager);
        daemon_signal(daemon, SIGHUP);
        daemon_await_log(daemon, "configuration reloaded");
        client = client_connect_unix(scratch_path("echod.sock"));
        client_echo(client, "in");
        close(client);
        daemon_stop(daemon);
}
