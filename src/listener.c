/*
 * The happy path:
 *  1. listener_open() binds and listens, or listener_adopt() listens on a socket that is bound;
 *     listener_resume() watches the socket.
 *  2. on_connectable() accepts up to ACCEPT_BUDGET clients, where several are waiting, and hands
 *     each to on_accept.
 *  3. The owner may pause it at any time; who comes then waits in the kernel's queue.
 *  4. listener_close() closes the socket; on_removed() frees the listener.
 *
 * What can go wrong:
 *  - it cannot be bound or watched: either fails and leaves nothing behind;
 *  - a client has gone before it was accepted, or its network failed: the next one is accepted;
 *  - descriptors or memory run out: on_shortage, and the owner pauses it for a while.
 *
 * A listener that is no longer wanted is retired: it accepts as many clients as were in its queue
 * then, and says on_retired.
 */

#include "listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket.h"
#include "util.h"

/* Between two looks at signals, timers and other listeners. */
#define ACCEPT_BUDGET 64

/*
 * To find out that nobody else is waiting, accept4(2) makes a socket and throws it away. So where
 * clients come one by one, it is asked for another one only after so many of them.
 */
#define ALONE_MAX 64

/*
 * With so many others ready in a turn that call is nothing; but who is left for the next turn waits
 * for all of them.
 */
#define BUSY_TURN 16

static void on_connectable(struct watch *watch, uint32_t events);
static void on_removed(struct watch *watch);
static unsigned queue_length(const struct listener *listener);

/* Fills in the name, and for a Unix socket which file is ours. */
static void identify(struct listener *listener)
{
        struct sockaddr_storage sockaddr;
        socklen_t length = sizeof(sockaddr);
        char text[ADDRESS_TEXT_MAX];
        struct stat status;

        listener->bound = listener->options.address;
        if (listener->options.address.family == AF_UNIX) {
                snprintf(listener->name, sizeof(listener->name), "%s", listener->options.path);
                if (stat(listener->options.path, &status) == 0)
                        listener->inode = status.st_ino;
                return;
        }
        if (getsockname(listener->descriptor, (struct sockaddr *)&sockaddr, &length) == 0)
                address_from_sockaddr(&listener->bound, (struct sockaddr *)&sockaddr);
        if (listener->options.is_dual_stack)
                snprintf(listener->name, sizeof(listener->name), "*:%u", listener->bound.port);
        else
                snprintf(listener->name, sizeof(listener->name), "%s",
                         address_format(&listener->bound, text));
}

/* Whether a Unix socket's file is still ours: somebody may have put another in its place. */
static bool owns_file(const struct listener *listener)
{
        struct stat status;

        return listener->options.address.family == AF_UNIX &&
               listener->origin != LISTENER_EXTERNAL &&
               lstat(listener->options.path, &status) == 0 && status.st_ino == listener->inode;
}

static void remove_file(const struct listener *listener)
{
        if (owns_file(listener))
                unlink(listener->options.path);
}

static struct listener *make(struct poller *poller, const struct listener_options *options,
                             const struct listener_events *events, void *user)
{
        struct listener *listener = calloc(1, sizeof(*listener));

        if (!listener)
                return NULL;
        list_init(&listener->link);
        listener->options = *options;
        listener->events = events;
        listener->user = user;
        listener->poller = poller;
        listener->watch.on_event = on_connectable;
        listener->watch.on_removed = on_removed;
        return listener;
}

/* Listens on its socket. On failure the socket is closed and the listener freed. */
static int start(struct listener *listener)
{
        int r = 0;

        identify(listener);
        if (listen(listener->descriptor, listener->options.backlog) < 0)
                r = -errno;
        else
                r = poller_add(listener->poller, &listener->watch, listener->descriptor, 0);
        if (r < 0) {
                remove_file(listener);
                close(listener->descriptor);
                free(listener);
        }
        return r;
}

int listener_open(struct listener **ret_listener, struct poller *poller,
                  const struct listener_options *options, bool is_shared,
                  const struct listener_events *events, void *user)
{
        struct listener *listener = make(poller, options, events, user);
        int r;

        if (!listener)
                return -ENOMEM;
        r = listener_socket_open(options, is_shared, &listener->descriptor);
        if (r < 0) {
                free(listener);
                return r;
        }
        r = start(listener);
        if (r == 0)
                *ret_listener = listener;
        return r;
}

int listener_adopt(struct listener **ret_listener, struct poller *poller,
                   const struct listener_options *options, int descriptor,
                   enum listener_origin origin, const struct listener_events *events, void *user)
{
        struct listener *listener = make(poller, options, events, user);
        int r = listener ? 0 : -ENOMEM;

        if (r == 0)
                r = listener_socket_adopt(descriptor, options, origin != LISTENER_EXTERNAL);
        if (r < 0) {
                close(descriptor);
                free(listener);
                return r;
        }
        listener->descriptor = descriptor;
        listener->origin = origin;
        r = start(listener);
        if (r == 0)
                *ret_listener = listener;
        return r;
}

bool listener_is_same(const struct listener_options *a, const struct listener_options *b)
{
        return memcmp(&a->address, &b->address, sizeof(a->address)) == 0 &&
               a->is_dual_stack == b->is_dual_stack && strcmp(a->path, b->path) == 0;
}

