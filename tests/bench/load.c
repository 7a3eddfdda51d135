/*
 * A bounded load on an echo server, and what it costs that server: its CPU time is read from the
 * kernel's clock of the process, so that the client's own time and the machine's do not count.
 *
 *     bench-load PID PORT messages CONNECTIONS SECONDS [SIZE]   request and answer on each
 *     bench-load PID PORT bulk     CONNECTIONS SECONDS          streams, as fast as they go
 *     bench-load PID PORT connect  1           SECONDS          open, a byte, close, again
 *     bench-load PID PORT idle     CONNECTIONS 0                memory while they are open
 *
 * Prints one line of JSON.
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS      1024
#define EACH_SOURCE 20000 /* connections from one loopback address */
#define BULK_CHUNK  (256 * 1024)
#define WARM_UP_NS  300000000LL

static pid_t server;
static uint16_t port;
static int poller;
static char chunk[BULK_CHUNK];

static void die(const char *what)
{
        perror(what);
        exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
        struct timespec now;

        if (clock_gettime(clock, &now) < 0)
                die("clock_gettime");
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t server_cpu_ns(void)
{
        clockid_t clock;

        if (clock_getcpuclockid(server, &clock) != 0)
                die("the server's CPU clock");
        return clock_ns(clock);
}

static long server_resident_bytes(void)
{
        char path[64];
        long pages = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/statm", (int)server);
        file = fopen(path, "re");
        if (!file || fscanf(file, "%*d %ld", &pages) != 1)
                die(path);
        fclose(file);
        return pages * sysconf(_SC_PAGESIZE);
}

static int open_connection(unsigned index)
{
        struct sockaddr_in source = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + index / EACH_SOURCE),
        };
        struct sockaddr_in target = {
                .sin_family = AF_INET,
                .sin_port = htons(port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (descriptor < 0)
                die("socket");
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (index >= EACH_SOURCE &&
            bind(descriptor, (struct sockaddr *)&source, sizeof(source)) < 0)
                die("bind");
        if (connect(descriptor, (struct sockaddr *)&target, sizeof(target)) < 0)
                die("connect");
        return descriptor;
}

static void echo_once(int descriptor, size_t size)
{
        if (send(descriptor, chunk, size, 0) != (ssize_t)size ||
            recv(descriptor, chunk, size, MSG_WAITALL) != (ssize_t)size)
                die("echo");
}

static int *open_all(unsigned n, size_t size)
{
        int *descriptors = calloc(n, sizeof(*descriptors));

        if (!descriptors)
                die("calloc");
        for (unsigned i = 0; i < n; i++) {
                descriptors[i] = open_connection(i);
                echo_once(descriptors[i], size);
        }
        return descriptors;
}

static void watch(int descriptor, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.fd = descriptor};

        if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0)
                die("epoll_ctl");
}

/* Answers each answer with the next message; returns how many came in. */
static uint64_t turn_messages(size_t size)
{
        static struct epoll_event events[EVENTS];
        int n = epoll_wait(poller, events, EVENTS, 1000);

        for (int i = 0; i < n; i++) {
                if (recv(events[i].data.fd, chunk, size, MSG_WAITALL) != (ssize_t)size ||
                    send(events[i].data.fd, chunk, size, 0) != (ssize_t)size)
                        die("message");
        }
        return n > 0 ? (uint64_t)n : 0;
}

/* Reads and writes as much as goes; returns bytes that came in. */
static uint64_t turn_bulk(size_t size)
{
        static struct epoll_event events[EVENTS];
        int n = epoll_wait(poller, events, EVENTS, 1000);
        uint64_t total = 0;

        (void)size;
        for (int i = 0; i < n; i++) {
                ssize_t got = 0;

                if (events[i].events & EPOLLIN)
                        got = recv(events[i].data.fd, chunk, sizeof(chunk), MSG_DONTWAIT);
                if (got < 0 && errno != EAGAIN)
                        die("recv");
                total += got > 0 ? (uint64_t)got : 0;
                if (events[i].events & EPOLLOUT)
                        send(events[i].data.fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        }
        return total;
}

static uint64_t turn_connect(size_t size)
{
        int descriptor = open_connection(0);

        echo_once(descriptor, size);
        shutdown(descriptor, SHUT_WR);
        recv(descriptor, chunk, 1, 0);
        close(descriptor);
        return 1;
}

static void measure(uint64_t (*turn)(size_t size), double seconds, size_t size)
{
        int64_t started_ns = clock_ns(CLOCK_MONOTONIC), cpu_ns, elapsed_ns;
        uint64_t n = 0;

        while (clock_ns(CLOCK_MONOTONIC) - started_ns < WARM_UP_NS)
                turn(size);
        started_ns = clock_ns(CLOCK_MONOTONIC);
        cpu_ns = server_cpu_ns();
        do {
                n += turn(size);
                elapsed_ns = clock_ns(CLOCK_MONOTONIC) - started_ns;
        } while ((double)elapsed_ns < seconds * 1e9);
        cpu_ns = server_cpu_ns() - cpu_ns;
        printf("{\"count\": %llu, \"seconds\": %.3f, \"per_second\": %.1f, "
               "\"server_cpu_us_each\": %.5f}\n",
               (unsigned long long)n, (double)elapsed_ns / 1e9,
               (double)n / ((double)elapsed_ns / 1e9), (double)cpu_ns / 1e3 / (double)n);
}

static void run_messages(unsigned n, double seconds, size_t size)
{
        int *descriptors = open_all(n, size);

        for (unsigned i = 0; i < n; i++) {
                watch(descriptors[i], EPOLLIN);
                if (send(descriptors[i], chunk, size, 0) != (ssize_t)size)
                        die("send");
        }
        measure(turn_messages, seconds, size);
        free(descriptors);
}

static void run_bulk(unsigned n, double seconds)
{
        int *descriptors = open_all(n, 1);

        for (unsigned i = 0; i < n; i++)
                watch(descriptors[i], EPOLLIN | EPOLLOUT);
        measure(turn_bulk, seconds, 0);
        free(descriptors);
}

static void run_idle(unsigned n)
{
        int warm_up = open_connection(0);
        long before;

        echo_once(warm_up, 64);
        before = server_resident_bytes();
        free(open_all(n, 64));
        printf("{\"connections\": %u, \"resident_bytes_each\": %.1f}\n", n,
               (double)(server_resident_bytes() - before) / n);
}

int main(int argc, char **argv)
{
        struct rlimit limit;
        unsigned n;
        double seconds;
        size_t size;

        if (argc < 6) {
                fprintf(stderr, "usage: bench-load PID PORT messages|bulk|connect|idle "
                                "CONNECTIONS SECONDS [SIZE]\n");
                return 2;
        }
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        server = atoi(argv[1]);
        port = (uint16_t)atoi(argv[2]);
        n = (unsigned)atoi(argv[4]);
        seconds = atof(argv[5]);
        size = argc > 6 ? (size_t)atol(argv[6]) : 64;
        poller = epoll_create1(EPOLL_CLOEXEC);
        if (strcmp(argv[3], "messages") == 0)
                run_messages(n, seconds, size);
        else if (strcmp(argv[3], "bulk") == 0)
                run_bulk(n, seconds);
        else if (strcmp(argv[3], "connect") == 0)
                measure(turn_connect, seconds, 1);
        else
                run_idle(n);
        return 0;
}
