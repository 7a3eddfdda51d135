/* What the next echod makes of what an earlier one has left, if it is of no use. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "reload.h"
#include "restart.h"
#include "scratch.h"

TestSuite(takeover, .init = scratch_make, .fini = scratch_remove);

/* What the test, in place of an earlier echod, leaves to the one that it starts. */
struct legacy {
        int state, connection;
        const char *variable;
};

static void leave(const void *user)
{
        const struct legacy *legacy = user;
        char text[64];

        snprintf(text, sizeof(text), "%d:%d:s", MAX(legacy->state, legacy->connection),
                 legacy->state);
        setenv("ECHOD_HANDOVER", legacy->variable ? legacy->variable : text, true);
        fcntl(legacy->state, F_SETFD, 0);
        fcntl(legacy->connection, F_SETFD, 0);
}

/* The next echod, which finds a connection and these bytes as the state, and says so. */
static struct daemon *spawn_heir(int connection, const void *bytes, size_t length,
                                 const char *variable, const char *reason)
{
        static const char *const arguments[] = {
                "-c", "/dev/null", "-o", "listeners = ( { address = \"127.0.0.1\"; port = 0; } );",
                NULL};
        struct legacy legacy = {.connection = connection, .variable = variable};
        struct daemon *daemon;

        legacy.state = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        cr_assert_eq(write(legacy.state, bytes, length), (ssize_t)length);
        fcntl(legacy.state, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
        daemon = daemon_spawn_prepared(arguments, leave, &legacy);
        close(connection);
        close(legacy.state);
        daemon_await_log(daemon, reason);
        daemon_await_log(daemon, " settings ");
        return daemon;
}

static void expect_no_takeover(const void *bytes, size_t length, const char *variable,
                               const char *reason)
{
        struct daemon *daemon;
        int pair[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        daemon = spawn_heir(pair[1], bytes, length, variable, reason);
        client_expect_eof(pair[0]);
        close(pair[0]);
        daemon_stop(daemon);
}

Test(takeover, a_state_that_is_of_no_use_is_said_and_closes_what_it_was_about)
{
        uint8_t bytes[40] = "echod-ho\1";

        bytes[16] = sizeof(bytes);
        expect_no_takeover(bytes, sizeof(bytes), NULL, "is damaged: its checksum is wrong");
        expect_no_takeover(bytes, 20, NULL, "has not the length that it says");
        expect_no_takeover("something else", 14, NULL, "is not one of echod's");
        bytes[8] = 99;
        expect_no_takeover(bytes, sizeof(bytes), NULL, "a version that this echod does not know");
        expect_no_takeover("", 0, NULL, "cannot be read");
}

Test(takeover, a_connection_without_a_state_is_ended)
{
        expect_no_takeover("", 0, "100",
                           "ended 1 connections that were left without a state, 0 of them");
}

/* A client of the earlier echod, which has got back so many of the four bytes that it has sent. */
static int make_client(size_t n_echoed, int *ret_connection)
{
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client, n_unsent = 1;
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        char bytes[4];

        cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        cr_assert_eq(listen(listener, 1), 0);
        getsockname(listener, (struct sockaddr *)&address, &(socklen_t){sizeof(address)});
        client = client_connect(ntohs(address.sin_port));
        *ret_connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        close(listener);
        client_send(client, "echo", 4);
        client_receive(*ret_connection, bytes, 4);
        client_send(*ret_connection, bytes, n_echoed);
        client_receive(client, bytes, n_echoed);
        while (n_unsent > 0) /* until that is acknowledged */
                cr_assert_eq(ioctl(*ret_connection, SIOCOUTQ, &n_unsent), 0);
        return client;
}

Test(takeover, without_a_state_who_has_got_everything_back_sees_a_clean_end)
{
        int connection, client = make_client(4, &connection);
        struct daemon *daemon =
                spawn_heir(connection, "nonsense", 8, NULL, "a state, 0 of them with a reset");

        client_expect_eof(client);
        close(client);
        client = make_client(4, &connection);
        client_half_close(client);
        daemon_stop(daemon);
        daemon = spawn_heir(connection, "nonsense", 8, NULL, "a state, 0 of them with a reset");
        client_expect_eof(client);
        close(client);
        daemon_stop(daemon);
}

/* Nothing is under way: the earlier echod had the rest. */
Test(takeover, without_a_state_who_lacks_a_byte_is_reset)
{
        int connection, client = make_client(3, &connection);
        struct daemon *daemon =
                spawn_heir(connection, "nonsense", 8, NULL, "a state, 1 of them with a reset");

        client_expect_reset(client);
        close(client);
        daemon_stop(daemon);
}

Test(takeover, a_variable_that_makes_no_sense_does_no_harm)
{
        struct daemon *daemon;

        setenv("ECHOD_HANDOVER", "nonsense", true);
        daemon = DAEMON();
        cr_assert(daemon_has_logged(daemon, "ECHOD_HANDOVER announces: Invalid argument"));
        assert_serves(daemon->port);
        unsetenv("ECHOD_HANDOVER");
        restart(daemon);
        assert_serves(daemon->port);
        daemon_stop(daemon);
}
