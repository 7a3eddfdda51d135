#include "client.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"

/* A blocking socket whose calls give up when only a hang is left as an explanation. */
static int patient_socket(int family)
{
        const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert_geq(fd, 0, "socket: %s", strerror(errno));
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        if (family != AF_UNIX)
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        return fd;
}

/*
 * Makes a reset come out of `fd`, as if it came only now: that of a connection with itself, more or
 * less, takes its place.
 */
static void put_reset(int fd)
{
        struct sockaddr_in address = {.sin_family = AF_INET};
        const struct linger reset = {.l_onoff = 1};
        socklen_t length = sizeof(address);
        int listening = patient_socket(AF_INET), client = patient_socket(AF_INET), accepted;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        cr_assert_eq(bind(listening, (const struct sockaddr *)&address, sizeof(address)), 0);
        cr_assert_eq(listen(listening, 1), 0);
        cr_assert_eq(getsockname(listening, (struct sockaddr *)&address, &length), 0);
        cr_assert_eq(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
        accepted = accept(listening, NULL, NULL);
        cr_assert_geq(accepted, 0);
        setsockopt(accepted, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(accepted);
        close(listening);
        cr_assert_eq(dup3(client, fd, O_CLOEXEC), fd);
        close(client);
}

socklen_t client_sockaddr(struct sockaddr_storage *ret_address, const char *literal, uint16_t port)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;

        memset(ret_address, 0, sizeof(*ret_address));
        if (inet_pton(AF_INET, literal, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons(port);
                return sizeof(*v4);
        }
        cr_assert_eq(inet_pton(AF_INET6, literal, &v6->sin6_addr), 1, "%s", literal);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return sizeof(*v6);
}

/* Who is refused may be reset before connect(2) is back, which then says so. */
static void connect_to(int fd, const char *address, uint16_t port)
{
        struct sockaddr_storage sockaddr;
        socklen_t length = client_sockaddr(&sockaddr, address, port);

        if (connect(fd, (const struct sockaddr *)&sockaddr, length) == 0)
                return;
        cr_assert_eq(errno, ECONNRESET, "connect to %s, port %u: %s", address, port,
                     strerror(errno));
        put_reset(fd);
}

int client_connect(uint16_t port)
{
        int fd = patient_socket(AF_INET);

        connect_to(fd, "127.0.0.1", port);
        return fd;
}

int client_enter(uint16_t port)
{
        int fd = client_connect(port);

        client_echo(fd, "hello");
        return fd;
}

int client_connect_with_buffer(uint16_t port, int receive_bytes)
{
        int fd = patient_socket(AF_INET);

        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
        connect_to(fd, "127.0.0.1", port);
        return fd;
}

int client_connect_from(const char *source, uint16_t port)
{
        struct sockaddr_storage sockaddr;
        socklen_t length = client_sockaddr(&sockaddr, source, 0);
        int fd = patient_socket(sockaddr.ss_family);

        cr_assert_eq(bind(fd, (const struct sockaddr *)&sockaddr, length), 0, "bind to %s: %s",
                     source, strerror(errno));
        connect_to(fd, sockaddr.ss_family == AF_INET ? "127.0.0.1" : "::1", port);
        return fd;
}

int client_connect_to(const char *address, uint16_t port)
{
        struct sockaddr_storage sockaddr;
        int fd;

        client_sockaddr(&sockaddr, address, port);
        fd = patient_socket(sockaddr.ss_family);
        connect_to(fd, address, port);
        return fd;
}

int client_connect_unix(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = patient_socket(AF_UNIX);

        cr_assert_lt(strlen(path), sizeof(address.sun_path));
        strcpy(address.sun_path, path);
        cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0,
                     "connect to %s: %s", path, strerror(errno));
        return fd;
}

void client_send(int socket, const void *bytes, size_t length)
{
        const char *p = bytes;

        while (length > 0) {
                ssize_t n = send(socket, p, length, MSG_NOSIGNAL);

                cr_assert_gt(n, 0, "send: %s", strerror(errno));
                p += n;
                length -= (size_t)n;
        }
}

void client_receive(int socket, void *bytes, size_t length)
{
        char *p = bytes;

        while (length > 0) {
                ssize_t n = recv(socket, p, length, 0);

                cr_assert_gt(n, 0, "recv: %s, %zu bytes missing",
                             n == 0 ? "end of stream" : strerror(errno), length);
                p += n;
                length -= (size_t)n;
        }
}

void client_echo(int socket, const char *text)
{
        char answer[256];
        size_t length = strlen(text);

        cr_assert_lt(length, sizeof(answer));
        client_send(socket, text, length);
        client_receive(socket, answer, length);
        cr_assert_arr_eq(answer, text, length);
}

void client_expect_eof(int socket)
{
        char byte;
        ssize_t n = recv(socket, &byte, 1, 0);

        cr_assert_eq(n, 0, "instead of the end: %s", n > 0 ? "a byte" : strerror(errno));
}

void client_expect_reset(int socket)
{
        char dropped[65536];
        ssize_t n;

        do
                n = recv(socket, dropped, sizeof(dropped), 0);
        while (n > 0);
        cr_assert(n < 0 && errno == ECONNRESET, "instead of a reset: %s",
                  n == 0 ? "end of stream" : strerror(errno));
}

bool client_is_readable(int socket, int ms)
{
        return poll(&(struct pollfd){.fd = socket, .events = POLLIN}, 1, ms) > 0;
}

void client_half_close(int socket)
{
        cr_assert_eq(shutdown(socket, SHUT_WR), 0);
}

void client_abort(int socket)
{
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                   sizeof(struct linger));
        close(socket);
}

