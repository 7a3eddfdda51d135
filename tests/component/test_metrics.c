/* The endpoint's answers, and how it begins. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "booth.h"
#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "handed.h"
#include "inherited.h"
#include "stage.h"

/* A frozen clock, so that no answer is late however slow the machine is. */
TestSuite(metrics, .timeout = HANG_S, .init = frozen_clock_begin, .fini = frozen_clock_end);

Test(metrics, a_page_has_the_content_type_of_the_format)
{
        const char *answer;

        booth_open();
        answer = booth_ask(GET("/metrics"));
        booth_expect_status(answer, "200 ");
        cr_assert(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        cr_assert(strstr(answer, "\r\n\r\n# HELP x A number.\n# TYPE x gauge\nx 1\n"));
        booth_close();
}

Test(metrics, head_has_the_headers_and_no_page)
{
        const char *answer;

        booth_open();
        answer = booth_ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        booth_expect_status(answer, "200 ");
        cr_assert(strstr(answer, "\r\nContent-Length: "));
        cr_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
        booth_close();
}

Test(metrics, http_1_0_is_served)
{
        booth_open();
        cr_assert(strstr(booth_ask("GET /metrics HTTP/1.0\r\n\r\n"), "x 1\n"));
        booth_close();
}

Test(metrics, it_is_alive_whether_ready_or_not)
{
        booth_open();
        booth.is_ready = false;
        booth_expect_status(booth_ask(GET("/healthz")), "200 ");
        booth_close();
}

Test(metrics, readiness_is_asked_for_each_time)
{
        booth_open();
        booth_expect_status(booth_ask(GET("/readyz")), "200 ");
        booth.is_ready = false;
        booth_expect_status(booth_ask(GET("/readyz")), "503 ");
        booth.is_ready = true;
        booth_expect_status(booth_ask(GET("/readyz")), "200 ");
        booth_close();
}

Test(metrics, whatever_else_is_not_found)
{
        booth_open();
        booth_expect_status(booth_ask(GET("/")), "404 ");
        booth_expect_status(booth_ask(GET("/metrics/")), "404 ");
        booth_expect_status(booth_ask(GET("/metricsx")), "404 ");
        booth_expect_status(booth_ask(GET("/METRICS")), "404 ");
        booth_expect_status(booth_ask(GET("/healthz/../metrics")), "404 ");
        cr_assert_eq(booth.n_pages, 0);
        booth_close();
}

Test(metrics, a_query_does_not_matter)
{
        booth_open();
        booth_expect_status(booth_ask(GET("/metrics?name=value")), "200 ");
        booth_close();
}

static void expect_not_allowed(const char *request)
{
        const char *answer = booth_ask(request);

        booth_expect_status(answer, "405 ");
        cr_assert(strstr(answer, "\r\nAllow: GET, HEAD\r\n"), "%s", answer);
}

Test(metrics, only_get_and_head_are_allowed)
{
        booth_open();
        expect_not_allowed("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        expect_not_allowed("PUT /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        expect_not_allowed("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        expect_not_allowed("OPTIONS /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        expect_not_allowed("NONSENSE /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert_eq(booth.n_pages, 0);
        booth_close();
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
        booth_open();
        booth_expect_status(booth_ask(long_request("GET /", " HTTP/1.1\r\nHost: x\r\n\r\n", 8192)),
                            "414 ");
        booth_close();
}

Test(metrics, long_headers_are_431)
{
        booth_open();
        booth_expect_status(booth_ask(long_request(
                                    "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", "\r\n\r\n", 8192)),
                            "431 ");
        cr_assert_eq(booth.n_pages, 0);
        booth_close();
}

Test(metrics, headers_of_ordinary_length_are_not)
{
        booth_open();
        booth_expect_status(booth_ask(long_request(
                                    "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", "\r\n\r\n", 3000)),
                            "200 ");
        booth_close();
}

Test(metrics, nonsense_is_answered_or_closed_and_does_no_harm)
{
        static const char *const requests[] = {"\r\n\r\n\r\n\r\n", "GET\r\n\r\n",
                                               "\x16\x03\x01\x02", "GET /metrics HTTP/9.9\r\n\r\n",
                                               "\0\0\0"};

        booth_open();
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
                int client = client_connect(booth.port);

                client_send(client, requests[i], strlen(requests[i]) + 1);
                client_half_close(client);
                booth_turn_often();
                close(client);
        }
        booth_expect_status(booth_ask(GET("/metrics")), "200 ");
        booth_close();
}

Test(metrics, a_page_that_is_missing_is_503)
{
        booth_open();
        booth.is_page_missing = true;
        booth_expect_status(booth_ask(GET("/metrics")), "503 ");
        booth.is_page_missing = false;
        booth_expect_status(booth_ask(GET("/metrics")), "200 ");
        booth_close();
}

Test(metrics, a_page_without_memory_is_503)
{
        booth_open();
        faults_fail(FAULT_REALLOC, 1, 1, ENOMEM);
        booth_expect_status(booth_ask(GET("/metrics")), "503 ");
        cr_assert(faults_have_struck());
        booth_expect_status(booth_ask(GET("/metrics")), "200 ");
        booth_close();
}

static void open_and_close(void *user)
{
        int r = booth_try(user);

        cr_assert(r == 0 || faults_have_struck());
        if (r == 0)
                metrics_close(booth.metrics);
        booth.metrics = NULL;
        booth_turn();
        booth_turn();
}

Test(metrics, each_call_that_fails_at_start_leaves_nothing)
{
        booth_open_loop();
        faults_force_each(open_and_close, (char *)(uintptr_t) "127.0.0.1");
        faults_force_each(open_and_close, (char *)(uintptr_t) "*");
        booth_close_loop();
}

Test(metrics, both_families_are_served_at_a_star)
{
        int client;

        booth_open_loop();
        cr_assert_eq(booth_try("*"), 0);
        cr_assert_eq(strncmp(metrics_name(booth.metrics), "[::]:", 5), 0);
        booth_expect_status(booth_ask(GET("/healthz")), "200 ");
        client = client_connect_to("::1", booth.port);
        booth_request(client, GET("/healthz"));
        booth_expect_status(booth_receive_all(client), "200 ");
        booth_close();
}

Test(metrics, without_ipv6_a_star_is_ipv4)
{
        booth_open_loop();
        faults_fail(FAULT_SOCKET, 1, 1, EAFNOSUPPORT);
        cr_assert_eq(booth_try("*"), 0);
        cr_assert_eq(strncmp(metrics_name(booth.metrics), "0.0.0.0:", 8), 0);
        booth_expect_status(booth_ask(GET("/healthz")), "200 ");
        booth_close();
}

Test(metrics, an_address_in_use_is_named)
{
        char problem[METRICS_PROBLEM_MAX], expected[METRICS_PROBLEM_MAX];
        struct metrics_options options = {.address = "127.0.0.1"};
        struct metrics *second = NULL;

        booth_open();
        options.port = booth.port;
        cr_assert_eq(booth_try_with(&second, &options, problem), -EADDRINUSE);
        snprintf(expected, sizeof(expected),
                 "cannot serve metrics on 127.0.0.1:%u: Address already in use", booth.port);
        cr_assert_str_eq(problem, expected);
        booth_close();
}

/* Serves at a socket that came with the process, for this address of the configuration. */
static void expect_inherited(const char *bound, const char *address)
{
        char *names[1] = {strdup("echod-metrics.socket")};
        struct metrics_options options = {.address = address};
        char problem[METRICS_PROBLEM_MAX];
        struct inherited inherited;
        int first, client;

        booth_open_loop();
        first = handed_socket(SOCK_STREAM, bound, false, &options.port);
        booth.port = options.port;
        cr_assert_eq(inherited_init(&inherited, first, 1, names), 0);
        options.inherited = &inherited;
        client = client_connect(booth.port);
        booth_request(client, GET("/healthz"));
        cr_assert_eq(booth_try_with(&booth.metrics, &options, problem), 0, "%s", problem);
        cr_assert_eq(inherited_settle(&inherited, NULL, NULL), 0);
        booth_expect_status(booth_receive_all(client), "200 ");
        metrics_close(booth.metrics);
        inherited_free(&inherited);
        booth_close_loop();
}

Test(metrics, a_socket_that_was_handed_in_is_served)
{
        expect_inherited("127.0.0.1", "127.0.0.1");
}

Test(metrics, a_socket_of_both_families_that_was_handed_in_is_a_star)
{
        expect_inherited("::", "*");
}
