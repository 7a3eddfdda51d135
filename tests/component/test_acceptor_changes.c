/* Changes of listeners one after another, while there is no room for their clients. */

#include <criterion/criterion.h>
#include <unistd.h>

#include "client.h"
#include "lobby.h"
#include "port.h"
#include "stage.h"

#define N_CLIENTS 4

TestSuite(acceptor_changes, .timeout = HANG_S);

Test(acceptor_changes, a_removed_unix_listener_closes_although_it_was_paused_for_its_last_client)
{
        const struct place place = make_place();
        struct lobby lobby;
        int clients[3];

        lobby_open_at(&lobby, 1, place.path, 0);
        for (unsigned i = 0; i < 3; i++)
                clients[i] = client_connect_unix(place.path);
        lobby_await_accepted(&lobby, 1);
        lobby_listen(&lobby, "127.0.0.2", 0);
        lobby_expect_served_in_order(&lobby, clients, 3);
        lobby_await_retired(&lobby);
        cr_assert_eq(access(place.path, F_OK), -1);
        lobby_close(&lobby);
        leave_place(&place);
}

Test(acceptor_changes, an_address_that_comes_back_as_a_wildcard_loses_nobody)
{
        int port = free_port(), clients[N_CLIENTS];
        struct lobby lobby;

        lobby_open_at(&lobby, 1, "127.0.0.1", port);
        clients[0] = lobby_queue(&lobby, (uint16_t)port);
        clients[1] = lobby_queue(&lobby, (uint16_t)port);
        lobby_await_accepted(&lobby, 1);
        lobby_listen(&lobby, "127.0.0.1", free_port());
        lobby_listen(&lobby, "*", port);
        for (unsigned i = 2; i < N_CLIENTS; i++)
                clients[i] = lobby_queue(&lobby, (uint16_t)port);
        lobby_expect_served_in_order(&lobby, clients, N_CLIENTS);
        lobby_close(&lobby);
}

Test(acceptor_changes, a_free_port_that_is_then_written_out_loses_nobody)
{
        int port, clients[N_CLIENTS];
        struct lobby lobby;

        lobby_open(&lobby, 1);
        port = lobby_port(&lobby, 0);
        clients[0] = lobby_queue(&lobby, (uint16_t)port);
        clients[1] = lobby_queue(&lobby, (uint16_t)port);
        lobby_await_accepted(&lobby, 1);
        lobby_listen(&lobby, "127.0.0.1", port);
        for (unsigned i = 2; i < N_CLIENTS; i++)
                clients[i] = lobby_queue(&lobby, (uint16_t)port);
        lobby_expect_served_in_order(&lobby, clients, N_CLIENTS);
        lobby_close(&lobby);
}
