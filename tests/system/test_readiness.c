/* What /healthz and /readyz say of a daemon that is to stop. */

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "page.h"
#include "reload.h"
#include "scratch.h"

TestSuite(readiness, .init = scratch_make, .fini = scratch_remove);

Test(readiness, while_draining_it_is_alive_and_not_ready)
{
        struct daemon *daemon = DAEMON("-o", METRICS);
        uint16_t port = page_port(daemon);
        int client = client_connect(daemon->port);

        client_echo(client, "open");
        cr_assert_eq(page_status(port, "/readyz"), 200);
        daemon_signal(daemon, SIGTERM);
        daemon_await_log(daemon, "no longer accepting");
        cr_assert_eq(page_status(port, "/readyz"), 503);
        cr_assert_eq(page_status(port, "/healthz"), 200);
        cr_assert_eq(page_now(daemon, "echod_connections"), 1);
        close(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
}

Test(readiness, for_shutdown_delay_it_is_not_ready_and_accepts_still)
{
        struct daemon *daemon = DAEMON("-o", METRICS "shutdown_delay = 3600;");
        uint16_t port = page_port(daemon);

        daemon_signal(daemon, SIGTERM);
        daemon_await_log(daemon, "accepting for 3600.000 s more");
        cr_assert_eq(page_status(port, "/readyz"), 503);
        cr_assert_eq(page_status(port, "/healthz"), 200);
        assert_serves(daemon->port);
        cr_assert_eq(daemon_count_log(daemon, "no longer accepting"), 0);
        daemon_stop(daemon); /* the second signal */
}

Test(readiness, after_shutdown_delay_it_accepts_no_longer)
{
        struct daemon *daemon = DAEMON("-o", "shutdown_delay = 0.5;");
        uint64_t began_ms = now_ms();

        daemon_signal(daemon, SIGTERM);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        cr_assert_geq(now_ms() - began_ms, 490);
        cr_assert(daemon_has_logged(daemon, "accepting for 0.500 s more"));
        cr_assert(daemon_has_logged(daemon, "shutdown_delay: no longer accepting"));
        daemon_free(daemon);
}

Test(readiness, drain_timeout_begins_after_shutdown_delay)
{
        struct daemon *daemon = DAEMON("-o", "shutdown_delay = 0.3; drain_timeout = 0.3;");
        int client = client_connect(daemon->port);
        uint64_t began_ms = now_ms();

        client_echo(client, "open");
        daemon_signal(daemon, SIGTERM);
        client_expect_reset(client);
        cr_assert_geq(now_ms() - began_ms, 590);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
        close(client);
}

Test(readiness, a_second_signal_cuts_shutdown_delay_and_the_drain_short)
{
        struct daemon *daemon = DAEMON("-o", "shutdown_delay = 3600; drain_timeout = 3600;");
        int client = client_connect(daemon->port);

        client_echo(client, "open");
        daemon_signal(daemon, SIGTERM);
        daemon_await_log(daemon, "accepting for 3600.000 s more");
        daemon_signal(daemon, SIGINT);
        client_expect_reset(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
        close(client);
}

Test(readiness, a_reload_changes_shutdown_delay)
{
        const char *path = scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n"
                                                       "shutdown_delay = 3600;");
        struct daemon *daemon = DAEMON("-c", path);

        scratch_write("echod.conf", "listeners = ( " ANY_PORT " );");
        reload(daemon);
        daemon_stop(daemon);
}
