/* Clients whose PROXY header has not come yet, at listeners with proxy_protocol. */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "lobby.h"
#include "proxied.h"
#include "stage.h"

TestSuite(acceptor_guests, .timeout = HANG_S, .init = frozen_clock_begin, .fini = frozen_clock_end);

static struct prefix denied;

Test(acceptor_guests, who_waits_for_a_header_takes_a_place)
{
        struct lobby lobby;
        int first, second;

        first = proxied_open_with_guest(&lobby, 1);
        second = lobby_connect(&lobby);
        client_send(second, LINE, strlen(LINE));
        lobby_turn_often(&lobby);
        cr_assert_eq(acceptor_load(&lobby.acceptor), 1);
        cr_assert_eq(lobby.acceptor.n_accepted, 0);
        cr_assert_eq(faults_n_logged("max_connections reached"), 1);
        client_send(first, LINE, strlen(LINE));
        lobby_await_accepted(&lobby, 1);
        client_echo(first, "has its place still");
        lobby_turn_often(&lobby);
        cr_assert_eq(lobby.acceptor.n_accepted, 1);
        close(first);
        lobby_await_accepted(&lobby, 2);
        client_echo(second, "has one now");
        lobby_leave(&lobby, second);
        lobby_close(&lobby);
}

/* Each way in which a guest can leave. */
Test(acceptor_guests, the_place_of_who_leaves_is_free_for_who_waits)
{
        static const char *const sent[] = {"", "PROXY", "x", NULL};
        struct lobby lobby;
        int guest, client;

        proxied_open(&lobby, 1);
        lobby_deny(&lobby, &denied, "192.0.2.9");
        for (unsigned i = 0; i < 5; i++) {
                guest = lobby_connect(&lobby);
                proxied_await_guests(&lobby, 1);
                client = lobby_connect(&lobby);
                client_send(client, LINE, strlen(LINE));
                if (i < 3)
                        client_send(guest, sent[i], strlen(sent[i]));
                if (i < 2)
                        close(guest);
                if (i == 3)
                        client_send(guest, "PROXY TCP4 192.0.2.9 192.0.2.7 1 7\r\n", 36);
                if (i == 4)
                        lobby_advance(&lobby, VESTIBULE_PATIENCE_MS + 8);
                lobby_await_accepted(&lobby, i + 1);
                client_echo(client, "served");
                if (i >= 2)
                        close(guest);
                lobby_leave(&lobby, client);
        }
        lobby_close(&lobby);
}

Test(acceptor_guests, full_and_rejecting_refuses_before_the_header)
{
        struct lobby lobby;
        int first, second;

        proxied_open(&lobby, 1);
        lobby.config.when_full = WHEN_FULL_REJECT;
        cr_assert_eq(lobby_apply(&lobby), 0);
        first = lobby_connect(&lobby);
        proxied_await_guests(&lobby, 1);
        second = lobby_connect(&lobby);
        lobby_await_refused(&lobby, REFUSED_FULL, 1);
        client_expect_reset(second);
        client_send(first, LINE, strlen(LINE));
        lobby_await_accepted(&lobby, 1);
        client_echo(first, "unharmed");
        close(second);
        lobby_leave(&lobby, first);
        lobby_close(&lobby);
}

Test(acceptor_guests, a_reload_changes_nothing_for_who_waits)
{
        struct lobby lobby;
        int waiting, client;

        waiting = proxied_open_with_guest(&lobby, 10);
        lobby.listeners[0].proxy_protocol = false;
        lobby.config.proxy_sources.n_prefixes = 0;
        lobby.max_connections = 1;
        cr_assert_eq(lobby_apply(&lobby), 0);
        client_send(waiting, LINE "hello", strlen(LINE "hello"));
        lobby_await_accepted(&lobby, 1);
        client_receive(waiting, (char[5]){0}, 5);
        lobby_leave(&lobby, waiting);
        client = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 2);
        client_echo(client, "PROXY is nothing special now");
        lobby_leave(&lobby, client);
        lobby_close(&lobby);
}

Test(acceptor_guests, a_listener_that_is_gone_leaves_its_guests_where_they_are)
{
        struct lobby lobby;
        int client;

        client = proxied_open_with_guest(&lobby, 10);
        lobby_listen(&lobby, "127.0.0.2", 0);
        lobby_await_retired(&lobby);
        client_send(client, LINE, strlen(LINE));
        lobby_await_accepted(&lobby, 1);
        client_echo(client, "served");
        lobby_leave(&lobby, client);
        lobby_close(&lobby);
}

Test(acceptor_guests, finish_serves_who_waits)
{
        struct lobby lobby;
        int waiting, queued;

        waiting = proxied_open_with_guest(&lobby, 10);
        queued = lobby_connect(&lobby);
        acceptor_finish(&lobby.acceptor);
        cr_assert_eq(acceptor_load(&lobby.acceptor), 2);
        client_send(waiting, LINE, strlen(LINE));
        client_send(queued, LINE, strlen(LINE));
        lobby_await_accepted(&lobby, 2);
        client_echo(waiting, "served");
        client_echo(queued, "served");
        lobby_leave(&lobby, waiting);
        lobby_leave(&lobby, queued);
        lobby_close(&lobby);
}

Test(acceptor_guests, guests_can_be_reset)
{
        struct lobby lobby;
        int client;

        client = proxied_open_with_guest(&lobby, 1);
        acceptor_reset_guests(&lobby.acceptor);
        client_expect_reset(client);
        cr_assert_eq(acceptor_load(&lobby.acceptor), 0);
        close(client);
        while (lobby.acceptor.is_full)
                lobby_turn(&lobby);
        lobby_leave(&lobby, proxied_come_in(&lobby));
        lobby_close(&lobby);
}

/* Guests are left in the vestibule when it closes. */
Test(acceptor_guests, closing_resets_who_waits)
{
        struct lobby lobby;
        int client;

        client = proxied_open_with_guest(&lobby, 10);
        lobby.n_descriptors++; /* the client's */
        lobby_close(&lobby);
        client_expect_reset(client);
        close(client);
}

static void expect_pause_after(enum fault_target target, unsigned nth)
{
        bool has_said_something = false;
        struct lobby lobby;
        int client;

        proxied_open(&lobby, 10);
        client = lobby_connect(&lobby);
        faults_fail(target, nth, 1, ENOMEM);
        while (!lobby.acceptor.is_short) {
                lobby_turn(&lobby);
                if (has_said_something || lobby.acceptor.vestibule.n_guests == 0)
                        continue;
                client_send(client, "PROXY", 5);
                has_said_something = true;
        }
        cr_assert(faults_have_struck());
        client_expect_reset(client);
        close(client);
        cr_assert_eq(acceptor_load(&lobby.acceptor), 0);
        cr_assert_eq(faults_n_logged("cannot accept on 127.0.0.1:"), 1);
        lobby_advance(&lobby, 100);
        lobby_leave(&lobby, proxied_come_in(&lobby));
        lobby_close(&lobby);
}

Test(acceptor_guests, a_seat_that_cannot_be_had_pauses)
{
        expect_pause_after(FAULT_CALLOC, 1);
}

Test(acceptor_guests, a_watch_that_cannot_be_had_pauses)
{
        expect_pause_after(FAULT_UV_POLL_INIT, 1);
}

Test(acceptor_guests, no_memory_for_half_a_header_pauses)
{
        expect_pause_after(FAULT_REALLOC, 1);
}
