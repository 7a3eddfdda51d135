/* The endpoint on a loop that the test turns itself, with clients that behave, or do not. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "handed.h"
#include "inherited.h"
#include "metrics.h"
#include "stage.h"

static void end_clock(void)
{
        frozen_clock_end();
}

/* A frozen clock, so that slowness can be met to the millisecond. */
TestSuite(metrics, .timeout = HANG_S, .init = frozen_clock_begin, .fini = end_clock);

#define LIFETIME_MS 10000 /* of a connection */

static uv_loop_t loop;
static struct metrics *metrics;
static uint16_t port;
static unsigned n_descriptors, n_pages;
static size_t n_lines = 1; /* of the page */
static bool is_ready = true, is_page_missing;
static int next_client = -1; /* who comes while a page is written */
static bool comes_next;

static int on_page(void *user, struct exposition *exposition)
{
        cr_assert_eq(user, &loop);
        if (comes_next)
                next_client = client_connect(port);
        comes_next = false;
        n_pages++;
        if (is_page_missing)
                return -ENOMEM;
        exposition_family(exposition, "x", "gauge", "A number.");
        for (size_t i = 0; i < n_lines; i++)
                exposition_value(exposition, 1);
        return 0;
}

static bool on_readiness(void *user)
{
        cr_assert_eq(user, &loop);
        return is_ready;
}

static const struct metrics_events EVENTS = {.write = on_page, .is_ready = on_readiness};

static void begin_loop(void)
{
        warm_up();
        n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&loop), 0);
}

static int try_to_open(const char *address)
{
        char problem[METRICS_PROBLEM_MAX] = "";
        const struct metrics_options options = {.address = address};
        int r = metrics_open(&metrics, &loop, &options, &EVENTS, &loop, problem);

        cr_assert_eq(r < 0, problem[0] != '\0', "%s", problem);
        return r;
}

static void begin(void)
{
        begin_loop();
        cr_assert_eq(try_to_open("127.0.0.1"), 0);
        port = (uint16_t)atoi(strrchr(metrics_name(metrics), ':') + 1);
}

static void end_loop(void)
{
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert_eq(uv_loop_close(&loop), 0);
        cr_assert_eq(count_descriptors(), n_descriptors);
        expect_no_leaks();
}

static void end(void)
{
        metrics_close(metrics);
        end_loop();
}

static void turn(void)
{
        uv_run(&loop, UV_RUN_NOWAIT);
}

static void turn_often(void)
{
        for (unsigned i = 0; i < 100; i++)
                turn();
}

static void await_readable(int client)
{
        while (!client_is_readable(client, 0))
                turn();
}

/* All that comes until the end, or a reset, which there must not be unless allowed. */
static const char *receive_all(int client)
{
        static char text[1 << 16];
        size_t length = 0;
        ssize_t n;

        do {
                await_readable(client);
                n = recv(client, text + length, sizeof(text) - 1 - length, 0);
                cr_assert_geq(n, 0, "recv: %s", strerror(errno));
                length += (size_t)n;
        } while (n > 0);
        text[length] = '\0';
        close(client);
        return text;
}

static const char *ask(const char *request)
{
        int client = client_connect(port);

        client_send(client, request, strlen(request));
        return receive_all(client);
}

