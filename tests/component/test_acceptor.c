#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "lobby.h"
#include "stage.h"

/* A frozen clock, so that pauses can be met to the millisecond. The workers' loops see it too. */
TestSuite(acceptor, .timeout = HANG_S, .init = frozen_clock_begin, .fini = frozen_clock_end);

/* To stop sharing an address cannot fail in earnest, so that nobody looks. */
static void init_and_apply(void *user)
{
        struct lobby *lobby = user;
        struct acceptor acceptor;
        int r = acceptor_init(&acceptor, &lobby->loop, &lobby->pool);

        if (r == 0) {
                r = acceptor_apply(&acceptor, &lobby->config, 10, lobby->problem);
                cr_assert_eq(list_is_empty(&acceptor.listeners.active), r < 0);
                acceptor_close(&acceptor);
        }
        cr_assert(r == 0 || faults_have_struck());
        lobby_turn(lobby);
        acceptor_free(&acceptor);
}

Test(acceptor, each_call_that_fails_at_start_leaves_nothing)
{
        struct lobby lobby;

        lobby_init(&lobby);
        lobby.config.max_connections_per_source = 10;
        lobby_set_listeners(&lobby, 2, "127.0.0.1", 0, "127.0.0.2", 0);
        faults_force_each(init_and_apply, &lobby);
        lobby_close(&lobby);
}

Test(acceptor, serves_and_counts)
{
        struct lobby lobby;

        lobby_open(&lobby, 10);
        lobby_serve_one(&lobby);
        lobby_serve_one(&lobby);
        cr_assert_eq(lobby.acceptor.n_accepted, 2);
        cr_assert_eq(lobby.acceptor.n_refused[REFUSED_DENY], 0);
        lobby_close(&lobby);
}

Test(acceptor, resets_and_counts_who_is_denied)
{
        struct prefix denied;
        struct lobby lobby;
        int client;

        lobby_open(&lobby, 10);
        lobby_deny(&lobby, &denied, "127.0.0.2/32");
        client = client_connect_from("127.0.0.2", lobby_port(&lobby, 0));
        lobby_await_refused(&lobby, REFUSED_DENY, 1);
        client_expect_reset(client);
        close(client);
        cr_assert_eq(faults_n_logged("refused peer=127.0.0.2:"), 1);
        cr_assert_eq(faults_n_logged("reason=deny"), 1);
        lobby_serve_one(&lobby);
        cr_assert_eq(lobby.acceptor.n_refused[REFUSED_DENY], 1);
        lobby_close(&lobby);
}

Test(acceptor, full_and_rejecting_resets_and_counts)
{
        struct lobby lobby;
        int first, second;

        lobby_open(&lobby, 1);
        lobby.config.when_full = WHEN_FULL_REJECT;
        cr_assert_eq(lobby_apply(&lobby), 0);
        first = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 1);
        second = lobby_connect(&lobby);
        lobby_await_refused(&lobby, REFUSED_FULL, 1);
        client_expect_reset(second);
        client_echo(first, "unharmed");
        close(first);
        close(second);
        lobby_await_load(&lobby, 0);
        lobby_serve_one(&lobby);
        lobby_close(&lobby);
}

Test(acceptor, full_and_waiting_serves_all_in_order)
{
        struct lobby lobby;
        int clients[12];

        lobby_open(&lobby, 2);
        for (int i = 0; i < 12; i++) {
                clients[i] = lobby_connect(&lobby);
                client_send(clients[i], "served", 6);
        }
        for (unsigned i = 0; i < 12; i++) {
                lobby_await_accepted(&lobby, MIN(i + 2, 12));
                lobby_turn_often(&lobby);
                cr_assert_eq(lobby.acceptor.n_accepted, MIN(i + 2, 12));
                client_receive(clients[i], (char[6]){0}, 6);
                if (i + 2 < 12)
                        cr_assert(!client_is_readable(clients[i + 2], 0));
                close(clients[i]);
                lobby_await_load(&lobby, i < 10 ? 2 : 11 - i);
                while (lobby.acceptor.n_accepted < MIN(i + 3, 12))
                        lobby_turn(&lobby);
        }
        cr_assert_eq(lobby.acceptor.n_refused[REFUSED_FULL], 0);
        lobby_close(&lobby);
}

Test(acceptor, while_full_nothing_is_accepted_nor_asked)
{
        struct lobby lobby;
        int clients[3];
        unsigned n_calls;

        lobby_open(&lobby, 1);
        for (int i = 0; i < 3; i++)
                clients[i] = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 1);
        n_calls = faults_n_calls(FAULT_ACCEPT4);
        for (int i = 0; i < 100; i++)
                lobby_advance(&lobby, 10);
        cr_assert_eq(faults_n_calls(FAULT_ACCEPT4), n_calls);
        cr_assert_eq(faults_n_logged("max_connections reached"), 1);
        for (int i = 0; i < 3; i++)
                close(clients[i]);
        lobby_await_accepted(&lobby, 3);
        lobby_await_load(&lobby, 0);
        lobby_close(&lobby);
}

