#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "lobby.h"
#include "port.h"
#include "stage.h"

TestSuite(acceptor_apply, .timeout = HANG_S);

static void expect_refused(uint16_t port)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), -1);
        cr_assert_eq(errno, ECONNREFUSED);
        close(client);
}

/* A listener on 127.0.0.1 and a port that the configuration names. */
static int open_on_named_port(struct lobby *lobby, uint64_t max_connections)
{
        int port = free_port();

        lobby_open_at(lobby, max_connections, "127.0.0.1", port);
        return port;
}

Test(acceptor_apply, an_unchanged_listener_keeps_its_socket)
{
        struct lobby lobby;
        struct listener *kept;
        int client, descriptor;

        lobby_open(&lobby, 10);
        kept = lobby_listener(&lobby, 0);
        descriptor = kept->descriptor;
        client = lobby_connect(&lobby); /* still in its queue */
        lobby_set_listeners(&lobby, 2, "127.0.0.2", 0, "127.0.0.1", 0);
        cr_assert_eq(lobby_apply(&lobby), 0);
        lobby_listen(&lobby, "127.0.0.1", 0);
        cr_assert_eq(lobby_listener(&lobby, 0), kept);
        cr_assert_eq(kept->descriptor, descriptor);
        lobby_await_accepted(&lobby, 1);
        lobby_part(client);
        client = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 2);
        lobby_part(client);
        lobby_close(&lobby);
}

Test(acceptor_apply, a_new_listener_serves_and_a_removed_one_refuses)
{
        struct lobby lobby;
        uint16_t port;
        int client;

        lobby_open(&lobby, 10);
        port = lobby_port(&lobby, 0);
        lobby_listen(&lobby, "127.0.0.2", 0);
        lobby_await_retired(&lobby);
        expect_refused(port);
        client = client_connect_to("127.0.0.2", lobby_port(&lobby, 0));
        lobby_await_accepted(&lobby, 1);
        lobby_part(client);
        lobby_close(&lobby);
}

static void expect_queue_served(struct lobby *lobby, const int *clients, unsigned n)
{
        lobby_await_accepted(lobby, n);
        for (unsigned i = 0; i < n; i++)
                lobby_part(clients[i]);
}

Test(acceptor_apply, a_removed_listener_first_serves_its_queue)
{
        struct lobby lobby;
        int clients[70];

        lobby_open(&lobby, 100);
        for (int i = 0; i < 70; i++)
                clients[i] = lobby_connect(&lobby);
        lobby_listen(&lobby, "127.0.0.2", 0);
        expect_queue_served(&lobby, clients, 70);
        lobby_await_retired(&lobby);
        lobby_close(&lobby);
}

Test(acceptor_apply, a_unix_listener_can_be_added)
{
        const struct place place = make_place();
        struct lobby lobby;
        int client;

        lobby_open(&lobby, 10);
        lobby_set_listeners(&lobby, 2, place.path, 0, "127.0.0.1", 0);
        cr_assert_eq(lobby_apply(&lobby), 0, "%s", lobby.problem);
        client = client_connect_unix(place.path);
        lobby_await_accepted(&lobby, 1);
        lobby_part(client);
        lobby_close(&lobby);
        leave_place(&place);
}

Test(acceptor_apply, a_removed_unix_listener_first_serves_its_queue)
{
        const struct place place = make_place();
        struct lobby lobby;
        int clients[70];

        lobby_open_at(&lobby, 1000, place.path, 0);
        for (int i = 0; i < 70; i++)
                clients[i] = client_connect_unix(place.path);
        lobby_listen(&lobby, "127.0.0.2", 0);
        expect_queue_served(&lobby, clients, 70);
        lobby_await_retired(&lobby);
        lobby_close(&lobby);
        leave_place(&place);
}

/* One after another, as places come free, although nobody listens there any more. */
Test(acceptor_apply, a_removed_listener_serves_its_queue_while_full)
{
        struct lobby lobby;
        int clients[3];

        lobby_open(&lobby, 1);
        for (int i = 0; i < 3; i++)
                clients[i] = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 1);
        lobby_listen(&lobby, "127.0.0.2", 0);
        lobby_expect_served_in_order(&lobby, clients, 3);
        lobby_await_retired(&lobby);
        lobby_close(&lobby);
}