static void expect_status(const char *answer, const char *status)
{
        cr_assert_eq(strncmp(answer + strlen("HTTP/1.1 "), status, strlen(status)), 0, "%s",
                     answer);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

Test(metrics, a_page_has_the_content_type_of_the_format)
{
        const char *answer;

        begin();
        answer = ask(GET("/metrics"));
        expect_status(answer, "200 ");
        cr_assert(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        cr_assert(strstr(answer, "\r\n\r\n# HELP x A number.\n# TYPE x gauge\nx 1\n"));
        end();
}

Test(metrics, head_has_the_headers_and_no_page)
{
        const char *answer;

        begin();
        answer = ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        expect_status(answer, "200 ");
        cr_assert(strstr(answer, "\r\nContent-Length: "));
        cr_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
        end();
}

Test(metrics, http_1_0_is_served)
{
        begin();
        cr_assert(strstr(ask("GET /metrics HTTP/1.0\r\n\r\n"), "x 1\n"));
        end();
}

Test(metrics, it_is_alive_whether_ready_or_not)
{
        begin();
        is_ready = false;
        expect_status(ask(GET("/healthz")), "200 ");
        end();
}

Test(metrics, readiness_is_asked_for_each_time)
{
        begin();
        expect_status(ask(GET("/readyz")), "200 ");
        is_ready = false;
        expect_status(ask(GET("/readyz")), "503 ");
        is_ready = true;
        expect_status(ask(GET("/readyz")), "200 ");
        end();
}

Test(metrics, whatever_else_is_not_found)
{
        begin();
        expect_status(ask(GET("/")), "404 ");
        expect_status(ask(GET("/metrics/")), "404 ");
        expect_status(ask(GET("/metricsx")), "404 ");
        expect_status(ask(GET("/METRICS")), "404 ");
        expect_status(ask(GET("/healthz/../metrics")), "404 ");
        cr_assert_eq(n_pages, 0);
        end();
}

Test(metrics, a_query_does_not_matter)
{
        begin();
        expect_status(ask(GET("/metrics?name=value")), "200 ");
        end();
}

static void expect_not_allowed(const char *request)
{
        const char *answer = ask(request);

        expect_status(answer, "405 ");
        cr_assert(strstr(answer, "\r\nAllow: GET, HEAD\r\n"), "%s", answer);
}

Test(metrics, only_get_and_head_are_allowed)
{
        begin();
        expect_not_allowed("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        expect_not_allowed("PUT /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        expect_not_allowed("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        expect_not_allowed("OPTIONS /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        expect_not_allowed("NONSENSE /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert_eq(n_pages, 0);
        end();
}

/* A request whose line or header is filled up to so many bytes. */
static const char *long_request(const char *before, const char *after, size_t length)
{
        static char request[1 << 16];

        cr_assert_lt(length, sizeof(request) - 100);
        strcpy(request, before);
        memset(request + strlen(before), 'a', length);
        strcpy(request + strlen(before) + length, after);
        return request;
}

Test(metrics, a_long_request_line_is_414)
{
        begin();
        expect_status(ask(long_request("GET /", " HTTP/1.1\r\nHost: x\r\n\r\n", 8192)), "414 ");
        end();
}

Test(metrics, long_headers_are_431)
{
        begin();
        expect_status(
                ask(long_request("GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", "\r\n\r\n", 8192)),
                "431 ");
        cr_assert_eq(n_pages, 0);
        end();
}

Test(metrics, headers_of_ordinary_length_are_not)
{
        begin();
        expect_status(
                ask(long_request("GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", "\r\n\r\n", 3000)),
                "200 ");
        end();
}

Test(metrics, nonsense_is_answered_or_closed_and_does_no_harm)
{
        static const char *const requests[] = {"\r\n\r\n\r\n\r\n", "GET\r\n\r\n",
                                               "\x16\x03\x01\x02", "GET /metrics HTTP/9.9\r\n\r\n",
                                               "\0\0\0"};

        begin();
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
                int client = client_connect(port);

                client_send(client, requests[i], strlen(requests[i]) + 1);
                client_half_close(client);
                turn_often();
                close(client);
        }
        expect_status(ask(GET("/metrics")), "200 ");
        end();
}

/* Whether the connection has ended; bytes before that are dropped. */
static bool has_ended(int client)
{
        char bytes[4096];
        ssize_t n;

        turn_often();
        do
                n = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT);
        while (n > 0);
        return n == 0 || errno != EAGAIN;
}

Test(metrics, who_says_nothing_is_gone_after_ten_seconds)
{
        int client;

        begin();
        client = client_connect(port);
        cr_assert_not(has_ended(client));
        frozen_clock_advance(LIFETIME_MS - 1);
        cr_assert_not(has_ended(client));
        frozen_clock_advance(1);
        cr_assert(has_ended(client));
        close(client);
        end();
}

/* A byte now and then is activity, but no request. */
Test(metrics, who_asks_byte_by_byte_is_gone_after_ten_seconds)
{
        const char *request = GET("/metrics");
        int client;

        begin();
        client = client_connect(port);
        for (unsigned i = 0; i < 9; i++) {
                client_send(client, request + i, 1);
                cr_assert_not(has_ended(client));
                frozen_clock_advance(LIFETIME_MS / 10);
        }
        client_send(client, request + 9, 1);
        cr_assert_not(has_ended(client));
        frozen_clock_advance(LIFETIME_MS / 10);
        cr_assert(has_ended(client));
        close(client);
        end();
}

Test(metrics, who_does_not_read_the_answer_is_gone_after_ten_seconds)
{
        int stuck;

        begin();
        n_lines = 4 << 20; /* more than the kernel's buffers hold */
        stuck = client_connect_with_buffer(port, 4096);
        client_send(stuck, GET("/metrics"), strlen(GET("/metrics")));
        while (n_pages == 0)
                turn();
        turn_often();
        n_lines = 1;
        expect_status(ask(GET("/metrics")), "200 ");
        frozen_clock_advance(LIFETIME_MS);
        turn_often();
        while (recv(stuck, (char[65536]){0}, 65536, 0) > 0)
                ;
        close(stuck);
        end();
}

Test(metrics, a_connection_ends_after_its_answer)
{
        int client;

        begin();
        client = client_connect(port);
        client_send(client, GET("/healthz") GET("/healthz"), 2 * strlen(GET("/healthz")));
        cr_assert(has_ended(client));
        close(client);
        end();
}

Test(metrics, more_than_sixteen_wait_until_one_has_ended)
{
        int clients[METRICS_CONNECTIONS_MAX], late;

        begin();
        for (unsigned i = 0; i < METRICS_CONNECTIONS_MAX; i++) {
                clients[i] = client_connect_from(i % 2 ? "127.0.0.2" : "127.0.0.3", port);
                turn_often();
        }
        late = client_connect_from("127.0.0.4", port);
        client_send(late, GET("/healthz"), strlen(GET("/healthz")));
        turn_often();
        cr_assert_not(client_is_readable(late, 0));
        cr_assert_eq(poll(&(struct pollfd){.fd = uv_backend_fd(&loop), .events = POLLIN}, 1, 0), 0,
                     "the loop spins");
        close(clients[0]);
        expect_status(receive_all(late), "200 ");
        for (unsigned i = 1; i < METRICS_CONNECTIONS_MAX; i++) {
                cr_assert_not(has_ended(clients[i]));
                close(clients[i]);
        }
        end();
}

Test(metrics, one_address_gets_half_of_the_places)
{
        int clients[METRICS_CONNECTIONS_MAX / 2], another;

        begin();
        for (unsigned i = 0; i < METRICS_CONNECTIONS_MAX / 2; i++) {
                clients[i] = client_connect(port);
                turn_often();
        }
        another = client_connect(port);
        cr_assert(has_ended(another));
        close(another);
        another = client_connect_from("127.0.0.2", port);
        client_send(another, GET("/healthz"), strlen(GET("/healthz")));
        expect_status(receive_all(another), "200 ");
        for (unsigned i = 0; i < METRICS_CONNECTIONS_MAX / 2; i++)
                close(clients[i]);
        end();
}

Test(metrics, who_comes_while_another_is_answered_need_not_wait)
{
        begin();
        comes_next = true;
        expect_status(ask(GET("/metrics")), "200 ");
        cr_assert_geq(next_client, 0);
        /* No time passes. */
        client_send(next_client, GET("/healthz"), strlen(GET("/healthz")));
        expect_status(receive_all(next_client), "200 ");
        end();
}

Test(metrics, without_descriptors_the_loop_rests_and_tries_again)
{
        struct rlimit before, none;
        int client;

        begin();
        client = client_connect(port);
        client_send(client, GET("/healthz"), strlen(GET("/healthz")));
        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
        turn_often();
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        cr_assert_eq(poll(&(struct pollfd){.fd = uv_backend_fd(&loop), .events = POLLIN}, 1, 0), 0,
                     "the loop spins");
        cr_assert_not(client_is_readable(client, 0));
        frozen_clock_advance(100);
        expect_status(receive_all(client), "200 ");
        end();
}

Test(metrics, a_page_that_is_missing_is_503)
{
        begin();
        is_page_missing = true;
        expect_status(ask(GET("/metrics")), "503 ");
        is_page_missing = false;
        expect_status(ask(GET("/metrics")), "200 ");
        end();
}

Test(metrics, a_page_without_memory_is_503)
{
        begin();
        faults_fail(FAULT_REALLOC, 1, 1, ENOMEM);
        expect_status(ask(GET("/metrics")), "503 ");
        cr_assert(faults_have_struck());
        expect_status(ask(GET("/metrics")), "200 ");
        end();
}

Test(metrics, closing_does_not_wait_for_anybody)
{
        int silent, asking;

        begin();
        silent = client_connect(port);
        asking = client_connect(port);
        client_send(asking, "GET /m", 6);
        turn_often();
        metrics_close(metrics);
        cr_assert(has_ended(silent));
        cr_assert(has_ended(asking));
        close(silent);
        close(asking);
        end_loop();
}

static void open_and_close(void *user)
{
        int r = try_to_open(user);

        cr_assert(r == 0 || faults_have_struck());
        if (r == 0)
                metrics_close(metrics);
        metrics = NULL;
        turn();
        turn();
}

Test(metrics, each_call_that_fails_at_start_leaves_nothing)
{
        begin_loop();
        faults_force_each(open_and_close, (char *)(uintptr_t) "127.0.0.1");
        faults_force_each(open_and_close, (char *)(uintptr_t) "*");
        end_loop();
}

Test(metrics, both_families_are_served_at_a_star)
{
        int client;

        begin_loop();
        cr_assert_eq(try_to_open("*"), 0);
        cr_assert_eq(strncmp(metrics_name(metrics), "[::]:", 5), 0);
        port = (uint16_t)atoi(strrchr(metrics_name(metrics), ':') + 1);
        expect_status(ask(GET("/healthz")), "200 ");
        client = client_connect_to("::1", port);
        client_send(client, GET("/healthz"), strlen(GET("/healthz")));
        expect_status(receive_all(client), "200 ");
        end();
}

Test(metrics, without_ipv6_a_star_is_ipv4)
{
        begin_loop();
        faults_fail(FAULT_SOCKET, 1, 1, EAFNOSUPPORT);
        cr_assert_eq(try_to_open("*"), 0);
        cr_assert_eq(strncmp(metrics_name(metrics), "0.0.0.0:", 8), 0);
        port = (uint16_t)atoi(strrchr(metrics_name(metrics), ':') + 1);
        expect_status(ask(GET("/healthz")), "200 ");
        end();
}

Test(metrics, an_address_in_use_is_named)
{
        char problem[METRICS_PROBLEM_MAX], expected[METRICS_PROBLEM_MAX];
        struct metrics_options options = {.address = "127.0.0.1"};
        struct metrics *second = NULL;

        begin();
        options.port = port;
        cr_assert_eq(metrics_open(&second, &loop, &options, &EVENTS, &loop, problem), -EADDRINUSE);
        snprintf(expected, sizeof(expected),
                 "cannot serve metrics on 127.0.0.1:%u: Address already in use", port);
        cr_assert_str_eq(problem, expected);
        end();
}

/* Serves at a socket that came with the process, for this address of the configuration. */
static void expect_inherited(const char *bound, const char *address)
{
        char *names[1] = {strdup("echod-metrics.socket")};
        struct metrics_options options = {.address = address};
        char problem[METRICS_PROBLEM_MAX];
        struct inherited inherited;
        int first, client;

        begin_loop();
        first = handed_socket(SOCK_STREAM, bound, false, &options.port);
        port = options.port;
        cr_assert_eq(inherited_init(&inherited, first, 1, names), 0);
        options.inherited = &inherited;
        client = client_connect(port);
        client_send(client, GET("/healthz"), strlen(GET("/healthz")));
        cr_assert_eq(metrics_open(&metrics, &loop, &options, &EVENTS, &loop, problem), 0, "%s",
                     problem);
        cr_assert_eq(inherited_settle(&inherited, NULL, NULL), 0);
        expect_status(receive_all(client), "200 ");
        metrics_close(metrics);
        inherited_free(&inherited);
        end_loop();
}

Test(metrics, a_socket_that_was_handed_in_is_served)
{
        expect_inherited("127.0.0.1", "127.0.0.1");
}

Test(metrics, a_socket_of_both_families_that_was_handed_in_is_a_star)
{
        expect_inherited("::", "*");
}
