/* A hundred reloads while clients come, go and stay: nothing lost, nothing leaked. */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "observe.h"
#include "port.h"
#include "reload.h"
#include "scratch.h"

#define N_WARM_UP     20
#define N_RELOADS     100
#define MESSAGE_BYTES 4096

/* What a reload may cost in memory that the allocator keeps, however many there are. */
#define SLACK_BYTES (512 * 1024)

TestSuite(reload_load, .init = scratch_make, .fini = scratch_remove);

/* A client in a thread of its own, where Criterion's assertions must not be. */
struct load {
        pthread_t thread;
        uint16_t port;
        bool is_staying; /* one connection for all messages, instead of one for each */
        atomic_bool must_stop;
        atomic_uint n_done;
        char failure[128];
};

static bool fail(struct load *load, const char *what)
{
        snprintf(load->failure, sizeof(load->failure), "%s: %s", what, strerror(errno));
        return false;
}

static int dial(struct load *load)
{
        const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
        const struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(load->port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
                return fd;
        fail(load, "connect");
        close(fd);
        return -1;
}

static bool exchange(struct load *load, int fd)
{
        char out[MESSAGE_BYTES], in[MESSAGE_BYTES];
        size_t n_in = 0;

        memset(out, (int)load->n_done, sizeof(out));
        if (send(fd, out, sizeof(out), MSG_NOSIGNAL) != sizeof(out))
                return fail(load, "send");
        while (n_in < sizeof(in)) {
                ssize_t n = recv(fd, in + n_in, sizeof(in) - n_in, 0);

                if (n <= 0)
                        return fail(load, n < 0 ? "recv" : "recv: the end");
                n_in += (size_t)n;
        }
        errno = 0;
        return memcmp(in, out, sizeof(in)) == 0 || fail(load, "wrong bytes");
}

static bool visit(struct load *load)
{
        int fd = dial(load);
        bool is_good;

        if (fd < 0)
                return false;
        is_good = exchange(load, fd) && shutdown(fd, SHUT_WR) == 0;
        if (is_good && recv(fd, &(char){0}, 1, 0) != 0)
                is_good = fail(load, "instead of the end");
        close(fd);
        return is_good;
}

static void *run(void *user)
{
        struct load *load = user;
        int fd = load->is_staying ? dial(load) : -1;

        while (!load->must_stop && load->failure[0] == '\0') {
                if (load->is_staying ? exchange(load, fd) : visit(load))
                        load->n_done++;
                usleep(200); /* leaves the machine to others, too */
        }
        if (fd >= 0)
                close(fd);
        return NULL;
}

static void start(struct load *load, uint16_t port, bool is_staying)
{
        *load = (struct load){.port = port, .is_staying = is_staying};
        cr_assert_eq(pthread_create(&load->thread, NULL, run, load), 0);
}

static unsigned stop(struct load *load)
{
        load->must_stop = true;
        pthread_join(load->thread, NULL);
        cr_assert_str_empty(load->failure, "after %u: %s", load->n_done, load->failure);
        return load->n_done;
}

/* Every other time there is a second listener; every time the limits are others. */
static void write_variant(unsigned i, uint16_t second)
{
        char more[64] = "";

        if (i % 2 == 0)
                snprintf(more, sizeof(more), ", { address = \"*\"; port = %u; }", second);
        scratch_write("echod.conf",
                      "listeners = ( " ANY_PORT "%s );\n"
                      "idle_timeout = %u;\nmax_connections = %u;\ndeny = [ \"192.0.2.%u\" ];\n",
                      more, 60 + i, 1000 + i, i);
}

/* Waits until the client has come through once more, or has failed. */
static void await_progress(struct load *load)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;
        unsigned before = load->n_done;

        while (load->n_done <= before && load->failure[0] == '\0') {
                cr_assert_lt(now_ms(), deadline, "no progress after %u", before);
                usleep(100);
        }
}

static void reload_many(struct daemon *daemon, unsigned n, uint16_t second, struct load *load)
{
        for (unsigned i = 0; i < n; i++) {
                write_variant(i, second);
                reload(daemon);
                await_progress(load);
        }
}

Test(reload_load, a_hundred_reloads_lose_nothing_and_leak_nothing)
{
        uint16_t second = free_port();
        struct load comers, stayer;
        struct daemon *daemon;
        unsigned n_descriptors;
        size_t resident;

        write_variant(1, second);
        daemon = DAEMON("-c", scratch_path("echod.conf"));
        n_descriptors = daemon_count_descriptors(daemon);
        start(&comers, daemon->port, false);
        start(&stayer, daemon->port, true);
        reload_many(daemon, N_WARM_UP, second, &comers);
        resident = daemon_resident_bytes(daemon);
        reload_many(daemon, N_RELOADS, second, &comers);
        cr_assert(daemon_is_sanitized() || daemon_resident_bytes(daemon) < resident + SLACK_BYTES,
                  "%zu bytes have become %zu", resident, daemon_resident_bytes(daemon));
        cr_assert_gt(stop(&comers), 0);
        cr_assert_gt(stop(&stayer), 0);
        await_descriptors(daemon, n_descriptors);
        assert_refuses(second);
        daemon_stop(daemon);
}
