/* Listeners with proxy_protocol: whom they believe, and whom they refuse. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "lobby.h"
#include "proxied.h"
#include "stage.h"

TestSuite(acceptor_proxied, .timeout = HANG_S, .init = frozen_clock_begin,
          .fini = frozen_clock_end);

static struct prefix denied;

Test(acceptor_proxied, what_is_sent_with_the_header_is_echoed)
{
        struct lobby lobby;
        int client;

        proxied_open(&lobby, 10);
        client = lobby_connect(&lobby);
        client_send(client, LINE "hello", strlen(LINE "hello"));
        lobby_await_accepted(&lobby, 1);
        client_receive(client, (char[5]){0}, 5);
        client_echo(client, "and more");
        lobby_leave(&lobby, client);
        lobby_close(&lobby);
}

Test(acceptor_proxied, who_is_no_proxy_source_is_refused)
{
        struct lobby lobby;
        int client;

        proxied_open(&lobby, 10);
        client = client_connect_from("127.0.0.2", lobby_port(&lobby, 0));
        lobby_await_refused(&lobby, REFUSED_PROXY_HEADER, 1);
        client_expect_reset(client);
        cr_assert_eq(faults_n_logged("refused peer=127.0.0.2:"), 1);
        cr_assert_eq(faults_n_logged("reason=proxy_header problem=source"), 1);
        cr_assert_eq(lobby.acceptor.n_accepted, 0);
        close(client);
        lobby_close(&lobby);
}

Test(acceptor_proxied, over_a_unix_socket_everybody_is_believed)
{
        const struct place place = make_place();
        struct lobby lobby;
        int client;

        lobby_init(&lobby);
        lobby_set_listeners(&lobby, 1, place.path, 0);
        lobby.listeners[0].proxy_protocol = true;
        cr_assert_eq(lobby_apply(&lobby), 0);
        client = client_connect_unix(place.path);
        client_send(client, LINE, strlen(LINE));
        lobby_await_accepted(&lobby, 1);
        client_echo(client, "served");
        lobby_leave(&lobby, client);
        lobby_close(&lobby);
        leave_place(&place);
}

static void expect_refused(const char *bytes, const char *problem)
{
        struct lobby lobby;
        char line[64];
        int client;

        proxied_open(&lobby, 10);
        client = lobby_connect(&lobby);
        client_send(client, bytes, strlen(bytes));
        lobby_await_refused(&lobby, REFUSED_PROXY_HEADER, 1);
        client_expect_reset(client);
        snprintf(line, sizeof(line), "reason=proxy_header problem=%s", problem);
        cr_assert_eq(faults_n_logged(line), 1);
        close(client);
        cr_assert_eq(acceptor_load(&lobby.acceptor), 0);
        lobby_close(&lobby);
}

Test(acceptor_proxied, a_header_that_is_none_is_refused)
{
        expect_refused("GET / HTTP/1.1\r\n", "malformed");
}

Test(acceptor_proxied, a_header_that_ends_in_the_middle_is_refused)
{
        struct lobby lobby;
        int client;

        proxied_open(&lobby, 10);
        client = lobby_connect(&lobby);
        client_send(client, "PROXY", 5);
        close(client);
        lobby_await_refused(&lobby, REFUSED_PROXY_HEADER, 1);
        cr_assert_eq(faults_n_logged("problem=cut_off"), 1);
        lobby_close(&lobby);
}

Test(acceptor_proxied, a_header_that_is_too_long_is_refused)
{
        expect_refused("PROXY UNKNOWN                                                            "
                       "                                                                    ",
                       "too_long");
}

Test(acceptor_proxied, a_header_that_does_not_come_is_refused)
{
        struct lobby lobby;
        int client;

        client = proxied_open_with_guest(&lobby, 10);
        lobby_advance(&lobby, VESTIBULE_PATIENCE_MS + 8);
        lobby_await_refused(&lobby, REFUSED_PROXY_HEADER, 1);
        client_expect_reset(client);
        cr_assert_eq(faults_n_logged("problem=late"), 1);
        close(client);
        lobby_close(&lobby);
}

Test(acceptor_proxied, refusals_do_not_flood_the_log)
{
        struct lobby lobby;

        proxied_open(&lobby, 10);
        for (unsigned i = 0; i < LOG_LIMIT_BURST + 5; i++) {
                int client = lobby_connect(&lobby);

                client_send(client, "x", 1);
                lobby_await_refused(&lobby, REFUSED_PROXY_HEADER, i + 1);
                close(client);
        }
        cr_assert_eq(faults_n_logged("refused peer="), LOG_LIMIT_BURST);
        lobby_close(&lobby);
}

Test(acceptor_proxied, a_probe_is_counted_and_neither_refused_nor_logged)
{
        struct lobby lobby;

        proxied_open(&lobby, 10);
        close(lobby_connect(&lobby));
        while (lobby.acceptor.n_probes < 1)
                lobby_turn(&lobby);
        client_abort(lobby_connect(&lobby));
        while (lobby.acceptor.n_probes < 2)
                lobby_turn(&lobby);
        cr_assert_eq(lobby.acceptor.n_refused[REFUSED_PROXY_HEADER], 0);
        cr_assert_eq(lobby.acceptor.n_accepted, 0);
        cr_assert_eq(faults_n_logged("peer="), 0);
        lobby_close(&lobby);
}

Test(acceptor_proxied, the_lists_are_about_the_client_and_not_about_the_proxy)
{
        struct lobby lobby;
        int client;

        proxied_open(&lobby, 10);
        lobby_deny(&lobby, &denied, "127.0.0.1");
        lobby_leave(&lobby, proxied_come_in(&lobby));
        lobby_deny(&lobby, &denied, "192.0.2.1");
        client = lobby_connect(&lobby);
        client_send(client, LINE, strlen(LINE));
        lobby_await_refused(&lobby, REFUSED_DENY, 1);
        client_expect_reset(client);
        cr_assert_eq(faults_n_logged("refused peer=192.0.2.1:51000"), 1);
        close(client);
        lobby_close(&lobby);
}

/* A client that says that it comes from there. */
static int come_from(struct lobby *lobby, const char *address)
{
        int client = lobby_connect(lobby);
        char line[80];

        snprintf(line, sizeof(line), "PROXY TCP4 %s 192.0.2.7 51000 7\r\n", address);
        client_send(client, line, strlen(line));
        return client;
}

