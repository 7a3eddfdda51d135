/*
 * The yardstick: the least that an echo server on epoll can do. One thread, level-triggered, one
 * buffer; reads, writes back, and where the socket does not take everything keeps the rest and
 * waits for room. No timeouts, no limits, no log, no statistics.
 *
 *     server-epoll PORT [BUFFER]
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 1024

struct connection {
        int descriptor;
        char *pending;
        size_t offset, length;
};

static char *buffer;
static size_t buffer_size = 65536;
static int poller;

static void watch(struct connection *connection, int operation, unsigned events)
{
        struct epoll_event event = {.events = events, .data.ptr = connection};

        epoll_ctl(poller, operation, connection->descriptor, &event);
}

static void finish(struct connection *connection)
{
        close(connection->descriptor);
        free(connection->pending);
        free(connection);
}

static void accept_one(int listener)
{
        int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct connection *connection;

        if (descriptor < 0)
                return;
        connection = calloc(1, sizeof(*connection));
        if (!connection)
                abort();
        connection->descriptor = descriptor;
        watch(connection, EPOLL_CTL_ADD, EPOLLIN);
}

static void keep(struct connection *connection, const char *bytes, size_t length)
{
        connection->pending = malloc(length);
        if (!connection->pending)
                abort();
        memcpy(connection->pending, bytes, length);
        connection->offset = 0;
        connection->length = length;
        watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
}

static void on_readable(struct connection *connection)
{
        ssize_t n = read(connection->descriptor, buffer, buffer_size), written;

        if (n <= 0) {
                if (n == 0 || errno != EAGAIN)
                        finish(connection);
                return;
        }
        written = write(connection->descriptor, buffer, (size_t)n);
        if (written < 0 && errno != EAGAIN)
                finish(connection);
        else if (written < n)
                keep(connection, buffer + (written > 0 ? written : 0),
                     (size_t)(n - (written > 0 ? written : 0)));
}

static void on_writable(struct connection *connection)
{
        ssize_t n = write(connection->descriptor, connection->pending + connection->offset,
                          connection->length - connection->offset);

        if (n < 0) {
                if (errno != EAGAIN)
                        finish(connection);
                return;
        }
        connection->offset += (size_t)n;
        if (connection->offset < connection->length)
                return;
        free(connection->pending);
        connection->pending = NULL;
        watch(connection, EPOLL_CTL_MOD, EPOLLIN);
}

static int listen_on(uint16_t port)
{
        const struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(listener, 4096) < 0) {
                perror("server-epoll");
                exit(1);
        }
        return listener;
}

int main(int argc, char **argv)
{
        static struct epoll_event events[EVENTS];
        struct rlimit limit;
        int listener;

        signal(SIGPIPE, SIG_IGN);
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        listener = listen_on((uint16_t)atoi(argc > 1 ? argv[1] : "7"));
        if (argc > 2)
                buffer_size = (size_t)atol(argv[2]);
        buffer = malloc(buffer_size);
        poller = epoll_create1(EPOLL_CLOEXEC);
        epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN});
        for (;;) {
                int n = epoll_wait(poller, events, EVENTS, -1);

                for (int i = 0; i < n; i++) {
                        if (!events[i].data.ptr)
                                accept_one(listener);
                        else if (((struct connection *)events[i].data.ptr)->pending)
                                on_writable(events[i].data.ptr);
                        else
                                on_readable(events[i].data.ptr);
                }
        }
}
