/* Clients of the endpoint that are slow, stuck or too many. */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "booth.h"
#include "client.h"
#include "frozen_clock.h"
#include "stage.h"

/* A frozen clock, so that slowness can be met to the millisecond. */
TestSuite(metrics_clients, .timeout = HANG_S, .init = frozen_clock_begin, .fini = frozen_clock_end);

#define LIFETIME_MS 10000 /* of a connection */

/* Whether the connection has ended; bytes before that are dropped. */
static bool has_ended(int client)
{
        char bytes[4096];
        ssize_t n;

        booth_turn_often();
        do
                n = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT);
        while (n > 0);
        return n == 0 || errno != EAGAIN;
}

/* Turns until it has; no time passes. */
static void expect_end(int client)
{
        while (!has_ended(client))
                ;
}

Test(metrics_clients, who_says_nothing_is_gone_after_ten_seconds)
{
        int client;

        booth_open();
        client = booth_connect("127.0.0.1");
        cr_assert_not(has_ended(client));
        frozen_clock_advance(LIFETIME_MS - 1);
        cr_assert_not(has_ended(client));
        frozen_clock_advance(1);
        expect_end(client);
        close(client);
        booth_close();
}

/* A byte now and then is activity, but no request. */
Test(metrics_clients, who_asks_byte_by_byte_is_gone_after_ten_seconds)
{
        const char *request = GET("/metrics");
        int client;

        booth_open();
        client = booth_connect("127.0.0.1");
        for (unsigned i = 0; i < 9; i++) {
                client_send(client, request + i, 1);
                cr_assert_not(has_ended(client));
                frozen_clock_advance(LIFETIME_MS / 10);
        }
        client_send(client, request + 9, 1);
        cr_assert_not(has_ended(client));
        frozen_clock_advance(LIFETIME_MS / 10);
        expect_end(client);
        close(client);
        booth_close();
}

Test(metrics_clients, who_does_not_read_the_answer_is_gone_after_ten_seconds)
{
        ssize_t n = 1;
        int stuck;

        booth_open();
        booth.n_lines = 4 << 20; /* more than the kernel's buffers hold */
        stuck = client_connect_with_buffer(booth.port, 4096);
        booth_request(stuck, GET("/metrics"));
        while (booth.n_pages == 0)
                booth_turn();
        booth_turn_often();
        booth.n_lines = 1;
        booth_expect_status(booth_ask(GET("/metrics")), "200 ");
        frozen_clock_advance(LIFETIME_MS);
        booth_turn_often();
        while (n > 0)
                n = recv(stuck, (char[65536]){0}, 65536, 0);
        cr_assert(n == 0 || errno == ECONNRESET, "%s", strerror(errno));
        close(stuck);
        booth_close();
}

Test(metrics_clients, a_connection_ends_after_its_answer)
{
        int client;

        booth_open();
        client = client_connect(booth.port);
        client_send(client, GET("/healthz") GET("/healthz"), 2 * strlen(GET("/healthz")));
        expect_end(client);
        close(client);
        booth_close();
}

Test(metrics_clients, more_than_sixteen_wait_until_one_has_ended)
{
        int clients[METRICS_CONNECTIONS_MAX], late;

        booth_open();
        for (unsigned i = 0; i < METRICS_CONNECTIONS_MAX; i++) {
                clients[i] = booth_connect(i % 2 ? "127.0.0.2" : "127.0.0.3");
                booth_turn_often();
        }
        late = client_connect_from("127.0.0.4", booth.port);
        booth_request(late, GET("/healthz"));
        booth_turn_often();
        cr_assert_not(client_is_readable(late, 0));
        booth_expect_rest();
        close(clients[0]);
        booth_expect_status(booth_receive_all(late), "200 ");
        for (unsigned i = 1; i < METRICS_CONNECTIONS_MAX; i++) {
                cr_assert_not(has_ended(clients[i]));
                close(clients[i]);
        }
        booth_close();
}

Test(metrics_clients, one_address_gets_half_of_the_places)
{
        int clients[METRICS_CONNECTIONS_MAX / 2], another;

        booth_open();
        for (unsigned i = 0; i < METRICS_CONNECTIONS_MAX / 2; i++) {
                clients[i] = booth_connect("127.0.0.1");
                booth_turn_often();
        }
        another = client_connect(booth.port);
        expect_end(another);
        close(another);
        another = client_connect_from("127.0.0.2", booth.port);
        booth_request(another, GET("/healthz"));
        booth_expect_status(booth_receive_all(another), "200 ");
        for (unsigned i = 0; i < METRICS_CONNECTIONS_MAX / 2; i++)
                close(clients[i]);
        booth_close();
}

Test(metrics_clients, who_comes_while_another_is_answered_need_not_wait)
{
        booth_open();
        booth.comes_next = true;
        booth_expect_status(booth_ask(GET("/metrics")), "200 ");
        cr_assert_geq(booth.next_client, 0);
        /* No time passes. */
        booth_request(booth.next_client, GET("/healthz"));
        booth_expect_status(booth_receive_all(booth.next_client), "200 ");
        booth_close();
}

Test(metrics_clients, without_descriptors_the_loop_rests_and_tries_again)
{
        struct rlimit before, none;
        int client;

        booth_open();
        client = booth_connect("127.0.0.1");
        booth_request(client, GET("/healthz"));
        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
        booth_turn_often();
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        booth_expect_rest();
        cr_assert_not(client_is_readable(client, 0));
        frozen_clock_advance(100);
        booth_expect_status(booth_receive_all(client), "200 ");
        booth_close();
}

Test(metrics_clients, closing_does_not_wait_for_anybody)
{
        int silent, asking;

        booth_open();
        silent = client_connect(booth.port);
        asking = client_connect(booth.port);
        client_send(asking, "GET /m", 6);
        booth_turn_often();
        metrics_close(booth.metrics);
        expect_end(silent);
        expect_end(asking);
        close(silent);
        close(asking);
        booth_close_loop();
}
