/* HUP: what happens to listeners, to clients in their queues, and when something is wrong. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "port.h"
#include "reload.h"
#include "scratch.h"

/* More than echod accepts at one go, so that some are left in the queue when it sees the signal. */
#define N_QUEUED 200

TestSuite(reload, .init = scratch_make, .fini = scratch_remove);

/* The file has these listeners, in libconfig's syntax, and nothing else. */
static const char *write_listeners(const char *listeners)
{
        return scratch_write("echod.conf", "listeners = ( %s );\n", listeners);
}

/* The listener of 127.0.0.1, or of both families, with this port. */
static const char *write_listener_on(const char *address, uint16_t port)
{
        return scratch_write("echod.conf", "listeners = ( { address = \"%s\"; port = %u; } );\n",
                             address, port);
}

Test(reload, a_listener_added_serves)
{
        struct daemon *daemon = DAEMON("-c", write_listeners(ANY_PORT));
        uint16_t added = free_port();

        assert_refuses(added);
        scratch_write("echod.conf", "listeners = ( " ANY_PORT ", { port = %u; } );\n", added);
        reload(daemon);
        assert_serves(added);
        assert_serves(daemon->port);
        daemon_stop(daemon);
}

Test(reload, a_listener_removed_refuses_and_its_connections_live_on)
{
        uint16_t removed = free_port();
        struct daemon *daemon = DAEMON("-c", write_listener_on("127.0.0.1", removed));
        int client = client_connect(removed);

        client_echo(client, "before");
        write_listeners(ANY_PORT);
        reload(daemon);
        daemon_await_log(daemon, "no longer listening on 127.0.0.1:");
        assert_refuses(removed);
        client_echo(client, "after");
        close(client);
        daemon_stop(daemon);
}

Test(reload, an_unchanged_listener_stays_open_and_so_do_its_connections)
{
        struct daemon *daemon = DAEMON("-c", write_listeners(ANY_PORT));
        unsigned n_opened = daemon_count_log(daemon, "listening on ");
        int client = client_connect(daemon->port);

        client_echo(client, "before");
        scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\nidle_timeout = 600;\n");
        reload(daemon);
        cr_assert_eq(daemon_count_log(daemon, "listening on "), n_opened);
        client_echo(client, "after");
        assert_serves(daemon->port); /* a new socket would have another free port */
        close(client);
        daemon_stop(daemon);
}

Test(reload, a_bad_file_keeps_everything_and_is_named_with_its_line)
{
        struct daemon *daemon = DAEMON("-c", write_listeners(ANY_PORT));
        uint16_t added = free_port();
        int client = client_connect(daemon->port);
        char expected[256];
        const char *path;

        path = scratch_write("echod.conf",
                             "listeners = ( { port = %u; } );\nmax_connections = 1;\n"
                             "idle_timeout = -1;\nwrite_timout = 3;\n",
                             added);
        reload_in_vain(daemon);
        snprintf(expected, sizeof(expected), "%s:3: idle_timeout: ", path);
        daemon_await_log(daemon, expected);
        snprintf(expected, sizeof(expected), "%s:4: write_timout: ", path);
        daemon_await_log(daemon, expected);
        client_echo(client, "max_connections is still what it was");
        assert_serves(daemon->port);
        assert_refuses(added);
        close(client);
        daemon_stop(daemon);
}

Test(reload, a_file_that_has_gone_keeps_everything)
{
        const char *path = write_listeners(ANY_PORT);
        struct daemon *daemon = DAEMON("-c", path);

        cr_assert_eq(unlink(path), 0);
        reload_in_vain(daemon);
        cr_assert(daemon_has_logged(daemon, path));
        assert_serves(daemon->port);
        daemon_stop(daemon);
}

Test(reload, after_a_bad_file_a_good_one_is_taken)
{
        struct daemon *daemon = DAEMON("-c", write_listeners(ANY_PORT));
        uint16_t added = free_port();

        write_listeners("{ port = }");
        reload_in_vain(daemon);
        write_listener_on("127.0.0.1", added);
        reload(daemon);
        assert_serves(added);
        daemon_stop(daemon);
}

