#include "booth.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "stage.h"

struct booth booth = {.n_lines = 1, .is_ready = true, .next_client = -1};

static int on_page(void *user, struct exposition *exposition)
{
        cr_assert_eq(user, &booth.loop);
        if (booth.comes_next)
                booth.next_client = client_connect(booth.port);
        booth.comes_next = false;
        booth.n_pages++;
        if (booth.is_page_missing)
                return -ENOMEM;
        exposition_family(exposition, "x", "gauge", "A number.");
        for (size_t i = 0; i < booth.n_lines; i++)
                exposition_value(exposition, 1);
        return 0;
}

static bool on_readiness(void *user)
{
        cr_assert_eq(user, &booth.loop);
        return booth.is_ready;
}

static const struct metrics_events EVENTS = {.write = on_page, .is_ready = on_readiness};

void booth_open_loop(void)
{
        warm_up();
        booth.n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&booth.loop), 0);
}

int booth_try_with(struct metrics **ret_metrics, const struct metrics_options *options,
                   char problem[static METRICS_PROBLEM_MAX])
{
        return metrics_open(ret_metrics, &booth.loop, options, &EVENTS, &booth.loop, problem);
}

int booth_try(const char *address)
{
        char problem[METRICS_PROBLEM_MAX] = "";
        const struct metrics_options options = {.address = address};
        int r = booth_try_with(&booth.metrics, &options, problem);

        cr_assert_eq(r < 0, problem[0] != '\0', "%s", problem);
        if (r >= 0)
                booth.port = (uint16_t)atoi(strrchr(metrics_name(booth.metrics), ':') + 1);
        return r;
}

void booth_open(void)
{
        booth_open_loop();
        cr_assert_eq(booth_try("127.0.0.1"), 0);
}

void booth_close_loop(void)
{
        uv_run(&booth.loop, UV_RUN_DEFAULT);
        cr_assert_eq(uv_loop_close(&booth.loop), 0);
        cr_assert_eq(count_descriptors(), booth.n_descriptors);
        expect_no_leaks();
}

void booth_close(void)
{
        metrics_close(booth.metrics);
        booth_close_loop();
}

void booth_turn(void)
{
        uv_run(&booth.loop, UV_RUN_NOWAIT);
}

void booth_turn_often(void)
{
        for (unsigned i = 0; i < 100; i++)
                booth_turn();
}

void booth_expect_rest(void)
{
        struct pollfd backend = {.fd = uv_backend_fd(&booth.loop), .events = POLLIN};

        cr_assert_eq(poll(&backend, 1, 0), 0, "the loop spins");
}

static void await_readable(int client)
{
        while (!client_is_readable(client, 0))
                booth_turn();
}

int booth_connect(const char *source)
{
        struct pollfd backend = {.fd = uv_backend_fd(&booth.loop), .events = POLLIN};
        int client;

        booth_turn(); /* it watches what it has to watch since the last one */
        booth_expect_rest();
        client = client_connect_from(source, booth.port);
        cr_assert_gt(poll(&backend, 1, PATIENCE_MS), 0, "the loop sleeps on");
        return client;
}

void booth_request(int client, const char *request)
{
        client_send(client, request, strlen(request));
}

const char *booth_receive_all(int client)
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

const char *booth_ask(const char *request)
{
        int client = client_connect(booth.port);

        booth_request(client, request);
        return booth_receive_all(client);
}

void booth_expect_status(const char *answer, const char *status)
{
        cr_assert_eq(strncmp(answer + strlen("HTTP/1.1 "), status, strlen(status)), 0, "%s",
                     answer);
}
