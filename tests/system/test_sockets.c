/* Socket activation: echod is handed its listening sockets, by hand and by systemd's own tool. */

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "handed.h"
#include "port.h"
#include "reload.h"

TestSuite(sockets, .init = scratch_make, .fini = scratch_remove);

static const char *write_listener(const char *address, uint16_t port)
{
        return scratch_write("echod.conf", "listeners = ( { address = \"%s\"; port = %u; } );\n",
                             address, port);
}

Test(sockets, one_that_is_handed_in_is_served_whatever_its_name)
{
        uint16_t port = 0;
        int socket = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);
        int early = client_connect(port);
        struct daemon *daemon =
                HANDED(1, &socket, "some-name.socket", "-c", write_listener("127.0.0.1", port));

        daemon_await_log(daemon, "(socket handed in)");
        client_echo(early, "who came before it was started");
        assert_serves(port);
        close(early);
        daemon_stop(daemon);
}

Test(sockets, they_need_no_names)
{
        uint16_t ports[2] = {0};
        const int sockets[2] = {
                handed_socket(SOCK_STREAM, "127.0.0.1", false, &ports[0]),
                handed_socket(SOCK_STREAM, "::1", true, &ports[1]),
        };
        const char *path = scratch_write("echod.conf",
                                         "listeners = ( { address = \"::1\"; port = %u; },\n"
                                         "  { address = \"127.0.0.1\"; port = %u; } );\n",
                                         ports[1], ports[0]);
        struct daemon *daemon = HANDED(2, sockets, NULL, "-c", path);
        int client;

        daemon_await_log(daemon, "workers=");
        assert_serves(ports[0]);
        client = client_connect_to("::1", ports[1]);
        client_echo(client, "served");
        close(client);
        daemon_stop(daemon);
}

Test(sockets, one_for_both_families_is_the_listener_on_every_address)
{
        uint16_t port = 0;
        int socket = handed_socket(SOCK_STREAM, "::", false, &port);
        struct daemon *daemon = HANDED(1, &socket, "echod.socket", "-c", write_listener("*", port));
        int client;

        daemon_await_log(daemon, "listening on *:");
        assert_serves(port);
        client = client_connect_to("::1", port);
        client_echo(client, "served");
        close(client);
        daemon_stop(daemon);
}

Test(sockets, the_file_of_a_unix_socket_stays_where_it_is)
{
        const char *path = scratch_path("echod.sock");
        int socket = handed_unix_socket(path), client;
        struct daemon *daemon = HANDED(1, &socket, "echod.socket", "-c", write_listener(path, 7));

        daemon_await_log(daemon, "(socket handed in)");
        client = client_connect_unix(path);
        client_echo(client, "served");
        close(client);
        daemon_stop(daemon);
        client = client_connect_unix(path); /* the test still listens */
        close(client);
        close(socket);
}

/* `arguments` are of a format; what is refused is bad configuration. */
static void assert_refused(int descriptor, const char *configuration, const char *report)
{
        struct daemon *daemon = HANDED(1, &descriptor, "web.socket", "-c", configuration);
        int status = daemon_await_exit(daemon);

        cr_assert_eq(status, 6, "exit status %d:\n%s", status, daemon->log);
        cr_assert(daemon_has_logged(daemon, report), "no '%s' in\n%s", report, daemon->log);
        daemon_free(daemon);
        close(descriptor);
}

Test(sockets, one_that_no_listener_is_for_is_named_and_refused)
{
        uint16_t port = 0;
        int socket = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);
        char report[128];

        snprintf(report, sizeof(report),
                 "descriptor 3 (web.socket, 127.0.0.1:%u) from the service manager: "
                 "no listener of the configuration is for it",
                 port);
        assert_refused(socket, write_listener("127.0.0.1", 0xffff & (port ^ 1)), report);
}

Test(sockets, one_of_the_wrong_kind_is_named_and_refused)
{
        uint16_t port = 0;
        int pair[2];

        assert_refused(handed_socket(SOCK_DGRAM, "127.0.0.1", false, &port),
                       write_listener("127.0.0.1", port), "it is not a stream socket");
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_refused(pair[0], write_listener("127.0.0.1", 0), "it does not listen");
        close(pair[1]);
        cr_assert_eq(pipe(pair), 0);
        assert_refused(pair[0], write_listener("127.0.0.1", 0), "it is not a socket");
        close(pair[1]);
}

Test(sockets, a_listener_that_was_handed_none_is_bound_as_ever)
{
        uint16_t port = 0, other = free_port();
        int socket = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);
        const char *path = scratch_write("echod.conf",
                                         "listeners = ( { address = \"127.0.0.1\"; port = %u; },\n"
                                         "  { address = \"127.0.0.1\"; port = %u; } );\n",
                                         other, port);
        struct daemon *daemon = HANDED(1, &socket, "echod.socket", "-c", path);

        daemon_await_log(daemon, "workers=");
        assert_serves(port);
        assert_serves(other);
        daemon_stop(daemon);
}

