#include "crooked_server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PEERS_MAX 32
#define KEPT_MAX  65536

struct peer {
        int descriptor;
        uint64_t offset; /* of the next byte that it sends */
        uint8_t out[2 * KEPT_MAX];
        size_t n_out;
        uint8_t kept[KEPT_MAX]; /* bytes for later, or for once more */
        size_t n_kept;
        bool is_at_end; /* and stays open */
};

struct crooked_server {
        enum trick trick;
        uint64_t from, to; /* offsets */
        uint64_t length;
        int listener, stop[2];
        int waiting; /* a client that nobody accepts, or -1 */
        char port[8];
        pthread_t thread;
        struct peer *peers[PEERS_MAX];
        size_t n_peers;
};

/* Leaves room for one client, and takes it. */
static int fill_queue(int listener, const struct sockaddr_in *address)
{
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert_eq(listen(listener, 0), 0);
        cr_assert_eq(connect(client, (const struct sockaddr *)address, sizeof(*address)), 0);
        return client;
}

static void open_listener(struct crooked_server *server)
{
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        socklen_t length = sizeof(address);

        server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(server->listener, (struct sockaddr *)&address, length), 0);
        cr_assert_eq(listen(server->listener, 128), 0);
        cr_assert_eq(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
        if (server->trick == TRICK_FULL)
                server->waiting = fill_queue(server->listener, &address);
        snprintf(server->port, sizeof(server->port), "%u", ntohs(address.sin_port));
}

static void open_path(struct crooked_server *server, const char *path, int backlog)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        cr_assert_lt(strlen(path), sizeof(address.sun_path));
        strcpy(address.sun_path, path);
        server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        cr_assert_eq(listen(server->listener, backlog), 0);
}

static void put(struct peer *peer, const uint8_t *bytes, size_t length)
{
        if (peer->n_out + length > sizeof(peer->out))
                abort();
        memcpy(peer->out + peer->n_out, bytes, length);
        peer->n_out += length;
}

static void keep(struct peer *peer, uint8_t byte)
{
        if (peer->n_kept == KEPT_MAX)
                abort();
        peer->kept[peer->n_kept++] = byte;
}

static void put_kept(struct peer *to, struct peer *from)
{
        put(to, from->kept, from->n_kept);
        from->n_kept = 0;
}

static void send_out(struct peer *peer, int flags)
{
        if (peer->descriptor >= 0)
                (void)!send(peer->descriptor, peer->out, peer->n_out, MSG_NOSIGNAL | flags);
        peer->n_out = 0;
}

static void flush(struct peer *peer)
{
        send_out(peer, 0);
}

/*
 * The end leaves with the last bytes, however long this thread may be kept from going on: a client
 * that sent something in between would be reset instead.
 */
static void hang_up(struct peer *peer, bool with_reset)
{
        send_out(peer, with_reset ? 0 : MSG_MORE);
        if (with_reset)
                setsockopt(peer->descriptor, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                           sizeof(struct linger));
        else
                shutdown(peer->descriptor, SHUT_WR);
        close(peer->descriptor);
        peer->descriptor = -1;
}

static void wait_ms(uint64_t ms)
{
        nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1000),
                                     .tv_nsec = (long)(ms % 1000 * 1000000)},
                  NULL);
}

static void stop_listening(struct crooked_server *server)
{
        if (server->listener >= 0)
                close(server->listener);
        server->listener = -1; /* which poll() passes over */
}

/* A byte of the first connection, at its offset. */
static void play(struct crooked_server *server, struct peer *peer, uint8_t byte)
{
        uint64_t offset = peer->offset;
        bool is_inside = offset >= server->from && offset < server->to;

        switch (server->trick) {
        case TRICK_DROP:
                if (!is_inside)
                        put(peer, &byte, 1);
                break;
        case TRICK_DUPLICATE: /* the bytes before `from` */
                if (offset < server->from && offset + server->length >= server->from)
                        keep(peer, byte);
                put(peer, &byte, 1);
                if (offset + 1 == server->from)
                        put_kept(peer, peer);
                break;
        case TRICK_SWAP:
                if (is_inside)
                        keep(peer, byte);
                else
                        put(peer, &byte, 1);
                if (offset + 1 == server->to + server->length)
                        put_kept(peer, peer);
                break;
        case TRICK_MIX:
        case TRICK_MIX_AHEAD:
                if (is_inside)
                        keep(peer, byte);
                else
                        put(peer, &byte, 1);
                if (offset + 1 == server->to && server->n_peers > 1) {
                        put_kept(server->peers[1], peer);
                        flush(server->peers[1]);
                }
                break;
        case TRICK_CORRUPT:
                byte = is_inside ? (uint8_t)~byte : byte;
                put(peer, &byte, 1);
                break;
        case TRICK_TAIL:
        case TRICK_CLING:
                if (is_inside)
                        keep(peer, byte);
                put(peer, &byte, 1);
                break;
        case TRICK_DELAY: /* not of what has come together with it, but before it */
                if (offset == server->from) {
                        flush(peer);
                        wait_ms(server->length);
                }
                put(peer, &byte, 1);
                break;
        case TRICK_RESET:
        case TRICK_CLOSE:
                if (offset < server->from)
                        put(peer, &byte, 1);
                if (offset + 1 >= server->from && peer->descriptor >= 0)
                        hang_up(peer, server->trick == TRICK_RESET);
                break;
        case TRICK_LEAVE:
                if (offset == server->from)
                        stop_listening(server);
                put(peer, &byte, 1);
                break;
        default:
                put(peer, &byte, 1);
                break;
        }
        peer->offset++;
}

