/*
 * systemd's watchdog is fed for as long as all loops come round: a notification socket of the
 * test's own listens in its place, and a worker can be made to hang, see hanging_echod.c.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h>
#include <sys/time.h>
#include <sys/un.h>

#include "reload.h"

#define HALF_INTERVAL_MS 150

static int manager = -1;

static void set_up(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char interval_us[16];

        scratch_make();
        strcpy(address.sun_path, scratch_path("notify"));
        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(manager, (const struct sockaddr *)&address, sizeof(address)), 0);
        snprintf(interval_us, sizeof(interval_us), "%d", 2 * HALF_INTERVAL_MS * 1000);
        setenv("NOTIFY_SOCKET", address.sun_path, 1);
        setenv("WATCHDOG_USEC", interval_us, 1);
        setenv("ECHOD", getenv("HANGING_ECHOD"), 1);
}

TestSuite(watchdog, .init = set_up, .fini = scratch_remove);

static void skip_unless_built_in(void)
{
        if (!command_echod_has("systemd"))
                cr_skip_test("this echod is built without systemd");
}

/* Waits so long for food; false: none came. */
static bool is_fed_within(int ms)
{
        uint64_t deadline = now_ms() + (uint64_t)ms;
        char message[1024];

        while (now_ms() < deadline) {
                ssize_t n;

                if (!client_is_readable(manager, (int)(deadline - now_ms())))
                        return false;
                n = recv(manager, message, sizeof(message) - 1, 0);
                message[n > 0 ? n : 0] = '\0';
                if (strcmp(message, "WATCHDOG=1") == 0)
                        return true;
        }
        return false;
}

static void await_food(void)
{
        cr_assert(is_fed_within(PATIENCE_MS), "the watchdog starves");
}

/* Forgets what has come while nobody looked. */
static void clear_messages(void)
{
        while (recv(manager, (char[1024]){0}, 1024, MSG_DONTWAIT) > 0)
                ;
}

/* Until it starves for three intervals. */
static void await_starvation(void)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        while (is_fed_within(6 * HALF_INTERVAL_MS))
                cr_assert_lt(now_ms(), deadline, "it is still fed");
}

Test(watchdog, is_fed_at_half_its_interval)
{
        struct daemon *daemon;
        uint64_t began_ms, before_ms, shortest_ms = UINT64_MAX;

        skip_unless_built_in();
        daemon = DAEMON("-o", "workers = 2;");
        await_food();
        began_ms = now_ms();
        clear_messages(); /* so that all that is counted was sent after that */
        await_food();
        for (int i = 0; i < 6; i++) {
                before_ms = now_ms();
                await_food();
                shortest_ms = MIN(shortest_ms, now_ms() - before_ms);
        }
        cr_assert_lt(shortest_ms, 2 * HALF_INTERVAL_MS, "it is never fed in time");
        /* Six intervals; one less, since the first food may have come late. */
        cr_assert_geq(now_ms() - began_ms, 5 * HALF_INTERVAL_MS, "it is fed more often");
        daemon_stop(daemon);
}

/* It is not told of a restart in place: what is left of the interval has to do. */
Test(watchdog, is_fed_soon_after_a_start_and_a_restart_in_place)
{
        enum { HALF_MS = 12000 };
        char interval_us[16];
        struct daemon *daemon;

        skip_unless_built_in();
        snprintf(interval_us, sizeof(interval_us), "%d", 2 * HALF_MS * 1000);
        setenv("WATCHDOG_USEC", interval_us, 1);
        daemon = DAEMON();
        cr_assert(is_fed_within(HALF_MS - 2000));
        signal_and_await(daemon, SIGUSR2, " settings ");
        cr_assert(is_fed_within(HALF_MS - 2000));
        daemon_stop(daemon);
}

Test(watchdog, starves_when_one_worker_hangs_though_all_others_serve)
{
        struct daemon *daemon;
        int clients[3];

        skip_unless_built_in();
        daemon = DAEMON("-o", "workers = 3;");
        await_food();
        for (int i = 0; i < 3; i++) {
                clients[i] = client_connect(daemon->port);
                client_echo(clients[i], "served");
        }
        client_send(clients[0], "hang forever", 12);
        await_starvation();
        client_echo(clients[1], "still served");
        client_echo(clients[2], "still served");
        daemon_signal(daemon, SIGKILL);
        daemon_await_exit(daemon);
        daemon_free(daemon);
}

Test(watchdog, starves_when_the_only_worker_hangs)
{
        struct daemon *daemon;
        int client;

        skip_unless_built_in();
        daemon = DAEMON("-o", "workers = 1;");
        await_food();
        client = client_connect(daemon->port);
        client_send(client, "hang forever", 12);
        await_starvation();
        close(client);
        daemon_signal(daemon, SIGKILL);
        daemon_await_exit(daemon);
        daemon_free(daemon);
}

Test(watchdog, is_fed_again_once_a_worker_that_was_late_has_answered)
{
        struct daemon *daemon;
        int client;

        skip_unless_built_in();
        daemon = DAEMON("-o", "workers = 2;");
        client = client_connect(daemon->port);
        client_send(client, "take a nap", 10); /* three seconds */
        while (is_fed_within(3 * HALF_INTERVAL_MS))
                cr_assert_not(client_is_readable(client, 0), "the nap made no difference");
        await_food();
        cr_assert(client_is_readable(client, PATIENCE_MS));
        await_food();
        close(client);
        daemon_stop(daemon);
}

Test(watchdog, is_fed_while_connections_drain)
{
        struct daemon *daemon;
        int client;

        skip_unless_built_in();
        daemon = DAEMON("-o", "workers = 2;");
        client = client_connect(daemon->port);
        client_echo(client, "served");
        daemon_signal(daemon, SIGTERM);
        daemon_await_log(daemon, "no longer accepting");
        for (int i = 0; i < 4; i++)
                await_food();
        close(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
}

Test(watchdog, is_none_when_it_is_another_processs)
{
        struct daemon *daemon;

        skip_unless_built_in();
        setenv("WATCHDOG_PID", "1", 1);
        daemon = DAEMON("-o", "workers = 2;");
        cr_assert_not(is_fed_within(3 * HALF_INTERVAL_MS));
        daemon_stop(daemon);
}
