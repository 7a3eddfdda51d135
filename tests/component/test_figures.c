/* What an acceptor and its workers have counted, in one place. */

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "figures.h"
#include "lobby.h"
#include "port.h"
#include "stage.h"

TestSuite(figures, .timeout = HANG_S);

static struct figures collect(struct lobby *lobby)
{
        struct figures_sources sources = {.acceptor = &lobby->acceptor};
        struct figures figures;

        cr_assert_eq(figures_collect(&figures, &sources), 0);
        return figures;
}

Test(figures, clients_are_counted_by_the_listener_they_came_in_by)
{
        struct lobby lobby;
        struct figures figures;
        int client;

        lobby_init(&lobby);
        lobby_set_listeners(&lobby, 2, "127.0.0.1", 0, "127.0.0.2", 0);
        lobby.max_connections = 10;
        cr_assert_eq(lobby_apply(&lobby), 0);
        lobby_serve_one(&lobby);
        lobby_serve_one(&lobby);
        client = client_connect_to("127.0.0.2", lobby_port(&lobby, 1));
        lobby_await_accepted(&lobby, 3);
        figures = collect(&lobby);
        cr_assert_eq(figures.n_listeners, 2);
        cr_assert_str_eq(figures.listeners[0].name, lobby_listener(&lobby, 0)->name);
        cr_assert_eq(figures.listeners[0].n_accepted, 2);
        cr_assert_str_eq(figures.listeners[1].name, lobby_listener(&lobby, 1)->name);
        cr_assert_eq(figures.listeners[1].n_accepted, 1);
        cr_assert_eq(figures_accepted(&figures), 3);
        figures_free(&figures);
        lobby_part(client);
        lobby_close(&lobby);
}

Test(figures, a_listener_that_is_gone_keeps_its_count)
{
        struct lobby lobby;
        struct figures figures;

        lobby_open(&lobby, 10);
        lobby_serve_one(&lobby);
        lobby_listen(&lobby, "127.0.0.2", 0);
        lobby_turn_often(&lobby);
        figures = collect(&lobby);
        cr_assert_eq(figures.n_listeners, 2);
        cr_assert_eq(figures.listeners[0].n_accepted, 1);
        cr_assert_eq(figures.listeners[1].n_accepted, 0);
        figures_free(&figures);
        lobby_close(&lobby);
}

/* Clients that come at once, more than the queue holds; nobody is accepted meanwhile. */
static void overrun(uint16_t port, int clients[static 6])
{
        const struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };

        for (unsigned i = 0; i < 6; i++) {
                clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                connect(clients[i], (const struct sockaddr *)&address, sizeof(address));
        }
}

/* Once there are some. */
static struct figures collect_drops(struct lobby *lobby)
{
        for (;;) {
                struct figures figures = collect(lobby);

                if (figures.listeners[0].queue.n_drops > 0)
                        return figures;
                figures_free(&figures);
        }
}

Test(figures, drops_go_on_where_they_were_when_a_listener_comes_back)
{
        struct lobby lobby;
        struct figures before, after;
        uint16_t port = free_port();
        int clients[6];

        lobby_init(&lobby);
        lobby.max_connections = 10;
        lobby_set_listeners(&lobby, 1, "127.0.0.1", port);
        lobby.listeners[0].backlog = 1;
        cr_assert_eq(lobby_apply(&lobby), 0);
        overrun(port, clients);
        before = collect_drops(&lobby);
        for (unsigned i = 0; i < 6; i++)
                close(clients[i]);
        lobby_listen(&lobby, "127.0.0.2", 0);
        lobby_await_retired(&lobby);
        after = collect(&lobby);
        cr_assert_not(after.listeners[0].has_queue, "it is gone");
        figures_free(&after);
        lobby_listen(&lobby, "127.0.0.1", port);
        after = collect(&lobby);
        cr_assert(after.listeners[0].has_queue);
        cr_assert_geq(after.listeners[0].queue.n_drops, before.listeners[0].queue.n_drops);
        figures_free(&before);
        figures_free(&after);
        lobby_close(&lobby);
}

Test(figures, the_workers_loads_add_up_to_the_connections)
{
        int clients[5];
        struct lobby lobby;
        struct figures figures;
        uint64_t n = 0;

        lobby_open(&lobby, 10);
        for (unsigned i = 0; i < 5; i++) {
                clients[i] = lobby_connect(&lobby);
                lobby_await_accepted(&lobby, i + 1);
        }
        figures = collect(&lobby);
        cr_assert_eq(figures.n_workers, lobby.pool.n_workers);
        for (size_t i = 0; i < figures.n_workers; i++)
                n += figures.workers[i].n_connections;
        cr_assert_eq(n, 5);
        cr_assert_eq(figures.n_connections, 5);
        cr_assert_eq(figures.max_connections, 10);
        figures_free(&figures);
        for (unsigned i = 0; i < 5; i++)
                lobby_part(clients[i]);
        lobby_close(&lobby);
}

static void collect_once(void *user)
{
        struct figures_sources sources = {.acceptor = user};
        struct figures figures;
        int r = figures_collect(&figures, &sources);

        cr_assert(r == 0 || faults_have_struck());
        if (r == 0)
                figures_free(&figures);
}

Test(figures, without_memory_there_are_none_and_nothing_leaks)
{
        struct lobby lobby;

        lobby_open(&lobby, 10);
        faults_force_each(collect_once, &lobby.acceptor);
        expect_no_leaks();
        lobby_close(&lobby);
}