/* Room for one: the first client has it, the second one waits. */
static void open_full(struct lobby *lobby, int *ret_first, int *ret_second)
{
        lobby_open(lobby, 1);
        *ret_first = lobby_connect(lobby);
        *ret_second = lobby_connect(lobby);
        lobby_await_accepted(lobby, 1);
}

Test(acceptor, a_higher_limit_lets_in_who_waits)
{
        struct lobby lobby;
        int first, second;

        open_full(&lobby, &first, &second);
        lobby.max_connections = 2;
        cr_assert_eq(lobby_apply(&lobby), 0);
        lobby_await_accepted(&lobby, 2);
        client_echo(second, "served");
        client_echo(first, "unharmed");
        close(first);
        close(second);
        lobby_close(&lobby);
}

Test(acceptor, a_lower_limit_lets_nobody_in_until_enough_have_gone)
{
        struct lobby lobby;
        int clients[4];

        lobby_open(&lobby, 3);
        for (int i = 0; i < 3; i++)
                clients[i] = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 3);
        lobby.max_connections = 1;
        cr_assert_eq(lobby_apply(&lobby), 0);
        clients[3] = lobby_connect(&lobby);
        close(clients[0]);
        lobby_await_load(&lobby, 2);
        close(clients[1]);
        lobby_await_load(&lobby, 1);
        lobby_turn_often(&lobby);
        cr_assert_eq(lobby.acceptor.n_accepted, 3);
        client_echo(clients[2], "unharmed");
        close(clients[2]);
        lobby_await_accepted(&lobby, 4);
        client_echo(clients[3], "served");
        close(clients[3]);
        lobby_close(&lobby);
}

/* So many clients that are refused; the clock stands still. */
static void have_refused(struct lobby *lobby, unsigned n)
{
        for (; n > 0; n--) {
                uint64_t n_before = lobby->acceptor.n_refused[REFUSED_DENY];

                close(client_connect_from("127.0.0.2", lobby_port(lobby, 0)));
                lobby_await_refused(lobby, REFUSED_DENY, n_before + 1);
        }
}

Test(acceptor, says_how_many_lines_it_suppressed)
{
        struct prefix denied;
        struct lobby lobby;

        lobby_open(&lobby, 10);
        lobby_deny(&lobby, &denied, "127.0.0.2/32");
        have_refused(&lobby, LOG_LIMIT_BURST + 5);
        cr_assert_eq(faults_n_logged("refused peer="), LOG_LIMIT_BURST);
        lobby_advance(&lobby, LOG_LIMIT_WINDOW_MS);
        cr_assert_eq(faults_n_logged("5 more lines about refused clients suppressed"), 1);
        lobby_close(&lobby);
}

/* The window of one kind of line began later than that of the other. */
Test(acceptor, says_how_many_lines_of_each_kind_it_suppressed)
{
        struct prefix denied;
        struct lobby lobby;
        int client;

        lobby_open(&lobby, 10);
        lobby_deny(&lobby, &denied, "127.0.0.2/32");
        have_refused(&lobby, 1);
        lobby_advance(&lobby, 2500);
        client = lobby_connect(&lobby);
        faults_fail(FAULT_ACCEPT4, 1, LOG_LIMIT_BURST + 5, EMFILE);
        for (int i = 0; i < LOG_LIMIT_BURST + 6; i++)
                lobby_advance(&lobby, 100);
        lobby_await_accepted(&lobby, 1);
        cr_assert_eq(faults_n_logged("cannot accept on"), LOG_LIMIT_BURST);
        for (int ms = 0; ms < 2 * LOG_LIMIT_WINDOW_MS; ms += 100)
                lobby_advance(&lobby, 100);
        cr_assert_eq(faults_n_logged("5 more lines about failed accepts suppressed"), 1);
        close(client);
        lobby_close(&lobby);
}

Test(acceptor, finish_serves_who_is_in_the_queue)
{
        struct lobby lobby;
        int clients[5];

        lobby_open(&lobby, 10);
        for (int i = 0; i < 5; i++)
                clients[i] = lobby_connect(&lobby);
        acceptor_finish(&lobby.acceptor);
        cr_assert_eq(lobby.acceptor.n_accepted, 5);
        cr_assert(list_is_empty(&lobby.acceptor.listeners.active));
        for (int i = 0; i < 5; i++) {
                client_echo(clients[i], "served");
                close(clients[i]);
        }
        lobby_close(&lobby);
}

Test(acceptor, finish_while_full_resets_who_is_in_the_queue)
{
        struct lobby lobby;
        int first, second;

        open_full(&lobby, &first, &second);
        acceptor_finish(&lobby.acceptor);
        client_expect_reset(second);
        client_echo(first, "unharmed");
        close(first);
        close(second);
        lobby_await_load(&lobby, 0);
        lobby_close(&lobby);
}
