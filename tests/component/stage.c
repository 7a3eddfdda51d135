#include "stage.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif
#endif

static void on_closed(void *user)
{
        struct stage *stage = user;

        stage->n_closed++;
        stage->closed_ms = uv_now(&stage->loop);
}

void warm_up(void)
{
        uv_loop_t loop;

        signal(SIGPIPE, SIG_IGN);
        cr_assert_eq(uv_loop_init(&loop), 0);
        cr_assert_eq(uv_loop_close(&loop), 0);
}

void stage_open(struct stage *stage)
{
        *stage = (struct stage){0};
        warm_up();
        stage->n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&stage->loop), 0);
        cr_assert_eq(poller_init(&stage->poller, &stage->loop), 0);
        cr_assert_eq(connection_context_init(&stage->context, &stage->poller, 65536, &stage->stats),
                     0);
        stage->context.on_closed = on_closed;
        stage->context.user = stage;
}

static int open_connection(struct stage *stage, const int pair[2])
{
        const struct address peer = {.family = AF_UNIX};

        cr_assert_eq(connection_open(&stage->context, &(struct arrival){pair[1], peer, "stage"}),
                     0);
        stage->descriptor = pair[1];
        return pair[0];
}

int stage_connect(struct stage *stage)
{
        int pair[2];

        tcp_pair(pair);
        return open_connection(stage, pair);
}

int stage_connect_unix(struct stage *stage)
{
        int pair[2];

        unix_pair(pair);
        return open_connection(stage, pair);
}

uint64_t stage_n_closed(const struct stage *stage, enum echo_reason reason)
{
        return stats_read(&stage->stats.closed[reason]);
}

void stage_turn(struct stage *stage)
{
        poller_turn(&stage->poller, false);
}

void stage_advance(struct stage *stage, uint64_t ms)
{
        frozen_clock_advance(ms);
        stage_turn(stage);
}

void stage_advance_to_timer(struct stage *stage)
{
        int next_ms = uv_backend_timeout(&stage->loop);

        cr_assert_geq(next_ms, 0, "no timer is set");
        stage_advance(stage, (uint64_t)next_ms);
}

void stage_await_closed(struct stage *stage, unsigned n)
{
        while (stage->n_closed < n)
                stage_turn(stage);
}

void stage_expect_end(struct stage *stage, int client, unsigned n)
{
        stage_await_closed(stage, n);
        client_expect_eof(client);
        close(client);
}

void stage_finish(struct stage *stage, int client)
{
        client_half_close(client);
        stage_expect_end(stage, client, stage->n_closed + 1);
}

void stage_expect_fault(struct stage *stage, int client, int error, enum echo_reason reason)
{
        stage_await_closed(stage, 1);
        cr_assert(faults_have_struck());
        faults_clear();
        cr_assert_eq(stage_n_closed(stage, reason), 1, "%s", strerror(error));
        client_expect_reset(client);
        close(client);
}

void stage_await(struct stage *stage, const stats_counter *counter, uint64_t value)
{
        while (stats_read(counter) < value)
                stage_turn(stage);
}

void stage_expect_timeout(struct stage *stage, uint64_t due_ms, enum echo_reason reason)
{
        while (stage->n_closed == 0)
                stage_advance_to_timer(stage);
        cr_assert_geq(stage->closed_ms, due_ms, "early by %llu ms",
                      (unsigned long long)(due_ms - stage->closed_ms));
        cr_assert_leq(stage->closed_ms, due_ms + LATE_MS, "late by %llu ms",
                      (unsigned long long)(stage->closed_ms - due_ms));
        cr_assert_eq(stage_n_closed(stage, reason), 1, "for another reason");
}

