/* Listeners with proxy_protocol. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "lobby.h"
#include "stage.h"

static void end_clock(void)
{
        frozen_clock_end();
}

TestSuite(acceptor_proxied, .timeout = HANG_S, .init = frozen_clock_begin, .fini = end_clock);

#define LINE "PROXY TCP4 192.0.2.1 192.0.2.7 51000 7\r\n"

static struct prefix source, denied;

static void set(struct prefix_list *list, struct prefix *prefix, const char *network)
{
        cr_assert_eq(prefix_parse(prefix, network), 0);
        *list = (struct prefix_list){prefix, 1};
}

/* Listens on 127.0.0.1 and believes that address only. */
static void open_proxied(struct lobby *lobby, uint64_t max_connections)
{
        lobby_init(lobby);
        lobby->max_connections = max_connections;
        lobby_set_listeners(lobby, 1, "127.0.0.1", 0);
        lobby->listeners[0].proxy_protocol = true;
        set(&lobby->config.proxy_sources, &source, "127.0.0.1");
        cr_assert_eq(lobby_apply(lobby), 0);
}

static void await_guests(struct lobby *lobby, size_t n)
{
        while (lobby->acceptor.vestibule.n_guests != n)
                lobby_turn(lobby);
}

static void await_refused(struct lobby *lobby, enum admission_verdict verdict, uint64_t n)
{
        while (lobby->acceptor.n_refused[verdict] < n)
                lobby_turn(lobby);
}

/* A connection that is open. */
static int come_in(struct lobby *lobby)
{
        uint64_t n = lobby->acceptor.n_accepted;
        int client = lobby_connect(lobby);

        client_send(client, LINE, strlen(LINE));
        lobby_await_accepted(lobby, n + 1);
        client_echo(client, "served");
        return client;
}

static void leave(struct lobby *lobby, int client)
{
        uint64_t n = pool_load(&lobby->pool);

        close(client);
        lobby_await_load(lobby, n - 1);
}

Test(acceptor_proxied, what_is_sent_with_the_header_is_echoed)
{
        struct lobby lobby;
        int client;

        open_proxied(&lobby, 10);
        client = lobby_connect(&lobby);
        client_send(client, LINE "hello", strlen(LINE "hello"));
        lobby_await_accepted(&lobby, 1);
        client_receive(client, (char[5]){0}, 5);
        client_echo(client, "and more");
        leave(&lobby, client);
        lobby_close(&lobby);
}

Test(acceptor_proxied, who_is_no_proxy_source_is_refused)
{
        struct lobby lobby;
        int client;

        open_proxied(&lobby, 10);
        client = client_connect_from("127.0.0.2", lobby_port(&lobby, 0));
        await_refused(&lobby, REFUSED_PROXY_HEADER, 1);
        client_expect_reset(client);
        cr_assert_eq(faults_n_logged("refused peer=127.0.0.2:"), 1);
        cr_assert_eq(faults_n_logged("reason=proxy_header problem=source"), 1);
        cr_assert_eq(lobby.acceptor.n_accepted, 0);
        close(client);
        lobby_close(&lobby);
}

Test(acceptor_proxied, over_a_unix_socket_everybody_is_believed)
{
        struct lobby lobby;
        char directory[64], path[80];
        int client;

        make_directory(directory);
        snprintf(path, sizeof(path), "%s/socket", directory);
        lobby_init(&lobby);
        lobby_set_listeners(&lobby, 1, path, 0);
        lobby.listeners[0].proxy_protocol = true;
        cr_assert_eq(lobby_apply(&lobby), 0);
        client = client_connect_unix(path);
        client_send(client, LINE, strlen(LINE));
        lobby_await_accepted(&lobby, 1);
        client_echo(client, "served");
        leave(&lobby, client);
        lobby_close(&lobby);
        cr_assert_eq(rmdir(directory), 0);
}

static void expect_refused(const char *bytes, const char *problem)
{
        struct lobby lobby;
        char line[64];
        int client;

        open_proxied(&lobby, 10);
        client = lobby_connect(&lobby);
        client_send(client, bytes, strlen(bytes));
        await_refused(&lobby, REFUSED_PROXY_HEADER, 1);
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

        open_proxied(&lobby, 10);
        client = lobby_connect(&lobby);
        client_send(client, "PROXY", 5);
        close(client);
        await_refused(&lobby, REFUSED_PROXY_HEADER, 1);
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

        open_proxied(&lobby, 10);
        client = lobby_connect(&lobby);
        await_guests(&lobby, 1);
        lobby_advance(&lobby, VESTIBULE_PATIENCE_MS + 8);
        await_refused(&lobby, REFUSED_PROXY_HEADER, 1);
        client_expect_reset(client);
        cr_assert_eq(faults_n_logged("problem=late"), 1);
        close(client);
        lobby_close(&lobby);
}