Test(acceptor_proxied, the_limits_for_each_source_are_about_the_client)
{
        struct lobby lobby;
        int first, second, other;

        proxied_open(&lobby, 10);
        lobby.config.max_connections_per_source = 1;
        cr_assert_eq(lobby_apply(&lobby), 0);
        first = come_from(&lobby, "192.0.2.1");
        lobby_await_accepted(&lobby, 1);
        second = come_from(&lobby, "192.0.2.1");
        lobby_await_refused(&lobby, REFUSED_SOURCE_LIMIT, 1);
        client_expect_reset(second);
        other = come_from(&lobby, "192.0.2.2");
        lobby_await_accepted(&lobby, 2);
        client_echo(other, "served");
        close(second);
        lobby_leave(&lobby, other);
        lobby_leave(&lobby, first);
        lobby_leave(&lobby, proxied_come_in(&lobby));
        lobby_close(&lobby);
}

Test(acceptor_proxied, without_a_client_named_the_lists_are_about_the_proxy)
{
        struct lobby lobby;
        int client;

        proxied_open(&lobby, 10);
        lobby_deny(&lobby, &denied, "127.0.0.1");
        client = lobby_connect(&lobby);
        client_send(client, "PROXY UNKNOWN\r\n", 15);
        lobby_await_refused(&lobby, REFUSED_DENY, 1);
        client_expect_reset(client);
        close(client);
        lobby_close(&lobby);
}