/* Sends what the socket takes now of one chunk of the pattern; returns how many bytes. */
static size_t send_pattern(int client, uint64_t offset, size_t length)
{
        static uint8_t bytes[1 << 20];
        ssize_t n;

        cr_assert_leq(length, sizeof(bytes));
        for (size_t i = 0; i < length; i++)
                bytes[i] = client_pattern(offset + i);
        n = send(client, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        cr_assert(n > 0 || errno == EAGAIN, "send: %s", strerror(errno));
        return n > 0 ? (size_t)n : 0;
}

/* Receives and compares what has come back by now; returns how many bytes. */
static size_t receive_pattern(int client, uint64_t offset, size_t length)
{
        static uint8_t bytes[1 << 20];
        ssize_t n = recv(client, bytes, MIN(length, sizeof(bytes)), MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
                return 0;
        cr_assert_gt(n, 0, "recv at %llu: %s", (unsigned long long)offset,
                     n == 0 ? "end of stream" : strerror(errno));
        for (size_t i = 0; i < (size_t)n; i++)
                cr_assert(bytes[i] == client_pattern(offset + i), "wrong byte at %llu",
                          (unsigned long long)(offset + i));
        return (size_t)n;
}

void stage_exchange(struct stage *stage, int client, uint64_t length, size_t chunk)
{
        uint64_t sent = 0, received = 0;

        while (received < length) {
                if (sent < length)
                        sent += send_pattern(client, sent, MIN(length - sent, chunk));
                stage_turn(stage);
                received += receive_pattern(client, received, (size_t)(sent - received));
        }
}

uint64_t stage_fill(struct stage *stage, int client)
{
        uint64_t sent = 0;

        while (stats_read(&stage->stats.pending_bytes) == 0) {
                sent += send_pattern(client, sent, 65536);
                stage_turn(stage);
        }
        return sent;
}

void stage_receive(struct stage *stage, int client, uint64_t offset, uint64_t length)
{
        while (length > 0) {
                size_t n = receive_pattern(client, offset, length);

                offset += n;
                length -= n;
                stage_turn(stage);
        }
}

void stage_acknowledge(const struct stage *stage, int client)
{
        int n_unsent;

        cr_assert_eq(setsockopt(client, IPPROTO_TCP, TCP_QUICKACK, &(int){1}, sizeof(int)), 0);
        do
                cr_assert_eq(ioctl(stage->descriptor, SIOCOUTQ, &n_unsent), 0);
        while (n_unsent > 0);
}

bool stage_is_established(const struct stage *stage)
{
        struct tcp_info info = {0};
        socklen_t length = sizeof(info);

        if (stage->n_closed > 0)
                return false;
        cr_assert_eq(getsockopt(stage->descriptor, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
        return info.tcpi_state == TCP_ESTABLISHED;
}

void stage_close(struct stage *stage)
{
        connection_context_close(&stage->context);
        while (poller_turn(&stage->poller, true))
                ;
        poller_free(&stage->poller);
        cr_assert_eq(uv_loop_close(&stage->loop), 0);
        connection_context_free(&stage->context);
        cr_assert_eq(stats_read(&stage->stats.opened), stage->n_closed);
        cr_assert_eq(stats_read(&stage->stats.pending_bytes), 0);
        cr_assert_eq(count_descriptors(), stage->n_descriptors);
        expect_no_leaks();
}

unsigned count_descriptors(void)
{
        DIR *directory = opendir("/proc/self/fd");
        unsigned n = 0;

        cr_assert(directory);
        while (readdir(directory))
                n++;
        closedir(directory);
        return n;
}

void expect_no_leaks(void)
{
#ifdef __SANITIZE_ADDRESS__
        cr_assert_eq(__lsan_do_recoverable_leak_check(), 0, "memory has leaked");
#endif
}

void tcp_pair(int ret_sockets[2])
{
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t length = sizeof(address);
        int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        setsockopt(listening, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int));
        setsockopt(listening, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        cr_assert_eq(bind(listening, (struct sockaddr *)&address, length), 0);
        cr_assert_eq(listen(listening, 1), 0);
        cr_assert_eq(getsockname(listening, (struct sockaddr *)&address, &length), 0);
        ret_sockets[0] = client_connect(ntohs(address.sin_port));
        ret_sockets[1] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        cr_assert_geq(ret_sockets[1], 0);
        close(listening);
}

void unix_pair(int ret_sockets[2])
{
        /* It is the test's own: a fault, which is meant for the daemon, passes it by. */
        while (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_sockets) < 0)
                cr_assert(faults_have_struck());
}

void await_bytes(int socket, size_t n)
{
        int n_unread = 0;

        for (; (size_t)n_unread < n; sched_yield())
                cr_assert_eq(ioctl(socket, FIONREAD, &n_unread), 0);
}

struct place make_place(void)
{
        const char *parent = getenv("TMPDIR");
        struct place place;

        if (!parent || strlen(parent) > 40)
                parent = "/tmp";
        snprintf(place.directory, sizeof(place.directory), "%s/echod-component-XXXXXX", parent);
        cr_assert(mkdtemp(place.directory));
        snprintf(place.path, sizeof(place.path), "%s/socket", place.directory);
        return place;
}

void leave_place(const struct place *place)
{
        cr_assert_eq(rmdir(place->directory), 0, "%s: %s", place->directory, strerror(errno));
}
