#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "porch.h"
#include "stage.h"

TestSuite(listener, .timeout = HANG_S);

static int option_of(int descriptor, int level, int option)
{
        int value = -1;

        cr_assert_eq(getsockopt(descriptor, level, option, &value, &(socklen_t){sizeof(value)}), 0);
        return value;
}

/* Expects that the accepted ones are these clients, in this order. */
static void expect_order(const struct porch *porch, const int *clients, unsigned n)
{
        cr_assert_eq(porch->n_accepted, n);
        for (unsigned i = 0; i < n; i++) {
                struct sockaddr_in address;
                socklen_t length = sizeof(address);

                cr_assert_eq(getsockname(clients[i], (struct sockaddr *)&address, &length), 0);
                cr_assert_eq(porch->peers[i].port, ntohs(address.sin_port), "not the %u-th", i);
        }
}

static void close_all(const int *clients, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                close(clients[i]);
}

static void open_and_close(void *user)
{
        struct porch *porch = user;
        const struct listener_options options = porch_ipv4();
        int r = porch_try(porch, &options);

        cr_assert_eq(r < 0, faults_have_struck());
        if (r == 0)
                listener_close(porch->listener);
        cr_assert(!poller_turn(&porch->poller, true), "something is left in the loop");
}

Test(listener, each_call_that_fails_at_open_leaves_nothing)
{
        struct porch porch;

        porch_init(&porch);
        faults_force_each(open_and_close, &porch);
        porch_close(&porch);
}