static void cross(struct crooked_server *server, const struct peer *from, const uint8_t *bytes,
                  size_t length)
{
        struct peer *to = server->peers[from == server->peers[0] ? 1 : 0];

        put(to, bytes, length);
        flush(to);
}

static void serve(struct crooked_server *server, struct peer *peer)
{
        uint8_t bytes[16384];
        ssize_t n = recv(peer->descriptor, bytes, sizeof(bytes), 0);

        if (n == 0) { /* a tail, if the trick has kept one */
                put_kept(peer, peer);
                flush(peer);
        }
        if (n <= 0) {
                if (server->trick == TRICK_CLING)
                        peer->is_at_end = true;
                else
                        hang_up(peer, false);
                return;
        }
        if (server->trick == TRICK_MUTE && peer->offset + (uint64_t)n > server->from) {
                peer->offset += (uint64_t)n;
        } else if (server->trick == TRICK_CROSS) {
                cross(server, peer, bytes, (size_t)n);
        } else if (peer == server->peers[0]) {
                for (ssize_t i = 0; i < n; i++)
                        play(server, peer, bytes[i]);
        } else {
                put(peer, bytes, (size_t)n);
                peer->offset += (uint64_t)n;
        }
        flush(peer);
}

/* One that is new, or that a connection has left; but the first remains the first. */
static struct peer *take_peer(struct crooked_server *server)
{
        for (size_t i = 1; i < server->n_peers; i++)
                if (server->peers[i]->descriptor < 0)
                        return server->peers[i];
        if (server->n_peers == PEERS_MAX)
                return NULL;
        return server->peers[server->n_peers++] = calloc(1, sizeof(struct peer));
}

static void accept_peer(struct crooked_server *server)
{
        struct peer *peer = take_peer(server);

        if (!peer)
                abort();
        *peer = (struct peer){
                .descriptor = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC),
        };
}

static bool is_read(const struct crooked_server *server, const struct peer *peer)
{
        const struct peer *first = server->peers[0];

        if (peer->is_at_end)
                return false;
        if (server->trick == TRICK_CROSS)
                return server->n_peers == 2;
        return server->trick != TRICK_MIX_AHEAD || peer == first || first->offset >= server->to;
}

static bool accepts(const struct crooked_server *server)
{
        if (server->trick == TRICK_ONE_AT_A_TIME)
                for (size_t i = 0; i < server->n_peers; i++)
                        if (server->peers[i]->descriptor >= 0)
                                return false;
        return server->trick != TRICK_DEAF && server->trick != TRICK_FULL;
}

static struct pollfd pollfd_of(const struct crooked_server *server, const struct peer *peer)
{
        return (struct pollfd){.fd = is_read(server, peer) ? peer->descriptor : -1,
                               .events = POLLIN};
}

static void *run(void *user)
{
        struct crooked_server *server = user;

        for (;;) {
                struct pollfd polled[PEERS_MAX + 2] = {
                        {.fd = server->stop[0], .events = POLLIN},
                        {.fd = accepts(server) ? server->listener : -1, .events = POLLIN},
                };
                size_t n_peers = server->n_peers;

                for (size_t i = 0; i < n_peers; i++)
                        polled[i + 2] = pollfd_of(server, server->peers[i]);
                poll(polled, n_peers + 2, -1);
                if (polled[0].revents)
                        return NULL;
                if (polled[1].revents)
                        accept_peer(server);
                for (size_t i = 0; i < n_peers; i++)
                        if (polled[i + 2].revents && server->peers[i]->descriptor >= 0)
                                serve(server, server->peers[i]);
        }
}

static struct crooked_server *new_server(enum trick trick)
{
        struct crooked_server *server = calloc(1, sizeof(*server));

        cr_assert_not_null(server);
        server->trick = trick;
        server->waiting = -1;
        return server;
}

static struct crooked_server *start(struct crooked_server *server)
{
        cr_assert_eq(pipe2(server->stop, O_CLOEXEC), 0);
        cr_assert_eq(pthread_create(&server->thread, NULL, run, server), 0);
        return server;
}

struct crooked_server *crooked_start(enum trick trick, uint64_t offset, uint64_t length)
{
        struct crooked_server *server = new_server(trick);

        server->from = offset;
        server->to = offset + length;
        server->length = length;
        open_listener(server);
        return start(server);
}

struct crooked_server *crooked_start_at_path(enum trick trick, const char *path, int backlog)
{
        struct crooked_server *server = new_server(trick);

        open_path(server, path, backlog);
        return start(server);
}

const char *crooked_port(const struct crooked_server *server)
{
        return server->port;
}

void crooked_stop(struct crooked_server *server)
{
        close(server->stop[1]);
        pthread_join(server->thread, NULL);
        for (size_t i = 0; i < server->n_peers; i++) {
                if (server->peers[i]->descriptor >= 0)
                        close(server->peers[i]->descriptor);
                free(server->peers[i]);
        }
        if (server->waiting >= 0)
                close(server->waiting);
        close(server->stop[0]);
        stop_listening(server);
        free(server);
}