Test(acceptor_proxied, refusals_do_not_flood_the_log)
{
        struct lobby lobby;

        open_proxied(&lobby, 10);
        for (unsigned i = 0; i < LOG_LIMIT_BURST + 5; i++) {
                int client = lobby_connect(&lobby);

                client_send(client, "x", 1);
                await_refused(&lobby, REFUSED_PROXY_HEADER, i + 1);
                close(client);
        }
        cr_assert_eq(faults_n_logged("refused peer="), LOG_LIMIT_BURST);
        lobby_close(&lobby);
}

Test(acceptor_proxied, a_probe_is_counted_and_neither_refused_nor_logged)
{
        struct lobby lobby;

        open_proxied(&lobby, 10);
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

        open_proxied(&lobby, 10);
        set(&lobby.config.deny, &denied, "127.0.0.1");
        cr_assert_eq(lobby_apply(&lobby), 0);
        leave(&lobby, come_in(&lobby));
        set(&lobby.config.deny, &denied, "192.0.2.1");
        cr_assert_eq(lobby_apply(&lobby), 0);
        client = lobby_connect(&lobby);
        client_send(client, LINE, strlen(LINE));
        await_refused(&lobby, REFUSED_DENY, 1);
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

        open_proxied(&lobby, 10);
        lobby.config.max_connections_per_source = 1;
        cr_assert_eq(lobby_apply(&lobby), 0);
        first = come_from(&lobby, "192.0.2.1");
        lobby_await_accepted(&lobby, 1);
        second = come_from(&lobby, "192.0.2.1");
        await_refused(&lobby, REFUSED_SOURCE_LIMIT, 1);
        client_expect_reset(second);
        other = come_from(&lobby, "192.0.2.2");
        lobby_await_accepted(&lobby, 2);
        client_echo(other, "served");
        close(second);
        leave(&lobby, other);
        leave(&lobby, first);
        leave(&lobby, come_in(&lobby));
        lobby_close(&lobby);
}

Test(acceptor_proxied, without_a_client_named_the_lists_are_about_the_proxy)
{
        struct lobby lobby;
        int client;

        open_proxied(&lobby, 10);
        set(&lobby.config.deny, &denied, "127.0.0.1");
        cr_assert_eq(lobby_apply(&lobby), 0);
        client = lobby_connect(&lobby);
        client_send(client, "PROXY UNKNOWN\r\n", 15);
        await_refused(&lobby, REFUSED_DENY, 1);
        client_expect_reset(client);
        close(client);
        lobby_close(&lobby);
}

Test(acceptor_proxied, who_waits_for_a_header_takes_a_place)
{
        struct lobby lobby;
        int first, second;

        open_proxied(&lobby, 1);
        first = lobby_connect(&lobby);
        await_guests(&lobby, 1);
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
        leave(&lobby, second);
        lobby_close(&lobby);
}

/* Each way in which a guest can leave. */
Test(acceptor_proxied, the_place_of_who_leaves_is_free_for_who_waits)
{
        static const char *const sent[] = {"", "PROXY", "x", NULL};
        struct lobby lobby;
        int guest, client;

        open_proxied(&lobby, 1);
        set(&lobby.config.deny, &denied, "192.0.2.9");
        cr_assert_eq(lobby_apply(&lobby), 0);
        for (unsigned i = 0; i < 5; i++) {
                guest = lobby_connect(&lobby);
                await_guests(&lobby, 1);
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
                leave(&lobby, client);
        }
        lobby_close(&lobby);
}

Test(acceptor_proxied, full_and_rejecting_refuses_before_the_header)
{
        struct lobby lobby;
        int first, second;

        open_proxied(&lobby, 1);
        lobby.config.when_full = WHEN_FULL_REJECT;
        cr_assert_eq(lobby_apply(&lobby), 0);
        first = lobby_connect(&lobby);
        await_guests(&lobby, 1);
        second = lobby_connect(&lobby);
        await_refused(&lobby, REFUSED_FULL, 1);
        client_expect_reset(second);
        client_send(first, LINE, strlen(LINE));
        lobby_await_accepted(&lobby, 1);
        client_echo(first, "unharmed");
        close(second);
        leave(&lobby, first);
        lobby_close(&lobby);
}