int listener_reconfigure(struct listener *listener, const struct listener_options *options)
{
        int r = listener_socket_set_options(listener->descriptor, options);

        if (r == 0 && options->backlog != listener->options.backlog &&
            listen(listener->descriptor, options->backlog) < 0)
                r = -errno;
        if (r == 0 && options->mode != listener->options.mode && owns_file(listener) &&
            chmod(options->path, options->mode) < 0)
                r = -errno;
        if (r == 0)
                listener->options = *options;
        return r;
}

void listener_share_address(struct listener *listener, bool is_shared)
{
        if (listener->options.address.family != AF_UNIX)
                socket_set_option(listener->descriptor, SOL_SOCKET, SO_REUSEPORT, is_shared);
}

void listener_resume(struct listener *listener)
{
        poller_change(listener->poller, &listener->watch, listener->descriptor, EPOLLIN);
}

void listener_pause(struct listener *listener)
{
        poller_change(listener->poller, &listener->watch, listener->descriptor, 0);
}

/* False: nobody is waiting, or nobody can be accepted now. */
static bool accept_one(struct listener *listener)
{
        struct sockaddr_storage sockaddr = {0};
        socklen_t length = sizeof(sockaddr);
        struct address peer;
        int descriptor;

        descriptor = accept4(listener->descriptor, (struct sockaddr *)&sockaddr, &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) {
                if (socket_is_transient(errno))
                        return true;
                if (errno == EAGAIN)
                        listener->n_left = 0;
                else
                        listener->events->on_shortage(listener->user, listener, -errno);
                return false;
        }
        /* What TCP's sockets inherit, see listener_socket_set_options(). */
        if (listener->options.address.family == AF_UNIX)
                socket_set_option(descriptor, SOL_SOCKET, SO_OOBINLINE, 1);
        /* The kernel gives a Unix peer without a name no more than its family. */
        if (address_from_sockaddr(&peer, (struct sockaddr *)&sockaddr) < 0)
                peer = (struct address){.family = listener->options.address.family};
        listener->n_left -= listener->is_retiring && listener->n_left > 0;
        listener->events->on_accept(listener->user, listener, descriptor, &peer);
        return true;
}

/*
 * Whether it is worth to ask for another client after the first. One that retires must learn when
 * there is none left.
 */
static bool expects_more(struct listener *listener)
{
        if (listener->is_crowded || listener->is_retiring || listener->poller->n_ready > BUSY_TURN)
                return true;
        listener->n_accepted = (listener->n_accepted + 1) % ALONE_MAX;
        return listener->n_accepted == 0;
}

/* Accepts as many as are waiting, within the budget. */
static void accept_all(struct listener *listener)
{
        unsigned n = 0;

        while (n < ACCEPT_BUDGET && accept_one(listener)) {
                n++;
                if (listener->watch.events == 0)
                        break;
                if (listener->is_retiring && listener->n_left == 0)
                        break;
                if (n == 1 && !expects_more(listener))
                        return;
        }
        listener->is_crowded = n > 1;
}

static void on_connectable(struct watch *watch, uint32_t events)
{
        struct listener *listener = CONTAINER_OF(watch, struct listener, watch);

        (void)events; /* an error on the socket shows in accept4(2) too */
        accept_all(listener);
        /* The kernel gives clients to the most specific address, so they may have come here still.
         */
        if (listener->is_superseded && listener->n_left == 0)
                listener->n_left = queue_length(listener);
        /* Paused for the last one, it would never be told that there is none left. */
        else if (listener->is_retiring && listener->options.address.family == AF_UNIX)
                listener->n_left = MIN(listener->n_left, queue_length(listener));
        if (listener->is_retiring && listener->n_left == 0)
                listener->events->on_retired(listener->user, listener);
}

/*
 * How many clients wait to be accepted. A Unix socket tells only whether there are any; then it is
 * asked until there are none.
 */
static unsigned queue_length(const struct listener *listener)
{
        struct pollfd readable = {.fd = listener->descriptor, .events = POLLIN};
        struct tcp_info info = {0};

        if (listener->options.address.family == AF_UNIX)
                return poll(&readable, 1, 0) > 0 ? (unsigned)listener->options.backlog + 1 : 0;
        if (getsockopt(listener->descriptor, IPPROTO_TCP, TCP_INFO, &info,
                       &(socklen_t){sizeof(info)}) < 0)
                return 0;
        return info.tcpi_unacked; /* of a listening socket: its queue */
}

void listener_finish(struct listener *listener)
{
        bool is_ours = listener->origin != LISTENER_EXTERNAL;

        /* Who waits at a socket unit's socket is the next echod's. */
        for (unsigned n = is_ours ? queue_length(listener) : 0; n > 0; n--)
                if (!accept_one(listener))
                        break;
        listener_close(listener);
}

bool listener_retire(struct listener *listener, bool is_superseded)
{
        listener->is_retiring = true;
        listener->is_superseded = is_superseded;
        listener->n_left = queue_length(listener);
        return listener->n_left == 0;
}

void listener_revive(struct listener *listener)
{
        listener->is_retiring = false;
        listener->is_superseded = false;
        listener->n_left = 0;
}

void listener_leave(struct listener *listener)
{
        listener->origin = LISTENER_EXTERNAL;
}

void listener_close(struct listener *listener)
{
        poller_remove(listener->poller, &listener->watch, listener->descriptor);
        remove_file(listener);
        close(listener->descriptor);
}

static void on_removed(struct watch *watch)
{
        free(CONTAINER_OF(watch, struct listener, watch));
}