uint8_t client_pattern(uint64_t offset)
{
        /* Changes with every byte and does not repeat at any power of two. */
        return (uint8_t)((offset * 0x9E3779B97F4A7C15ULL) >> 56 ^ offset);
}

static void fill_pattern(uint8_t *bytes, size_t length, uint64_t offset)
{
        for (size_t i = 0; i < length; i++)
                bytes[i] = client_pattern(offset + i);
}

static void check_pattern(const uint8_t *bytes, size_t length, uint64_t offset)
{
        for (size_t i = 0; i < length; i++)
                cr_assert(bytes[i] == client_pattern(offset + i), "wrong byte at offset %llu",
                          (unsigned long long)(offset + i));
}

void client_receive_pattern(int socket, uint64_t offset, uint64_t length)
{
        uint8_t bytes[65536];

        while (length > 0) {
                size_t n = length < sizeof(bytes) ? length : sizeof(bytes);

                client_receive(socket, bytes, n);
                check_pattern(bytes, n, offset);
                offset += n;
                length -= n;
        }
}

void client_exchange(int socket, uint64_t length, size_t chunk)
{
        static uint8_t out[1 << 20], in[1 << 20];
        uint64_t sent = 0, received = 0;

        cr_assert_leq(chunk, sizeof(out));
        fcntl(socket, F_SETFL, O_NONBLOCK);
        if (length == 0)
                client_half_close(socket);
        while (received < length) {
                struct pollfd ready = {.fd = socket, .events = POLLIN};
                ssize_t n;

                ready.events |= sent < length ? POLLOUT : 0;
                cr_assert_gt(poll(&ready, 1, PATIENCE_MS), 0, "nothing happens after %llu bytes",
                             (unsigned long long)received);
                if (ready.revents & POLLOUT) {
                        size_t wanted = length - sent < chunk ? length - sent : chunk;

                        fill_pattern(out, wanted, sent);
                        n = send(socket, out, wanted, MSG_NOSIGNAL);
                        cr_assert(n > 0 || errno == EAGAIN, "send: %s", strerror(errno));
                        sent += n > 0 ? (uint64_t)n : 0;
                        if (sent == length)
                                client_half_close(socket);
                }
                if (ready.revents & (POLLIN | POLLERR)) {
                        n = recv(socket, in, sizeof(in), 0);
                        cr_assert(n > 0 || (n < 0 && errno == EAGAIN), "recv after %llu bytes: %s",
                                  (unsigned long long)received,
                                  n == 0 ? "end of stream" : strerror(errno));
                        if (n > 0) {
                                check_pattern(in, (size_t)n, received);
                                received += (uint64_t)n;
                        }
                }
        }
        fcntl(socket, F_SETFL, 0);
        client_expect_eof(socket);
}

uint64_t client_fill(int socket, int quiet_ms)
{
        uint8_t bytes[65536];
        uint64_t sent = 0;

        fcntl(socket, F_SETFL, O_NONBLOCK);
        while (poll(&(struct pollfd){.fd = socket, .events = POLLOUT}, 1, quiet_ms) > 0) {
                ssize_t n;

                fill_pattern(bytes, sizeof(bytes), sent);
                n = send(socket, bytes, sizeof(bytes), MSG_NOSIGNAL);
                cr_assert(n > 0 || errno == EAGAIN, "send: %s", strerror(errno));
                sent += n > 0 ? (uint64_t)n : 0;
        }
        fcntl(socket, F_SETFL, 0);
        return sent;
}