Test(acceptor_proxied, a_reload_changes_nothing_for_who_waits)
{
        struct lobby lobby;
        int waiting, client;

        open_proxied(&lobby, 10);
        waiting = lobby_connect(&lobby);
        await_guests(&lobby, 1);
        lobby.listeners[0].proxy_protocol = false;
        lobby.config.proxy_sources.n_prefixes = 0;
        lobby.max_connections = 1;
        cr_assert_eq(lobby_apply(&lobby), 0);
        client_send(waiting, LINE "hello", strlen(LINE "hello"));
        lobby_await_accepted(&lobby, 1);
        client_receive(waiting, (char[5]){0}, 5);
        leave(&lobby, waiting);
        client = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 2);
        client_echo(client, "PROXY is nothing special now");
        leave(&lobby, client);
        lobby_close(&lobby);
}

Test(acceptor_proxied, a_listener_that_is_gone_leaves_its_guests_where_they_are)
{
        struct lobby lobby;
        int client;

        open_proxied(&lobby, 10);
        client = lobby_connect(&lobby);
        await_guests(&lobby, 1);
        lobby_set_listeners(&lobby, 1, "127.0.0.2", 0);
        cr_assert_eq(lobby_apply(&lobby), 0);
        lobby_await_retired(&lobby);
        client_send(client, LINE, strlen(LINE));
        lobby_await_accepted(&lobby, 1);
        client_echo(client, "served");
        leave(&lobby, client);
        lobby_close(&lobby);
}

Test(acceptor_proxied, finish_serves_who_waits)
{
        struct lobby lobby;
        int waiting, queued;

        open_proxied(&lobby, 10);
        waiting = lobby_connect(&lobby);
        await_guests(&lobby, 1);
        queued = lobby_connect(&lobby);
        acceptor_finish(&lobby.acceptor);
        cr_assert_eq(acceptor_load(&lobby.acceptor), 2);
        client_send(waiting, LINE, strlen(LINE));
        client_send(queued, LINE, strlen(LINE));
        lobby_await_accepted(&lobby, 2);
        client_echo(waiting, "served");
        client_echo(queued, "served");
        leave(&lobby, waiting);
        leave(&lobby, queued);
        lobby_close(&lobby);
}

Test(acceptor_proxied, guests_can_be_reset)
{
        struct lobby lobby;
        int client;

        open_proxied(&lobby, 1);
        client = lobby_connect(&lobby);
        await_guests(&lobby, 1);
        acceptor_reset_guests(&lobby.acceptor);
        client_expect_reset(client);
        cr_assert_eq(acceptor_load(&lobby.acceptor), 0);
        close(client);
        while (lobby.acceptor.is_full)
                lobby_turn(&lobby);
        leave(&lobby, come_in(&lobby));
        lobby_close(&lobby);
}

/* Guests are left in the vestibule when it closes. */
Test(acceptor_proxied, closing_resets_who_waits)
{
        struct lobby lobby;
        int client;

        open_proxied(&lobby, 10);
        client = lobby_connect(&lobby);
        await_guests(&lobby, 1);
        lobby.n_descriptors++; /* the client's */
        lobby_close(&lobby);
        client_expect_reset(client);
        close(client);
}

static void expect_pause_after(enum fault_target target, unsigned nth)
{
        struct lobby lobby;
        int client;

        open_proxied(&lobby, 10);
        client = lobby_connect(&lobby);
        faults_fail(target, nth, 1, ENOMEM);
        while (!lobby.acceptor.is_short) {
                lobby_turn(&lobby);
                if (lobby.acceptor.vestibule.n_guests > 0)
                        client_send(client, "PROXY", 5);
        }
        cr_assert(faults_have_struck());
        client_expect_reset(client);
        close(client);
        cr_assert_eq(acceptor_load(&lobby.acceptor), 0);
        cr_assert_eq(faults_n_logged("cannot accept on 127.0.0.1:"), 1);
        lobby_advance(&lobby, 100);
        leave(&lobby, come_in(&lobby));
        lobby_close(&lobby);
}

Test(acceptor_proxied, a_seat_that_cannot_be_had_pauses)
{
        expect_pause_after(FAULT_CALLOC, 1);
}

Test(acceptor_proxied, a_watch_that_cannot_be_had_pauses)
{
        expect_pause_after(FAULT_UV_POLL_INIT, 1);
}

Test(acceptor_proxied, no_memory_for_half_a_header_pauses)
{
        expect_pause_after(FAULT_REALLOC, 1);
}
