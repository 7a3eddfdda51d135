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
TestSuite(acceptor_shortage, .timeout = HANG_S, .init = frozen_clock_begin,
          .fini = frozen_clock_end);

static void expect_pause_by(struct lobby *lobby, int error)
{
        uint64_t n_accepted = lobby->acceptor.n_accepted;
        unsigned n_calls, n_lines = faults_n_logged("cannot accept on 127.0.0.1:");
        int client = lobby_connect(lobby);

        faults_fail(FAULT_ACCEPT4, 1, 1, error);
        while (!faults_have_struck())
                lobby_turn(lobby);
        n_calls = faults_n_calls(FAULT_ACCEPT4);
        for (int ms = 1; ms < 100; ms++) {
                lobby_advance(lobby, 1);
                cr_assert_eq(faults_n_calls(FAULT_ACCEPT4), n_calls, "asked after %d ms", ms);
        }
        lobby_advance(lobby, 1);
        lobby_await_accepted(lobby, n_accepted + 1);
        cr_assert_eq(faults_n_logged("cannot accept on 127.0.0.1:"), n_lines + 1);
        client_echo(client, "served");
        close(client);
        lobby_await_load(lobby, 0);
}

Test(acceptor_shortage, a_shortage_pauses_it_for_100_ms)
{
        struct lobby lobby;

        lobby_open(&lobby, 10);
        expect_pause_by(&lobby, EMFILE);
        expect_pause_by(&lobby, ENFILE);
        expect_pause_by(&lobby, ENOMEM);
        expect_pause_by(&lobby, ENOBUFS);
        lobby_close(&lobby);
}

Test(acceptor_shortage, a_lasting_shortage_costs_one_call_each_100_ms)
{
        struct lobby lobby;
        unsigned n_calls;
        int client;

        lobby_open(&lobby, 10);
        client = lobby_connect(&lobby);
        faults_fail(FAULT_ACCEPT4, 1, 1000, EMFILE);
        while (!faults_have_struck())
                lobby_turn(&lobby);
        n_calls = faults_n_calls(FAULT_ACCEPT4);
        for (int ms = 0; ms < 3000; ms++)
                lobby_advance(&lobby, 1);
        cr_assert_leq(faults_n_calls(FAULT_ACCEPT4) - n_calls, 30);
        cr_assert_geq(faults_n_calls(FAULT_ACCEPT4) - n_calls, 29);
        cr_assert_leq(faults_n_logged("cannot accept on"), LOG_LIMIT_BURST);
        faults_clear();
        lobby_advance(&lobby, 100);
        lobby_await_accepted(&lobby, 1);
        client_echo(client, "served");
        close(client);
        lobby_close(&lobby);
}

Test(acceptor_shortage, a_shortage_pauses_every_listener)
{
        struct lobby lobby;
        int clients[2];
        unsigned n_calls;

        lobby_init(&lobby);
        lobby_set_listeners(&lobby, 2, "127.0.0.1", 0, "127.0.0.2", 0);
        cr_assert_eq(lobby_apply(&lobby), 0);
        clients[0] = lobby_connect(&lobby);
        clients[1] = client_connect_to("127.0.0.2", lobby_port(&lobby, 1));
        faults_fail(FAULT_ACCEPT4, 1, 1, EMFILE);
        n_calls = faults_n_calls(FAULT_ACCEPT4);
        for (int ms = 0; ms < 99; ms++)
                lobby_advance(&lobby, 1);
        cr_assert_eq(faults_n_calls(FAULT_ACCEPT4) - n_calls, 1);
        lobby_advance(&lobby, 100);
        lobby_await_accepted(&lobby, 2);
        client_echo(clients[0], "served");
        client_echo(clients[1], "served");
        close(clients[0]);
        close(clients[1]);
        lobby_close(&lobby);
}

Test(acceptor_shortage, errors_of_one_client_do_not_pause_it)
{
        static const int errors[] = {ECONNABORTED, EPROTO, EINTR, ENETDOWN};
        struct lobby lobby;

        lobby_open(&lobby, 10);
        for (int i = 0; i < 4; i++) {
                faults_fail(FAULT_ACCEPT4, 1, 1, errors[i]);
                lobby_serve_one(&lobby);
                cr_assert(faults_have_struck());
        }
        cr_assert_eq(faults_n_logged("cannot accept"), 0);
        lobby_close(&lobby);
}

/* The client that was accepted already is reset; those behind it wait. */
Test(acceptor_shortage, no_memory_to_hand_a_client_over_is_a_shortage)
{
        struct lobby lobby;
        int clients[2];

        lobby_open(&lobby, 10);
        clients[0] = lobby_connect(&lobby);
        clients[1] = lobby_connect(&lobby);
        faults_fail(FAULT_REALLOC, 1, 1, ENOMEM);
        while (!faults_have_struck())
                lobby_turn(&lobby);
        client_expect_reset(clients[0]);
        lobby_turn_often(&lobby);
        cr_assert_eq(lobby.acceptor.n_accepted, 0);
        lobby_advance(&lobby, 100);
        lobby_await_accepted(&lobby, 1);
        client_echo(clients[1], "served");
        cr_assert_eq(faults_n_logged("cannot accept on"), 1);
        close(clients[0]);
        close(clients[1]);
        lobby_close(&lobby);
}
