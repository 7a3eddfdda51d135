#include "porch.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "listener_queue.h"
#include "stage.h"

static void on_accept(void *user, struct listener *listener, int descriptor,
                      const struct address *peer)
{
        struct porch *porch = user;

        cr_assert_lt(porch->n_accepted, PORCH_MAX);
        porch->peers[porch->n_accepted] = *peer;
        porch->accepted[porch->n_accepted++] = descriptor;
        if (porch->n_accepted == porch->pause_after)
                listener_pause(listener);
}

static void on_shortage(void *user, struct listener *listener, int error)
{
        struct porch *porch = user;

        porch->n_shortages++;
        porch->shortage = error;
        listener_pause(listener);
}

static void on_retired(void *user, struct listener *listener)
{
        struct porch *porch = user;

        porch->n_retired++;
        listener_close(listener);
}

static const struct listener_events EVENTS = {
        .on_accept = on_accept,
        .on_shortage = on_shortage,
        .on_retired = on_retired,
};

void porch_init(struct porch *porch)
{
        memset(porch, 0, sizeof(*porch));
        warm_up();
        porch->n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&porch->loop), 0);
        cr_assert_eq(poller_init(&porch->poller, &porch->loop), 0);
}

struct listener_options porch_ipv4(void)
{
        struct listener_options options = {
                .backlog = 1024,
                .tcp_nodelay = true,
                .keepalive_interval_s = 75,
                .keepalive_count = 9,
        };

        cr_assert_eq(address_parse(&options.address, "127.0.0.1", 0), 0);
        return options;
}

struct listener_options porch_unix(const char *path)
{
        struct listener_options options = {
                .address = {.family = AF_UNIX},
                .backlog = 1024,
                .mode = 0660,
        };

        snprintf(options.path, sizeof(options.path), "%s", path);
        return options;
}

int porch_try(struct porch *porch, const struct listener_options *options)
{
        return listener_open(&porch->listener, &porch->poller, options, false, &EVENTS, porch);
}

void porch_open(struct porch *porch, const struct listener_options *options)
{
        cr_assert_eq(porch_try(porch, options), 0);
        listener_resume(porch->listener);
}

uint16_t porch_port(const struct porch *porch)
{
        struct sockaddr_storage sockaddr;
        socklen_t length = sizeof(sockaddr);
        struct address address;

        cr_assert_eq(
                getsockname(porch->listener->descriptor, (struct sockaddr *)&sockaddr, &length), 0);
        cr_assert_eq(address_from_sockaddr(&address, (struct sockaddr *)&sockaddr), 0);
        return address.port;
}

static uint64_t n_waiting(const struct porch *porch)
{
        struct listener_queue queue;

        cr_assert(listener_queue_look(porch->listener->descriptor, &queue));
        return queue.length;
}

int porch_connect(const struct porch *porch)
{
        uint64_t n_before = n_waiting(porch);
        int client = client_connect(porch_port(porch));

        while (n_waiting(porch) == n_before)
                sched_yield();
        return client;
}

void porch_turn(struct porch *porch)
{
        poller_turn(&porch->poller, false);
}

void porch_await(struct porch *porch, unsigned n)
{
        while (porch->n_accepted < n)
                porch_turn(porch);
}

void porch_close(struct porch *porch)
{
        for (unsigned i = 0; i < porch->n_accepted; i++)
                close(porch->accepted[i]);
        cr_assert(!poller_turn(&porch->poller, true), "something is left in the loop");
        poller_free(&porch->poller);
        cr_assert_eq(uv_loop_close(&porch->loop), 0);
        cr_assert_eq(count_descriptors(), porch->n_descriptors);
        expect_no_leaks();
}