Test(reload, a_new_port_that_cannot_be_bound_keeps_everything_and_is_named)
{
        uint16_t dropped = free_port(), added = free_port();
        struct daemon *other = DAEMON(), *daemon;
        char expected[64];
        int client;

        scratch_write("echod.conf", "listeners = ( " ANY_PORT ", { port = %u; } );\n", dropped);
        daemon = DAEMON("-c", scratch_path("echod.conf"));
        client = client_connect(daemon->port);
        scratch_write("echod.conf",
                      "listeners = ( " ANY_PORT ", { port = %u; },\n"
                      "  { address = \"127.0.0.1\"; port = %u; } );\nmax_connections = 1;\n",
                      added, other->port);
        reload_in_vain(daemon);
        snprintf(expected, sizeof(expected), "127.0.0.1:%u", other->port);
        cr_assert(daemon_has_logged(daemon, expected));
        cr_assert_not(daemon_has_logged(daemon, "no longer listening"));
        client_echo(client, "max_connections is still what it was");
        assert_serves(daemon->port);
        assert_serves(dropped);
        assert_serves(other->port);
        assert_refuses(added);
        close(client);
        daemon_stop(daemon);
        daemon_stop(other);
}

Test(reload, one_address_may_give_way_to_all_and_back)
{
        uint16_t port = free_port();
        struct daemon *daemon = DAEMON("-c", write_listener_on("127.0.0.1", port));
        int client = client_connect(port), client_v6;

        client_echo(client, "before");
        write_listener_on("*", port);
        reload(daemon);
        assert_serves(port);
        client_v6 = client_connect_to("::1", port);
        client_echo(client_v6, "the other family");
        write_listener_on("127.0.0.1", port);
        reload(daemon);
        assert_serves(port);
        client_echo(client, "after");
        client_echo(client_v6, "after");
        close(client);
        close(client_v6);
        daemon_stop(daemon);
}

/* While the daemon is stopped: so many clients that wait in the queue, each with a word sent. */
static void queue_up(int clients[N_QUEUED], uint16_t port, const char *path)
{
        for (unsigned i = 0; i < N_QUEUED; i++) {
                clients[i] = path ? client_connect_unix(path) : client_connect(port);
                client_send(clients[i], "queued", 6);
        }
}

static void assert_all_served(const int clients[N_QUEUED])
{
        for (unsigned i = 0; i < N_QUEUED; i++) {
                char answer[6];

                client_receive(clients[i], answer, sizeof(answer));
                cr_assert_arr_eq(answer, "queued", 6);
                client_echo(clients[i], "and still");
                close(clients[i]);
        }
}

/* The daemon reloads as the first thing when it goes on, and serves those in the queue still. */
static void reload_and_serve(struct daemon *daemon, const int clients[N_QUEUED])
{
        daemon_signal(daemon, SIGHUP);
        daemon_signal(daemon, SIGCONT);
        daemon_await_log(daemon, "configuration reloaded");
        assert_all_served(clients);
}

/* The last of the queue may be served by a worker before the main thread closes the listener. */
static void await_refusal(uint16_t port)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        while (try_to_connect(port) != ECONNREFUSED) {
                cr_assert_lt(now_ms(), deadline, "port %u: still open", port);
                sleep_ms(10);
        }
}

Test(reload, a_removed_listener_first_serves_its_queue)
{
        uint16_t removed = free_port();
        struct daemon *daemon = DAEMON("-c", write_listener_on("127.0.0.1", removed));
        int clients[N_QUEUED];

        daemon_signal(daemon, SIGSTOP);
        queue_up(clients, removed, NULL);
        write_listeners(ANY_PORT);
        reload_and_serve(daemon, clients);
        await_refusal(removed);
        daemon_stop(daemon);
}

Test(reload, a_listener_that_gives_way_to_all_addresses_first_serves_its_queue)
{
        uint16_t port = free_port();
        struct daemon *daemon = DAEMON("-c", write_listener_on("127.0.0.1", port));
        int clients[N_QUEUED];

        daemon_signal(daemon, SIGSTOP);
        queue_up(clients, port, NULL);
        write_listener_on("*", port);
        reload_and_serve(daemon, clients);
        assert_serves(port);
        daemon_stop(daemon);
}

Test(reload, a_removed_unix_socket_first_serves_its_queue_and_its_file_goes)
{
        const char *path = scratch_path("echod.sock");
        int clients[N_QUEUED];
        struct daemon *daemon =
                DAEMON("-c", scratch_write("echod.conf", "%s\n", scratch_listener("echod.sock")));

        daemon_signal(daemon, SIGSTOP);
        queue_up(clients, 0, path);
        write_listeners(ANY_PORT);
        reload_and_serve(daemon, clients);
        for (uint64_t deadline = now_ms() + PATIENCE_MS; access(path, F_OK) == 0; sleep_ms(10))
                cr_assert_lt(now_ms(), deadline, "the file of the socket stays");
        daemon_stop(daemon);
}

