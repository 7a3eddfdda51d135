/* Limits on each source. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "connection_freeze.h"
#include "faults.h"
#include "frozen_clock.h"
#include "lobby.h"
#include "stage.h"

/* A frozen clock, so that rates can be met to the millisecond. The workers' loops see it too. */
TestSuite(acceptor_sources, .timeout = HANG_S, .init = frozen_clock_begin,
          .fini = frozen_clock_end);

static void limit(struct lobby *lobby, unsigned max_connections, double rate)
{
        lobby->config.max_connections_per_source = max_connections;
        lobby->config.connection_rate_per_source = rate;
        cr_assert_eq(lobby_apply(lobby), 0);
}

static void open_limited(struct lobby *lobby, unsigned max_connections, double rate)
{
        lobby_open(lobby, 1000);
        limit(lobby, max_connections, rate);
}

static int connect_from(struct lobby *lobby, const char *source)
{
        return client_connect_from(source, lobby_port(lobby, 0));
}

/* One that is served, and stays. */
static int enter(struct lobby *lobby, const char *source)
{
        uint64_t n = lobby->acceptor.n_accepted;
        int client = connect_from(lobby, source);

        lobby_await_accepted(lobby, n + 1);
        client_echo(client, "served");
        return client;
}

static void expect_refused(struct lobby *lobby, const char *source, enum admission_verdict verdict)
{
        uint64_t n = lobby->acceptor.n_refused[verdict];
        int client = connect_from(lobby, source);

        lobby_await_refused(lobby, verdict, n + 1);
        client_expect_reset(client);
        close(client);
}

Test(acceptor_sources, resets_counts_and_names_who_is_over_the_limit)
{
        struct lobby lobby;
        int first, other;

        open_limited(&lobby, 1, 0);
        first = enter(&lobby, "127.0.0.2");
        expect_refused(&lobby, "127.0.0.2", REFUSED_SOURCE_LIMIT);
        other = enter(&lobby, "127.0.0.3");
        cr_assert_eq(lobby.acceptor.n_refused[REFUSED_SOURCE_LIMIT], 1);
        cr_assert_eq(faults_n_logged("reason=source_limit"), 1);
        lobby_leave(&lobby, first);
        first = enter(&lobby, "127.0.0.2");
        lobby_leave(&lobby, first);
        lobby_leave(&lobby, other);
        lobby_close(&lobby);
}

Test(acceptor_sources, who_sees_the_end_of_a_connection_may_come_again_at_once)
{
        struct lobby lobby;

        open_limited(&lobby, 1, 0);
        for (int i = 0; i < 200; i++) {
                int client = enter(&lobby, "127.0.0.2");

                client_half_close(client);
                client_expect_eof(client);
                close(client);
        }
        lobby_await_load(&lobby, 0);
        lobby_close(&lobby);
}

Test(acceptor_sources, who_comes_too_fast_is_reset_and_gets_in_at_the_rate)
{
        struct lobby lobby;

        open_limited(&lobby, 0, 2);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        for (int i = 0; i < 5; i++) {
                expect_refused(&lobby, "127.0.0.2", REFUSED_SOURCE_RATE);
                lobby_advance(&lobby, 499);
                expect_refused(&lobby, "127.0.0.2", REFUSED_SOURCE_RATE);
                lobby_advance(&lobby, 1);
                lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        }
        lobby_leave(&lobby, enter(&lobby, "127.0.0.3"));
        cr_assert_eq(faults_n_logged("reason=source_rate"), 10);
        lobby_close(&lobby);
}

Test(acceptor_sources, without_a_limit_nobody_is_known)
{
        struct lobby lobby;
        int client;

        lobby_open(&lobby, 10);
        client = enter(&lobby, "127.0.0.2");
        cr_assert_eq(lobby.acceptor.sources.n_sources, 0);
        lobby_leave(&lobby, client);
        lobby_close(&lobby);
}