Test(sockets, descriptors_for_another_process_are_none_of_its_business)
{
        struct daemon *daemon;

        setenv("LISTEN_PID", "1", 1);
        setenv("LISTEN_FDS", "1", 1);
        daemon = DAEMON();
        assert_serves(daemon->port);
        daemon_stop(daemon);
}

/* In the child: the variables say this, which comes after LISTEN_PID. */
static void announce(const void *user)
{
        const char *const *values = user;
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", values[0], 1);
        if (values[1])
                setenv("LISTEN_FDNAMES", values[1], 1);
}

Test(sockets, an_announcement_that_makes_no_sense_is_an_error)
{
        static const char *const announcements[][2] = {
                {"two", NULL}, {"-1", NULL}, {"1", "a:b"}, {"2", "a"}, {"900", NULL},
        };

        for (size_t i = 0; i < sizeof(announcements) / sizeof(announcements[0]); i++) {
                struct daemon *daemon = daemon_spawn_prepared(
                        (const char *const[]){"-c", "/dev/null", NULL}, announce, announcements[i]);

                cr_assert_eq(daemon_await_exit(daemon), 1, "%s", daemon->log);
                cr_assert(daemon_has_logged(daemon, "the descriptors that LISTEN_FDS announces: "),
                          "%s", daemon->log);
                daemon_free(daemon);
        }
}

Test(sockets, an_address_that_a_reload_drops_is_warned_of_and_comes_back)
{
        uint16_t port = 0;
        int socket = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);
        struct daemon *daemon =
                HANDED(1, &socket, "echod.socket", "-c", write_listener("127.0.0.1", port));
        char warning[128];
        int client;

        daemon_await_log(daemon, "workers=");
        write_listener("127.0.0.1", 0);
        reload(daemon);
        snprintf(warning, sizeof(warning),
                 "no longer listening on 127.0.0.1:%u, but its socket unit is", port);
        cr_assert(daemon_has_logged(daemon, warning), "%s", daemon->log);
        client = client_connect(port);
        client_send(client, "wait", 4);
        cr_assert_not(client_is_readable(client, 200));
        write_listener("127.0.0.1", port);
        reload(daemon);
        cr_assert(client_is_readable(client, PATIENCE_MS), "who waited is not served");
        close(client);
        assert_serves(port);
        daemon_stop(daemon);
}

Test(sockets, no_client_is_refused_while_one_echod_follows_another)
{
        uint16_t port = 0;
        int socket = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);
        const char *path = write_listener("127.0.0.1", port);

        for (int i = 0; i < 3; i++) {
                struct daemon *daemon = HANDED(1, &socket, "echod.socket", "-c", path);
                int between;

                daemon_await_log(daemon, "workers=");
                assert_serves(port);
                daemon_stop(daemon);
                between = client_connect(port);
                client_send(between, "hi", 2);
                daemon = HANDED(1, &socket, "echod.socket", "-c", path);
                cr_assert(client_is_readable(between, PATIENCE_MS));
                close(between);
                daemon_signal(daemon, SIGKILL);
                cr_assert_eq(daemon_await_exit(daemon), 128 + SIGKILL);
                daemon_free(daemon);
        }
        close(socket);
}

static void become(const void *arguments)
{
        char *const *argv = arguments;

        execvp(argv[0], argv);
}

/* systemd-socket-activate's log and echod's, one after the other, come by the same pipe. */
Test(sockets, systemds_own_tool_hands_them_in)
{
        uint16_t port = free_port();
        const char *path = scratch_path("echod.sock");
        struct daemon *daemon;
        char where[64];
        int client;

        if (system("command -v systemd-socket-activate >/dev/null") != 0)
                cr_skip_test("systemd-socket-activate(1), of the package systemd, is not there");
        snprintf(where, sizeof(where), "127.0.0.1:%u", port);
        scratch_write("echod.conf",
                      "listeners = ( { address = \"127.0.0.1\"; port = %u; },\n"
                      "  { address = \"%s\"; } );\n",
                      port, path);
        daemon = daemon_spawn_prepared((const char *const[]){NULL}, become,
                                       (const char *const[]){"systemd-socket-activate", "-l", where,
                                                             "-l", path, "--fdname=tcp:unix",
                                                             command_echod(), "-c",
                                                             scratch_path("echod.conf"), NULL});
        daemon_await_log(daemon, "echod.sock as"); /* it listens, and starts echod for a client */
        client = client_connect(port);
        client_echo(client, "served");
        close(client);
        client = client_connect_unix(path);
        client_echo(client, "served");
        close(client);
        cr_assert_eq(daemon_count_log(daemon, "(socket handed in)"), 2);
        daemon_stop(daemon);
        cr_assert_eq(unlink(path), 0);
}
