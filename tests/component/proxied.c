#include "proxied.h"

#include <criterion/criterion.h>
#include <string.h>

#include "client.h"

static struct prefix source;

void proxied_open(struct lobby *lobby, uint64_t max_connections)
{
        lobby_init(lobby);
        lobby->max_connections = max_connections;
        lobby_set_listeners(lobby, 1, "127.0.0.1", 0);
        lobby->listeners[0].proxy_protocol = true;
        cr_assert_eq(prefix_parse(&source, "127.0.0.1"), 0);
        lobby->config.proxy_sources = (struct prefix_list){&source, 1};
        cr_assert_eq(lobby_apply(lobby), 0);
}

int proxied_open_with_guest(struct lobby *lobby, uint64_t max_connections)
{
        int client;

        proxied_open(lobby, max_connections);
        client = lobby_connect(lobby);
        proxied_await_guests(lobby, 1);
        return client;
}

void proxied_await_guests(struct lobby *lobby, size_t n)
{
        while (lobby->acceptor.vestibule.n_guests != n)
                lobby_turn(lobby);
}

int proxied_come_in(struct lobby *lobby)
{
        uint64_t n = lobby->acceptor.n_accepted;
        int client = lobby_connect(lobby);

        client_send(client, LINE, strlen(LINE));
        lobby_await_accepted(lobby, n + 1);
        client_echo(client, "served");
        return client;
}