Test(acceptor_sources, a_limit_counts_those_who_were_there_before_it)
{
        enum { N = 7 };
        struct lobby lobby;
        int clients[N], other;

        lobby_open(&lobby, 1000);
        for (int i = 0; i < N; i++)
                clients[i] = enter(&lobby, "127.0.0.2");
        limit(&lobby, N, 0);
        cr_assert_eq(lobby.acceptor.sources.n_sources, 1);
        expect_refused(&lobby, "127.0.0.2", REFUSED_SOURCE_LIMIT);
        other = enter(&lobby, "127.0.0.3");
        lobby_leave(&lobby, clients[0]);
        clients[0] = enter(&lobby, "127.0.0.2");
        expect_refused(&lobby, "127.0.0.2", REFUSED_SOURCE_LIMIT);
        for (int i = 0; i < N; i++)
                lobby_leave(&lobby, clients[i]);
        lobby_leave(&lobby, other);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        lobby_close(&lobby);
}

Test(acceptor_sources, a_limit_that_comes_again_counts_nobody_twice)
{
        struct lobby lobby;
        int first, second;

        open_limited(&lobby, 5, 0);
        first = enter(&lobby, "127.0.0.2");
        limit(&lobby, 0, 0);
        second = enter(&lobby, "127.0.0.2");
        limit(&lobby, 3, 0);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        lobby_leave(&lobby, first);
        lobby_leave(&lobby, second);
        limit(&lobby, 1, 0);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        lobby_close(&lobby);
}

Test(acceptor_sources, without_memory_to_count_those_who_are_there_it_says_how_many)
{
        struct lobby lobby;
        int clients[3];

        lobby_open(&lobby, 1000);
        for (int i = 0; i < 3; i++)
                clients[i] = enter(&lobby, "127.0.0.2");
        faults_fail(FAULT_REALLOC, 1, 2, ENOMEM);
        limit(&lobby, 1, 0);
        cr_assert_eq(faults_n_logged("out of memory, 2 open connections are not counted"), 1);
        expect_refused(&lobby, "127.0.0.2", REFUSED_SOURCE_LIMIT); /* the third one was */
        for (int i = 0; i < 3; i++)
                lobby_leave(&lobby, clients[i]);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        lobby_close(&lobby);
}

Test(acceptor_sources, where_nobody_can_be_counted_the_limit_holds_for_who_comes)
{
        struct lobby lobby;
        int before, client;

        lobby_open(&lobby, 1000);
        before = enter(&lobby, "127.0.0.2");
        faults_fail(FAULT_UV_SEM_INIT, 1, 1, EAGAIN);
        limit(&lobby, 1, 0);
        cr_assert_eq(faults_n_logged("open connections are not counted"), 1);
        client = enter(&lobby, "127.0.0.2");
        expect_refused(&lobby, "127.0.0.2", REFUSED_SOURCE_LIMIT);
        lobby_leave(&lobby, before);
        lobby_leave(&lobby, client);
        lobby_close(&lobby);
}

Test(acceptor_sources, without_memory_for_a_source_it_pauses)
{
        struct lobby lobby;
        int client;

        open_limited(&lobby, 1, 0);
        faults_fail(FAULT_MMAP, 1, 1, ENOMEM);
        client = connect_from(&lobby, "127.0.0.2");
        while (!faults_have_struck())
                lobby_turn(&lobby);
        client_expect_reset(client);
        close(client);
        cr_assert_eq(faults_n_logged("cannot accept on 127.0.0.1:"), 1);
        cr_assert_eq(lobby.acceptor.n_accepted, 0);
        lobby_advance(&lobby, 100);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        lobby_close(&lobby);
}

Test(acceptor_sources, who_cannot_be_handed_over_does_not_count)
{
        struct lobby lobby;
        int client;

        open_limited(&lobby, 1, 0);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.3")); /* the table has what it needs */
        faults_fail(FAULT_REALLOC, 1, 1, ENOMEM);
        client = connect_from(&lobby, "127.0.0.2");
        while (!faults_have_struck())
                lobby_turn(&lobby);
        client_expect_reset(client);
        close(client);
        lobby_advance(&lobby, 100);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        lobby_close(&lobby);
}

Test(acceptor_sources, who_is_dropped_by_the_worker_does_not_count)
{
        struct lobby lobby;
        int client;

        open_limited(&lobby, 1, 0);
        faults_fail(FAULT_EPOLL_CTL, 1, 1, ENOSPC);
        client = connect_from(&lobby, "127.0.0.2");
        lobby_await_accepted(&lobby, 1);
        client_expect_reset(client);
        close(client);
        lobby_await_load(&lobby, 0);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.2"));
        lobby_close(&lobby);
}