Test(acceptor_apply, the_wildcard_takes_over_from_one_address_and_back)
{
        struct lobby lobby;
        int port, open, queued;

        port = open_on_named_port(&lobby, 10);
        open = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 1);
        for (unsigned i = 0; i < 6; i++) {
                queued = lobby_queue(&lobby, (uint16_t)port);
                lobby_listen(&lobby, i % 2 ? "127.0.0.1" : "*", port);
                lobby_await_accepted(&lobby, 2 + i);
                lobby_part(queued);
                lobby_await_retired(&lobby);
                lobby_turn(&lobby);
        }
        client_echo(open, "unharmed");
        close(open);
        lobby_close(&lobby);
}

Test(acceptor_apply, an_address_comes_back_while_its_old_listener_still_serves_its_queue)
{
        struct lobby lobby;
        int port, clients[3];

        port = open_on_named_port(&lobby, 1);
        for (int i = 0; i < 3; i++)
                clients[i] = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 1);
        lobby_listen(&lobby, "*", port);
        lobby_listen(&lobby, "127.0.0.1", port);
        lobby_expect_served_in_order(&lobby, clients, 3);
        lobby_close(&lobby);
}

Test(acceptor_apply, a_unix_socket_comes_back_while_its_old_listener_still_serves_its_queue)
{
        const struct place place = make_place();
        struct lobby lobby;
        int clients[3];

        lobby_open_at(&lobby, 1, place.path, 0);
        for (int i = 0; i < 3; i++)
                clients[i] = client_connect_unix(place.path);
        lobby_await_accepted(&lobby, 1);
        lobby_listen(&lobby, "127.0.0.2", 0);
        lobby_listen(&lobby, place.path, 0);
        lobby_expect_served_in_order(&lobby, clients, 3);
        lobby_close(&lobby);
        leave_place(&place);
}

Test(acceptor_apply, the_wildcard_comes_while_an_old_listener_still_serves_its_queue)
{
        struct lobby lobby;
        int port, clients[2];

        port = open_on_named_port(&lobby, 1);
        clients[0] = lobby_connect(&lobby);
        clients[1] = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 1);
        lobby_listen(&lobby, "127.0.0.2", 0);
        lobby_listen(&lobby, "*", port);
        lobby_expect_served_in_order(&lobby, clients, 2);
        lobby_close(&lobby);
}

/* The kernel gives it to the old one, whose address is the more specific, as long as that is open.
 */
Test(acceptor_apply, who_comes_while_the_old_listener_serves_its_queue_is_not_lost)
{
        struct lobby lobby;
        int port, clients[3];

        port = open_on_named_port(&lobby, 1);
        clients[0] = lobby_connect(&lobby);
        clients[1] = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 1);
        lobby_listen(&lobby, "*", port);
        clients[2] = lobby_queue(&lobby, (uint16_t)port);
        lobby_part(clients[0]);
        lobby_await_accepted(&lobby, 2);
        lobby_part(clients[1]);
        while (lobby.acceptor.n_accepted < 3) {
                lobby_turn(&lobby);
                cr_assert(!client_is_readable(clients[2], 0), "the client was reset");
        }
        lobby_part(clients[2]);
        lobby_close(&lobby);
}

Test(acceptor_apply, nobody_else_may_share_the_address_afterwards)
{
        struct lobby lobby;
        int port;

        port = open_on_named_port(&lobby, 10);
        cr_assert(!lobby_is_shared(lobby_listener(&lobby, 0)));
        lobby_set_listeners(&lobby, 2, "127.0.0.1", port, "127.0.0.2", 0);
        cr_assert_eq(lobby_apply(&lobby), 0);
        cr_assert(!lobby_is_shared(lobby_listener(&lobby, 0)));
        cr_assert(!lobby_is_shared(lobby_listener(&lobby, 1)));
        lobby_close(&lobby);
}

Test(acceptor_apply, a_kept_unix_listener_keeps_its_file_and_takes_a_new_mode)
{
        const struct place place = make_place();
        struct stat before, after;
        struct lobby lobby;

        lobby_open_at(&lobby, 1000, place.path, 0);
        cr_assert_eq(stat(place.path, &before), 0);
        lobby.listeners[0].mode = 0600;
        faults_fail(FAULT_CHMOD, 1, 1, EPERM);
        cr_assert_eq(lobby_apply(&lobby), 0);
        cr_assert_eq(faults_n_logged("keeps its old options"), 1);
        cr_assert_eq(lobby_apply(&lobby), 0);
        cr_assert_eq(stat(place.path, &after), 0);
        cr_assert_eq(before.st_ino, after.st_ino);
        cr_assert_eq(after.st_mode & 07777, 0600);
        lobby_close(&lobby);
        leave_place(&place);
}
