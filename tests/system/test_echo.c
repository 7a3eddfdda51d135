/*
 * Every byte comes back, in order: over every kind of socket, however the stream is cut, and
 * whatever tricks it comes with.
 */

#include <netinet/in.h>

#include "observe.h"
#include "scratch.h"

#define CUT_LENGTH 200 /* bytes of the streams that are cut everywhere */
#define SOCKET     "echo.sock"

TestSuite(echo, .init = scratch_make, .fini = scratch_remove);

enum { OVER_IPV4, OVER_IPV6, OVER_UNIX, N_KINDS };

/* A daemon that listens in every way, and a client over each. */
struct scene {
        struct daemon *daemon;
        const char *path;
        int clients[N_KINDS];
};

static bool has_ipv6(void)
{
        const struct sockaddr_in6 loopback = {
                .sin6_family = AF_INET6,
                .sin6_addr = IN6ADDR_LOOPBACK_INIT,
        };
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_there = fd >= 0 && bind(fd, (const void *)&loopback, sizeof(loopback)) == 0;

        close(fd);
        return is_there;
}

/* The port behind `prefix` in the log. */
static uint16_t logged_port(struct daemon *daemon, const char *prefix)
{
        size_t position = 0;

        daemon_await_log_from(daemon, &position, prefix);
        return (uint16_t)atoi(daemon->log + position);
}

static struct scene set_scene(void)
{
        struct scene scene = {.path = scratch_path(SOCKET)};
        char listeners[512];

        if (!has_ipv6())
                cr_skip_test("this machine has no IPv6");
        snprintf(listeners, sizeof(listeners),
                 "listeners = ( { address = \"127.0.0.1\"; port = 0; }, "
                 "{ address = \"::1\"; port = 0; }, { address = \"%s\"; } );",
                 scene.path);
        scene.daemon = DAEMON("-o", listeners, "-o", "workers = 1;");
        scene.clients[OVER_IPV4] = client_connect(logged_port(scene.daemon, "on 127.0.0.1:"));
        scene.clients[OVER_IPV6] = client_connect_to("::1", logged_port(scene.daemon, "on [::1]:"));
        scene.clients[OVER_UNIX] = client_connect_unix(scene.path);
        return scene;
}

/* Expects that all clients are still served, and the end after that. */
static void leave_scene(struct scene *scene)
{
        for (int kind = 0; kind < N_KINDS; kind++) {
                client_echo(scene->clients[kind], "the last words");
                client_half_close(scene->clients[kind]);
                client_expect_eof(scene->clients[kind]);
                close(scene->clients[kind]);
        }
        daemon_stop(scene->daemon);
}

static void expect_bytes(int socket, const char *expected)
{
        char received[64] = "";

        client_receive(socket, received, strlen(expected));
        cr_assert_str_eq(received, expected);
}

static void send_pattern(int socket, uint64_t offset, size_t length)
{
        uint8_t bytes[CUT_LENGTH];

        for (size_t i = 0; i < length; i++)
                bytes[i] = client_pattern(offset + i);
        client_send(socket, bytes, length);
}

Test(echo, ipv4_ipv6_and_unix_clients_get_their_bytes_back)
{
        struct scene scene = set_scene();

        for (int kind = 0; kind < N_KINDS; kind++)
                client_echo(scene.clients[kind], "hello");
        leave_scene(&scene);
}

Test(echo, one_listener_on_the_star_serves_both_families)
{
        struct daemon *daemon;
        int ipv4, ipv6;

        if (!has_ipv6())
                cr_skip_test("this machine has no IPv6");
        daemon = DAEMON("-o", "listeners = ( { address = \"*\"; port = 0; } );");
        ipv4 = client_connect(logged_port(daemon, "on 0.0.0.0:"));
        ipv6 = client_connect_to("::1", logged_port(daemon, "on [::]:"));
        client_echo(ipv4, "over IPv4");
        client_echo(ipv6, "over IPv6");
        close(ipv4);
        close(ipv6);
        daemon_stop(daemon);
}

Test(echo, chunks_of_every_size_come_back)
{
        struct scene scene = set_scene();

        for (int kind = 0; kind < N_KINDS; kind++) {
                for (size_t chunk = 1; chunk <= CUT_LENGTH; chunk++) {
                        for (size_t i = 0; i < CUT_LENGTH; i += chunk)
                                send_pattern(scene.clients[kind], i,
                                             CUT_LENGTH - i < chunk ? CUT_LENGTH - i : chunk);
                        client_receive_pattern(scene.clients[kind], 0, CUT_LENGTH);
                }
        }
        leave_scene(&scene);
}

Test(echo, a_message_cut_anywhere_comes_back_piece_by_piece)
{
        struct scene scene = set_scene();

        for (int kind = 0; kind < N_KINDS; kind++) {
                for (size_t cut = 1; cut < CUT_LENGTH; cut++) {
                        send_pattern(scene.clients[kind], 0, cut);
                        client_receive_pattern(scene.clients[kind], 0, cut);
                        send_pattern(scene.clients[kind], cut, CUT_LENGTH - cut);
                        client_receive_pattern(scene.clients[kind], cut, CUT_LENGTH - cut);
                }
        }
        leave_scene(&scene);
}