static struct frozen *freeze(int descriptor)
{
        struct frozen *frozen = calloc(1, sizeof(*frozen));

        cr_assert_not_null(frozen);
        frozen->arrival = (struct arrival){
                .descriptor = descriptor,
                .peer = {.family = AF_INET, .ip = {127, 0, 0, 1}},
                .listener = "127.0.0.1:7",
                .frozen = frozen,
        };
        echo_init(&frozen->echo);
        return frozen;
}

static void expect_readmitted(unsigned max_connections)
{
        struct lobby lobby;
        int before, pair[2];

        open_limited(&lobby, max_connections, 0.001);
        before = enter(&lobby, "127.0.0.1");
        tcp_pair(pair);
        cr_assert_eq(acceptor_readmit(&lobby.acceptor, freeze(pair[1])), 0);
        client_echo(pair[0], "served");
        cr_assert_eq(lobby.acceptor.n_accepted, 1);
        limit(&lobby, 2, 0);
        expect_refused(&lobby, "127.0.0.1", REFUSED_SOURCE_LIMIT);
        lobby_leave(&lobby, pair[0]);
        lobby_leave(&lobby, enter(&lobby, "127.0.0.1"));
        lobby_leave(&lobby, before);
        lobby_close(&lobby);
}

Test(acceptor_sources, who_is_readmitted_is_not_asked_but_counts)
{
        expect_readmitted(1);
}

Test(acceptor_sources, who_is_readmitted_counts_as_soon_as_there_is_a_limit)
{
        expect_readmitted(0);
}

Test(acceptor_sources, who_cannot_be_readmitted_does_not_count)
{
        struct lobby lobby;
        int pair[2];

        open_limited(&lobby, 1, 0);
        for (unsigned nth = 1; nth <= 2; nth++) { /* the table's buckets, and the mailbox */
                tcp_pair(pair);
                faults_fail(FAULT_REALLOC, nth, 1, ENOMEM);
                cr_assert_eq(acceptor_readmit(&lobby.acceptor, freeze(pair[1])), -ENOMEM);
                client_expect_reset(pair[0]);
                close(pair[0]);
        }
        lobby_leave(&lobby, enter(&lobby, "127.0.0.1"));
        lobby_close(&lobby);
}

Test(acceptor_sources, connections_that_are_reset_at_the_end_are_counted_out)
{
        struct lobby lobby;
        int clients[5];

        open_limited(&lobby, 5, 0.5);
        for (int i = 0; i < 5; i++) {
                clients[i] = enter(&lobby, "127.0.0.2");
                lobby_advance(&lobby, 2000);
        }
        lobby.n_descriptors += 5; /* the clients' own */
        lobby_close(&lobby);      /* expects that no source is left, and no memory */
        for (int i = 0; i < 5; i++)
                close(clients[i]);
}

/* Two workers' threads count out while the main thread counts in. */
Test(acceptor_sources, the_counts_are_exact_however_connections_come_and_go)
{
        enum { SOURCES = 4, N = 3, ROUNDS = 150 };
        struct lobby lobby;
        int clients[SOURCES][N];
        char source[SOURCES][16];

        open_limited(&lobby, N, 0);
        for (int i = 0; i < SOURCES; i++) {
                snprintf(source[i], sizeof(source[i]), "127.0.0.%d", i + 2);
                for (int j = 0; j < N; j++)
                        clients[i][j] = enter(&lobby, source[i]);
        }
        for (int round = 0; round < ROUNDS; round++) {
                int i = round % SOURCES, j = round % N;

                client_half_close(clients[i][j]);
                client_expect_eof(clients[i][j]);
                close(clients[i][j]);
                clients[i][j] = enter(&lobby, source[i]);
        }
        for (int i = 0; i < SOURCES; i++)
                expect_refused(&lobby, source[i], REFUSED_SOURCE_LIMIT);
        cr_assert_eq(lobby.acceptor.n_refused[REFUSED_SOURCE_LIMIT], SOURCES);
        for (int i = 0; i < SOURCES * N; i++)
                lobby_leave(&lobby, clients[i / N][i % N]);
        lobby_close(&lobby);
}