Test(listener, accepts_and_names_the_peer)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;
        char expected[64];
        int client;

        porch_init(&porch);
        porch_open(&porch, &options);
        snprintf(expected, sizeof(expected), "127.0.0.1:%u", porch_port(&porch));
        cr_assert_str_eq(porch.listener->name, expected);
        client = client_connect_from("127.0.0.7", porch_port(&porch));
        porch_await(&porch, 1);
        cr_assert_eq(porch.peers[0].family, AF_INET);
        cr_assert_arr_eq(porch.peers[0].ip, "\x7f\0\0\7", 4);
        cr_assert(fcntl(porch.accepted[0], F_GETFL) & O_NONBLOCK);
        cr_assert(fcntl(porch.accepted[0], F_GETFD) & FD_CLOEXEC);
        close(client);
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener, accepted_sockets_have_the_options)
{
        struct listener_options options = porch_ipv4();
        struct porch porch;
        int client, accepted;

        options.keepalive_idle_s = 77;
        options.keepalive_interval_s = 11;
        options.keepalive_count = 3;
        porch_init(&porch);
        porch_open(&porch, &options);
        client = client_connect(porch_port(&porch));
        porch_await(&porch, 1);
        accepted = porch.accepted[0];
        cr_assert_eq(option_of(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
        cr_assert_eq(option_of(accepted, SOL_SOCKET, SO_OOBINLINE), 1);
        cr_assert_eq(option_of(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
        cr_assert_eq(option_of(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 77);
        cr_assert_eq(option_of(accepted, IPPROTO_TCP, TCP_KEEPINTVL), 11);
        cr_assert_eq(option_of(accepted, IPPROTO_TCP, TCP_KEEPCNT), 3);
        close(client);
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener, options_that_change_hold_for_the_next_client)
{
        struct listener_options options = porch_ipv4();
        struct porch porch;
        int client;

        porch_init(&porch);
        porch_open(&porch, &options);
        options.tcp_nodelay = false;
        options.backlog = 5;
        cr_assert_eq(listener_reconfigure(porch.listener, &options), 0);
        client = client_connect(porch_port(&porch));
        porch_await(&porch, 1);
        cr_assert_eq(option_of(porch.accepted[0], IPPROTO_TCP, TCP_NODELAY), 0);
        cr_assert_eq(option_of(porch.accepted[0], SOL_SOCKET, SO_KEEPALIVE), 0);
        close(client);
        listener_close(porch.listener);
        porch_close(&porch);
}

static void reconfigure(void *user)
{
        struct porch *porch = user;
        struct listener_options before = porch->listener->options, options = before;
        int r;

        options.backlog = before.backlog + 1;
        r = listener_reconfigure(porch->listener, &options);
        cr_assert_eq(r < 0, faults_have_struck());
        cr_assert_eq(porch->listener->options.backlog, before.backlog + (r == 0));
}

Test(listener, each_call_that_fails_at_a_change_of_options_keeps_it_listening)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;
        int client;

        porch_init(&porch);
        porch_open(&porch, &options);
        faults_force_each(reconfigure, &porch);
        client = client_connect(porch_port(&porch));
        porch_await(&porch, 1);
        close(client);
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener, both_families_share_a_port)
{
        struct listener_options options = porch_ipv4();
        struct porch v4, v6;
        uint16_t port;
        int r;

        porch_init(&v4);
        porch_open(&v4, &options);
        port = porch_port(&v4);
        porch_init(&v6);
        cr_assert_eq(address_parse(&options.address, "::", port), 0);
        r = porch_try(&v6, &options);
        if (r == 0) {
                int client = client_connect_to("::1", port);

                listener_resume(v6.listener);
                porch_await(&v6, 1);
                cr_assert_eq(v6.peers[0].family, AF_INET6);
                close(client);
                listener_close(v6.listener);
        } else {
                cr_assert_eq(r, -EAFNOSUPPORT); /* a machine without IPv6 */
        }
        porch_close(&v6);
        listener_close(v4.listener);
        porch_close(&v4);
}

Test(listener, an_address_in_use_is_refused)
{
        struct listener_options options = porch_ipv4();
        struct porch porch, second;

        porch_init(&porch);
        porch_open(&porch, &options);
        options.address.port = porch_port(&porch);
        porch_init(&second);
        cr_assert_eq(porch_try(&second, &options), -EADDRINUSE);
        porch_close(&second);
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener, who_comes_while_it_is_paused_is_accepted_in_order_afterwards)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;
        int clients[5];

        porch_init(&porch);
        porch_open(&porch, &options);
        listener_pause(porch.listener);
        for (int i = 0; i < 5; i++)
                clients[i] = porch_connect(&porch);
        for (int i = 0; i < 10; i++)
                porch_turn(&porch);
        cr_assert_eq(porch.n_accepted, 0);
        listener_resume(porch.listener);
        listener_resume(porch.listener); /* does no harm */
        porch_await(&porch, 5);
        expect_order(&porch, clients, 5);
        close_all(clients, 5);
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener, a_pause_takes_effect_after_the_client_that_caused_it)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;
        int clients[6];

        porch_init(&porch);
        porch_open(&porch, &options);
        porch.pause_after = 2;
        for (int i = 0; i < 6; i++)
                clients[i] = porch_connect(&porch);
        for (int i = 0; i < 10; i++)
                porch_turn(&porch);
        cr_assert_eq(porch.n_accepted, 2);
        listener_resume(porch.listener);
        porch_await(&porch, 6);
        expect_order(&porch, clients, 6);
        close_all(clients, 6);
        listener_close(porch.listener);
        porch_close(&porch);
}

/* A flood of clients does not keep the loop from its other work. */
Test(listener, accepts_a_bounded_number_in_one_turn)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;
        int clients[150];

        porch_init(&porch);
        porch_open(&porch, &options);
        for (int i = 0; i < 150; i++)
                clients[i] = porch_connect(&porch);
        porch_turn(&porch);
        cr_assert_gt(porch.n_accepted, 0);
        cr_assert_lt(porch.n_accepted, 150);
        porch_await(&porch, 150);
        expect_order(&porch, clients, 150);
        close_all(clients, 150);
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener, errors_of_one_client_do_not_stop_the_next)
{
        static const int errors[] = {ECONNABORTED, EINTR,       EPROTO, ENETDOWN,
                                     ENOPROTOOPT,  EHOSTDOWN,   ENONET, EHOSTUNREACH,
                                     EOPNOTSUPP,   ENETUNREACH, EPERM};
        const struct listener_options options = porch_ipv4();
        struct porch porch;
        unsigned n_calls;

        porch_init(&porch);
        porch_open(&porch, &options);
        for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                int client = client_connect(porch_port(&porch));

                faults_fail(FAULT_ACCEPT4, 1, 3, errors[i]);
                n_calls = faults_n_calls(FAULT_ACCEPT4);
                porch_await(&porch, i + 1);
                cr_assert(faults_have_struck());
                cr_assert_leq(faults_n_calls(FAULT_ACCEPT4) - n_calls, 5, "it spins");
                close(client);
        }
        cr_assert_eq(porch.n_shortages, 0);
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener, a_shortage_is_told_and_nobody_is_lost)
{
        static const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS};
        const struct listener_options options = porch_ipv4();
        struct porch porch;

        porch_init(&porch);
        porch_open(&porch, &options);
        for (unsigned i = 0; i < 4; i++) {
                int client = client_connect(porch_port(&porch));

                faults_fail(FAULT_ACCEPT4, 1, 1, errors[i]);
                while (porch.n_shortages < i + 1)
                        porch_turn(&porch);
                cr_assert_eq(porch.shortage, -errors[i]);
                cr_assert_eq(porch.n_accepted, i);
                listener_resume(porch.listener);
                porch_await(&porch, i + 1);
                close(client);
        }
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener, a_retired_one_with_nobody_waiting_may_be_closed_at_once)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;

        porch_init(&porch);
        porch_open(&porch, &options);
        cr_assert(listener_retire(porch.listener, false));
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener, a_retired_one_first_serves_its_queue)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;
        int clients[100];

        porch_init(&porch);
        porch_open(&porch, &options);
        for (int i = 0; i < 100; i++)
                clients[i] = porch_connect(&porch);
        cr_assert(!listener_retire(porch.listener, false));
        porch.pause_after = 10;
        for (int i = 0; i < 10; i++)
                porch_turn(&porch);
        cr_assert_eq(porch.n_accepted, 10);
        cr_assert_eq(porch.n_retired, 0);
        listener_resume(porch.listener);
        while (porch.n_retired == 0)
                porch_turn(&porch);
        expect_order(&porch, clients, 100);
        close_all(clients, 100);
        porch_close(&porch);
}

Test(listener, a_shortage_does_not_make_a_retired_one_forget_its_queue)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;
        int clients[3];

        porch_init(&porch);
        porch_open(&porch, &options);
        for (int i = 0; i < 3; i++)
                clients[i] = porch_connect(&porch);
        cr_assert(!listener_retire(porch.listener, false));
        faults_fail(FAULT_ACCEPT4, 2, 1, EMFILE);
        while (porch.n_shortages == 0)
                porch_turn(&porch);
        cr_assert_eq(porch.n_retired, 0);
        listener_resume(porch.listener);
        while (porch.n_retired == 0)
                porch_turn(&porch);
        expect_order(&porch, clients, 3);
        close_all(clients, 3);
        porch_close(&porch);
}

Test(listener, finish_accepts_the_queue_of_a_paused_one)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;
        int clients[100];

        porch_init(&porch);
        porch_open(&porch, &options);
        listener_pause(porch.listener);
        for (int i = 0; i < 100; i++)
                clients[i] = porch_connect(&porch);
        listener_finish(porch.listener);
        expect_order(&porch, clients, 100);
        close_all(clients, 100);
        porch_close(&porch);
}