Test(echo, long_streams_come_back_over_every_kind_of_socket)
{
        const uint64_t length = daemon_is_sanitized() ? 2000003 : 50000017;
        struct scene scene = set_scene();

        for (int kind = 0; kind < N_KINDS; kind++) {
                client_exchange(scene.clients[kind], length, 100003);
                close(scene.clients[kind]);
        }
        daemon_stop(scene.daemon);
}

Test(echo, reads_smaller_and_larger_than_what_is_sent_make_no_difference)
{
        static const char *const buffers[] = {"read_buffer = 4096;", "read_buffer = 16777216;"};

        for (size_t i = 0; i < 2; i++) {
                struct daemon *daemon = DAEMON("-o", buffers[i]);
                int client = client_connect(daemon->port);

                client_exchange(client, 3000001, 1 << 20);
                close(client);
                daemon_stop(daemon);
        }
}

Test(echo, interleaved_clients_each_get_their_own_bytes)
{
        struct daemon *daemon = DAEMON("-o", "workers = 2;");
        enum { N = 200 };
        int clients[N];

        for (int i = 0; i < N; i++)
                clients[i] = client_connect(daemon->port);
        for (int round = 0; round < 5; round++) {
                for (int i = 0; i < N; i++)
                        send_pattern(clients[i], (uint64_t)(i * 1000 + round), 50);
                for (int i = N - 1; i >= 0; i--)
                        client_receive_pattern(clients[i], (uint64_t)(i * 1000 + round), 50);
        }
        for (int i = 0; i < N; i++)
                close(clients[i]);
        daemon_stop(daemon);
}

Test(echo, urgent_bytes_come_back_in_line)
{
        struct scene scene = set_scene();

        for (int kind = 0; kind < OVER_UNIX; kind++) {
                client_send(scene.clients[kind], "ab", 2);
                cr_assert_eq(send(scene.clients[kind], "c", 1, MSG_OOB), 1);
                cr_assert_eq(send(scene.clients[kind], "d", 1, MSG_OOB), 1);
                client_send(scene.clients[kind], "ef", 2);
                expect_bytes(scene.clients[kind], "abcdef");
        }
        leave_scene(&scene);
}

Test(echo, urgent_bytes_on_a_unix_socket_come_back_in_line)
{
        struct scene scene = set_scene();
        int client = scene.clients[OVER_UNIX];

        client_send(client, "ab", 2);
        if (send(client, "c", 1, MSG_OOB) < 0)
                cr_skip_test("this kernel has no MSG_OOB on Unix sockets");
        client_send(client, "de", 2);
        client_half_close(client);
        expect_bytes(client, "abcde");
        client_expect_eof(client);
        scene.clients[OVER_UNIX] = client_connect_unix(scene.path);
        leave_scene(&scene);
}

Test(echo, nothing_but_an_urgent_byte_keeps_no_worker_busy)
{
        struct scene scene = set_scene();

        for (int kind = 0; kind < N_KINDS; kind++)
                send(scene.clients[kind], "!", 1, MSG_OOB);
        expect_idle(scene.daemon, 1000, 5);
        for (int kind = 0; kind < N_KINDS; kind++)
                client_abort(scene.clients[kind]);
        daemon_stop(scene.daemon);
}

/* Sends one byte, and a descriptor beside it. */
static void send_descriptor(int socket, int passed)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {.header = {
                             .cmsg_level = SOL_SOCKET,
                             .cmsg_type = SCM_RIGHTS,
                             .cmsg_len = CMSG_LEN(sizeof(int)),
                     }};
        struct iovec iovec = {.iov_base = &(char){'x'}, .iov_len = 1};
        const struct msghdr message = {
                .msg_iov = &iovec,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };

        memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
        cr_assert_eq(sendmsg(socket, &message, MSG_NOSIGNAL), 1, "sendmsg: %s", strerror(errno));
}

Test(echo, descriptors_passed_along_do_not_pile_up)
{
        struct scene scene = set_scene();
        unsigned before;

        for (int kind = 0; kind < N_KINDS; kind++)
                client_echo(scene.clients[kind], "before");
        before = daemon_count_descriptors(scene.daemon);
        for (int i = 0; i < 100; i++) {
                send_descriptor(scene.clients[OVER_UNIX], scene.clients[OVER_UNIX]);
                expect_bytes(scene.clients[OVER_UNIX], "x");
        }
        cr_assert_eq(daemon_count_descriptors(scene.daemon), before);
        leave_scene(&scene);
}

Test(echo, sends_of_no_bytes_are_nothing)
{
        struct scene scene = set_scene();

        for (int kind = 0; kind < N_KINDS; kind++) {
                for (int i = 0; i < 100; i++)
                        cr_assert_eq(send(scene.clients[kind], "", 0, MSG_NOSIGNAL), 0);
                client_echo(scene.clients[kind], "something");
                cr_assert_eq(send(scene.clients[kind], "", 0, MSG_NOSIGNAL), 0);
                cr_assert_not(client_is_readable(scene.clients[kind], 50));
        }
        leave_scene(&scene);
}
