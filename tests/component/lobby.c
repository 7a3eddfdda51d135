#include "lobby.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "frozen_clock.h"
#include "listener_queue.h"
#include "stage.h"

static void on_release(void *user)
{
        acceptor_on_release(&((struct lobby *)user)->acceptor);
}

void lobby_init(struct lobby *lobby)
{
        memset(lobby, 0, sizeof(*lobby));
        warm_up();
        lobby->n_descriptors = count_descriptors();
        lobby->max_connections = 1000;
        lobby->config.listeners = lobby->listeners;
        lobby->config.tcp_nodelay = true;
        lobby->config.tcp_keepalive = (struct config_keepalive){.interval_s = 75, .count = 9};
        cr_assert_eq(uv_loop_init(&lobby->loop), 0);
        cr_assert_eq(pool_start(&lobby->pool, &lobby->loop, 2, 4096, &(struct connection_limits){0},
                                on_release, lobby),
                     0);
        cr_assert_eq(acceptor_init(&lobby->acceptor, &lobby->loop, &lobby->pool), 0);
}

void lobby_set_listeners(struct lobby *lobby, size_t n, ...)
{
        va_list arguments;

        va_start(arguments, n);
        lobby->config.n_listeners = n;
        for (size_t i = 0; i < n; i++) {
                struct config_listener *listener = &lobby->listeners[i];

                *listener = (struct config_listener){.backlog = 1024, .mode = 0660};
                snprintf(listener->address, sizeof(listener->address), "%s",
                         va_arg(arguments, const char *));
                listener->port = va_arg(arguments, int);
        }
        va_end(arguments);
}

int lobby_apply(struct lobby *lobby)
{
        return acceptor_apply(&lobby->acceptor, &lobby->config, lobby->max_connections,
                              lobby->problem);
}

void lobby_listen(struct lobby *lobby, const char *address, int port)
{
        lobby_set_listeners(lobby, 1, address, port);
        cr_assert_eq(lobby_apply(lobby), 0, "%s", lobby->problem);
}

void lobby_open_at(struct lobby *lobby, uint64_t max_connections, const char *address, int port)
{
        lobby_init(lobby);
        lobby->max_connections = max_connections;
        lobby_listen(lobby, address, port);
}

void lobby_open(struct lobby *lobby, uint64_t max_connections)
{
        lobby_open_at(lobby, max_connections, "127.0.0.1", 0);
}

void lobby_deny(struct lobby *lobby, struct prefix *prefix, const char *network)
{
        cr_assert_eq(prefix_parse(prefix, network), 0);
        lobby->config.deny = (struct prefix_list){prefix, 1};
        cr_assert_eq(lobby_apply(lobby), 0);
}

struct listener *lobby_listener(struct lobby *lobby, unsigned i)
{
        struct list *node = lobby->acceptor.listeners.active.next;

        for (; i > 0; i--)
                node = node->next;
        cr_assert_neq(node, &lobby->acceptor.listeners.active);
        return CONTAINER_OF(node, struct listener, link);
}

uint16_t lobby_port(struct lobby *lobby, unsigned i)
{
        struct sockaddr_storage sockaddr;
        socklen_t length = sizeof(sockaddr);
        struct address address;

        cr_assert_eq(getsockname(lobby_listener(lobby, i)->descriptor, (struct sockaddr *)&sockaddr,
                                 &length),
                     0);
        cr_assert_eq(address_from_sockaddr(&address, (struct sockaddr *)&sockaddr), 0);
        return address.port;
}

static uint64_t n_waiting_at(const struct list *listeners)
{
        struct listener_queue queue;
        uint64_t n = 0;

        LIST_FOR_EACH_SAFE (node, following, listeners)
                if (listener_queue_look(CONTAINER_OF(node, struct listener, link)->descriptor,
                                        &queue))
                        n += queue.length;
        return n;
}

static uint64_t n_waiting(const struct lobby *lobby)
{
        return n_waiting_at(&lobby->acceptor.listeners.active) +
               n_waiting_at(&lobby->acceptor.listeners.retiring);
}

int lobby_queue(struct lobby *lobby, uint16_t port)
{
        uint64_t n_before = n_waiting(lobby);
        int client = client_connect(port);

        while (n_waiting(lobby) == n_before)
                sched_yield();
        return client;
}

int lobby_connect(struct lobby *lobby)
{
        return lobby_queue(lobby, lobby_port(lobby, 0));
}

void lobby_part(int client)
{
        client_echo(client, "served");
        close(client);
}

void lobby_expect_served_in_order(struct lobby *lobby, const int *clients, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                lobby_await_accepted(lobby, i + 1);
                lobby_part(clients[i]);
        }
}

void lobby_leave(struct lobby *lobby, int client)
{
        uint64_t load = pool_load(&lobby->pool);

        close(client);
        lobby_await_load(lobby, load - 1);
}

bool lobby_is_shared(const struct listener *listener)
{
        int value = 0;

        getsockopt(listener->descriptor, SOL_SOCKET, SO_REUSEPORT, &value,
                   &(socklen_t){sizeof(value)});
        return value != 0;
}

void lobby_turn(struct lobby *lobby)
{
        poller_turn(&lobby->pool.poller, false);
        sched_yield();
}

void lobby_await_accepted(struct lobby *lobby, uint64_t n)
{
        while (lobby->acceptor.n_accepted < n)
                lobby_turn(lobby);
}

void lobby_await_refused(struct lobby *lobby, enum admission_verdict verdict, uint64_t n)
{
        while (lobby->acceptor.n_refused[verdict] < n)
                lobby_turn(lobby);
}

void lobby_await_load(struct lobby *lobby, uint64_t n)
{
        while (pool_load(&lobby->pool) > n)
                lobby_turn(lobby);
        lobby_turn(lobby);
}

void lobby_await_retired(struct lobby *lobby)
{
        while (!list_is_empty(&lobby->acceptor.listeners.retiring))
                lobby_turn(lobby);
}

void lobby_close(struct lobby *lobby)
{
        acceptor_close(&lobby->acceptor);
        pool_stop(&lobby->pool);
        uv_run(&lobby->loop, UV_RUN_DEFAULT);
        cr_assert_eq(uv_loop_close(&lobby->loop), 0);
        pool_free(&lobby->pool);
        acceptor_free(&lobby->acceptor);
        cr_assert_eq(count_descriptors(), lobby->n_descriptors);
        expect_no_leaks();
}

void lobby_turn_often(struct lobby *lobby)
{
        for (int i = 0; i < 20; i++)
                lobby_turn(lobby);
}

void lobby_advance(struct lobby *lobby, unsigned ms)
{
        frozen_clock_advance(ms);
        lobby_turn(lobby); /* timers are due */
        lobby_turn(lobby); /* and what they resumed may be ready */
}

void lobby_serve_one(struct lobby *lobby)
{
        uint64_t n = lobby->acceptor.n_accepted, load = pool_load(&lobby->pool);
        int client = lobby_connect(lobby);

        lobby_await_accepted(lobby, n + 1);
        client_echo(client, "served");
        close(client);
        lobby_await_load(lobby, load);
}