Test(reload, a_removed_listener_serves_its_queue_even_if_there_is_no_room_yet)
{
        static const char one[] = "when_full = \"wait\"; max_connections = 1;";
        uint16_t removed = free_port();
        int inside, clients[N_QUEUED];
        struct daemon *daemon;

        daemon = DAEMON("-c", write_listener_on("127.0.0.1", removed), "-o", one);
        inside = client_connect(removed);
        client_echo(inside, "there is no more room");
        queue_up(clients, removed, NULL);
        write_listeners(ANY_PORT);
        reload(daemon);
        cr_assert_not(client_is_readable(clients[0], 100));
        client_half_close(inside);
        client_expect_eof(inside);
        assert_all_served(clients);
        close(inside);
        daemon_stop(daemon);
}

Test(reload, the_mode_of_a_unix_socket_changes)
{
        static const char format[] = "listeners = ( { address = \"%s\"; mode = \"%s\"; } );\n";
        const char *path = scratch_path("echod.sock");
        struct daemon *daemon;
        struct stat status;

        scratch_write("echod.conf", format, path, "0600");
        daemon = DAEMON("-c", scratch_path("echod.conf"));
        cr_assert_eq(stat(path, &status), 0);
        cr_assert_eq(status.st_mode & 0777, 0600);
        scratch_write("echod.conf", format, path, "0666");
        reload(daemon);
        cr_assert_eq(stat(path, &status), 0);
        cr_assert_eq(status.st_mode & 0777, 0666);
        daemon_stop(daemon);
}

Test(reload, options_of_the_command_line_still_override_the_file)
{
        uint16_t port = free_port(), in_file = free_port();
        struct daemon *daemon;
        char override[96];

        snprintf(override, sizeof(override),
                 "listeners = ( { address = \"127.0.0.1\"; port = %u; } );", port);
        daemon = DAEMON("-c", write_listeners(ANY_PORT), "-o", override);
        write_listener_on("127.0.0.1", in_file);
        reload(daemon);
        assert_serves(port);
        assert_refuses(in_file);
        daemon_stop(daemon);
}

Test(reload, options_that_need_a_restart_are_named_and_the_rest_is_in_force)
{
        struct daemon *daemon = DAEMON("-c", write_listeners(ANY_PORT));
        uint16_t added = free_port();

        scratch_write("echod.conf",
                      "listeners = ( " ANY_PORT ", { port = %u; } );\n"
                      "workers = 3;\nread_buffer = 8192;\n",
                      added);
        reload(daemon);
        assert_serves(added);
        cr_assert_eq(daemon_count_log(daemon, "warning: workers: "), 1);
        cr_assert_eq(daemon_count_log(daemon, "warning: read_buffer: "), 1);
        for (size_t position = 0, n = 0; n < 2; n++)
                daemon_await_log_from(daemon, &position, "read_buffer=");
        cr_assert_eq(daemon_count_log(daemon, "read_buffer=131072"), 2, "it is what it was");
        daemon_stop(daemon);
}

Test(reload, hangups_in_quick_succession_do_no_harm)
{
        struct daemon *daemon = DAEMON("-c", write_listeners(ANY_PORT));

        for (unsigned i = 0; i < 200; i++)
                daemon_signal(daemon, SIGHUP);
        reload(daemon);
        assert_serves(daemon->port);
        daemon_stop(daemon);
}

Test(reload, how_long_workers_poll_is_said_and_changes_without_a_restart)
{
        bool is_alone = sysconf(_SC_NPROCESSORS_ONLN) == 1;
        struct daemon *daemon =
                DAEMON("-c", scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n"));

        daemon_await_log(daemon, is_alone ? " busy_poll=0.000000" : " busy_poll=0.000050");
        scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\nbusy_poll = 0.0;\n");
        reload(daemon);
        daemon_await_log(daemon, " busy_poll=0.000000");
        cr_assert_eq(daemon_count_log(daemon, "busy_poll: "), 0, "it needs no restart");
        daemon_stop(daemon);
}
