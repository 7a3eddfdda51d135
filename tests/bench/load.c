/*
 * A bounded load on an echo server, and what it costs that server: its CPU time is read from the
 * kernel's clock of the process and its children, so that the client's own time and the machine's
 * do not count.
 *
 *     bench-load PID PORT messages CONNECTIONS SECONDS [DEPTH]  so many under way on each
 *     bench-load PID PORT spin     CONNECTIONS SECONDS [DEPTH]  as messages, without sleeping
 *     bench-load PID PORT bulk     CONNECTIONS SECONDS          streams, as fast as they go
 *     bench-load PID PORT connect  1           SECONDS          open, a byte, close, again
 *     bench-load PID PORT idle     CONNECTIONS 0                open until standard input ends
 *
 * Prints one line of JSON. The latency is that of the messages of the first connection; with more
 * than one under way there, none is told.
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
#define SOURCES     200
#define BULK_CHUNK  (256 * 1024)
#define MESSAGE     64
#define DEPTH_MAX   256
#define SAMPLES_MAX (1 << 21)
#define WARM_UP_NS  200000000LL

static pid_t server;
static uint16_t port;
static int poller;
static char chunk[BULK_CHUNK];
static int wait_ms = 1000; /* how long to sleep for an answer */
static int timed = -1;     /* the connection whose latency is measured */
static int64_t timed_ns;   /* when its message was sent */
static uint32_t samples_ns[SAMPLES_MAX];
static size_t n_samples;

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

static int64_t cpu_ns_of(pid_t process)
{
        clockid_t clock;
        struct timespec spent;

        if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &spent) < 0)
                return -1;
        return (int64_t)spent.tv_sec * 1000000000 + spent.tv_nsec;
}

/* Children that are there; what those have spent that are gone is not counted. */
static int64_t children_cpu_ns(pid_t parent)
{
        char path[64];
        int64_t total_ns = 0;
        int child;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
        file = fopen(path, "re");
        if (!file)
                return 0;
        while (fscanf(file, "%d", &child) == 1) {
                int64_t child_ns = cpu_ns_of(child);

                total_ns += (child_ns > 0 ? child_ns : 0) + children_cpu_ns(child);
        }
        fclose(file);
        return total_ns;
}

static int64_t server_cpu_ns(void)
{
        int64_t own_ns = cpu_ns_of(server);

        if (own_ns < 0)
                die("the server's CPU clock");
        return own_ns + children_cpu_ns(server);
}

static int open_connection(unsigned index)
{
        struct sockaddr_in source = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + index / EACH_SOURCE % SOURCES),
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
        setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
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

static void take_sample(void)
{
        int64_t now_ns = clock_ns(CLOCK_MONOTONIC);

        if (n_samples < SAMPLES_MAX)
                samples_ns[n_samples++] = (uint32_t)(now_ns - timed_ns);
        timed_ns = now_ns;
}

/* Answers what came back with as many new messages; returns how many those were. */
static uint64_t turn_messages(void)
{
        static struct epoll_event events[EVENTS];
        int n = epoll_wait(poller, events, EVENTS, wait_ms);
        uint64_t total = 0;

        for (int i = 0; i < n; i++) {
                int descriptor = events[i].data.fd;
                ssize_t got = recv(descriptor, chunk, DEPTH_MAX * MESSAGE, 0);

                if (got <= 0)
                        die("recv");
                if (descriptor == timed)
                        take_sample();
                if (send(descriptor, chunk, (size_t)got, 0) != got)
                        die("send");
                total += (uint64_t)got;
        }
        return total / MESSAGE;
}

/* Reads and writes as much as goes; returns bytes that came in. */
static uint64_t turn_bulk(void)
{
        static struct epoll_event events[EVENTS];
        int n = epoll_wait(poller, events, EVENTS, wait_ms);
        uint64_t total = 0;

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

static uint64_t turn_connect(void)
{
        static unsigned index;
        int descriptor = open_connection(index++);

        echo_once(descriptor, 1);
        shutdown(descriptor, SHUT_WR);
        recv(descriptor, chunk, 1, 0);
        close(descriptor);
        return 1;
}

static int compare_samples(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

static void print_latency(void)
{
        if (n_samples == 0)
                return;
        qsort(samples_ns, n_samples, sizeof(*samples_ns), compare_samples);
        printf("\"p50_us\": %.3f, \"p99_us\": %.3f, ", samples_ns[n_samples / 2] / 1e3,
               samples_ns[n_samples - 1 - n_samples / 100] / 1e3);
}

static void measure(uint64_t (*turn)(void), double seconds)
{
        int64_t started_ns = clock_ns(CLOCK_MONOTONIC), cpu_ns, elapsed_ns;
        uint64_t n = 0;

        while (clock_ns(CLOCK_MONOTONIC) - started_ns < WARM_UP_NS)
                turn();
        n_samples = 0;
        started_ns = clock_ns(CLOCK_MONOTONIC);
        cpu_ns = server_cpu_ns();
        do {
                n += turn();
                elapsed_ns = clock_ns(CLOCK_MONOTONIC) - started_ns;
        } while ((double)elapsed_ns < seconds * 1e9);
        cpu_ns = server_cpu_ns() - cpu_ns;
        printf("{");
        print_latency();
        printf("\"count\": %llu, \"seconds\": %.3f, \"per_second\": %.1f, "
               "\"server_cpu_us_each\": %.6f}\n",
               (unsigned long long)n, (double)elapsed_ns / 1e9,
               (double)n / ((double)elapsed_ns / 1e9), (double)cpu_ns / 1e3 / (double)n);
}

static void run_messages(unsigned n, double seconds, unsigned depth)
{
        int *descriptors = open_all(n, MESSAGE);

        if (depth == 1)
                timed = descriptors[0];
        timed_ns = clock_ns(CLOCK_MONOTONIC);
        for (unsigned i = 0; i < n; i++) {
                watch(descriptors[i], EPOLLIN);
                if (send(descriptors[i], chunk, depth * MESSAGE, 0) != depth * MESSAGE)
                        die("send");
        }
        measure(turn_messages, seconds);
        free(descriptors);
}

static void run_bulk(unsigned n, double seconds)
{
        int *descriptors = open_all(n, 1);

        for (unsigned i = 0; i < n; i++)
                watch(descriptors[i], EPOLLIN | EPOLLOUT);
        measure(turn_bulk, seconds);
        free(descriptors);
}

static void run_idle(unsigned n)
{
        int *descriptors = open_all(n, MESSAGE);

        puts("open");
        fflush(stdout);
        getchar();
        free(descriptors);
}

int main(int argc, char **argv)
{
        struct rlimit limit;
        unsigned n;
        double seconds;
        unsigned depth;

        if (argc < 6) {
                fprintf(stderr, "usage: bench-load PID PORT messages|spin|bulk|connect|idle "
                                "CONNECTIONS SECONDS [DEPTH]\n");
                return 2;
        }
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        server = atoi(argv[1]);
        port = (uint16_t)atoi(argv[2]);
        n = (unsigned)atoi(argv[4]);
        seconds = atof(argv[5]);
        depth = argc > 6 ? (unsigned)atoi(argv[6]) : 1;
        if (depth < 1 || depth > DEPTH_MAX)
                return 2;
        poller = epoll_create1(EPOLL_CLOEXEC);
        if (strcmp(argv[3], "spin") == 0)
                wait_ms = 0;
        if (strcmp(argv[3], "messages") == 0 || wait_ms == 0)
                run_messages(n, seconds, depth);
        else if (strcmp(argv[3], "bulk") == 0)
                run_bulk(n, seconds);
        else if (strcmp(argv[3], "connect") == 0)
                measure(turn_connect, seconds);
        else
                run_idle(n);
        return 0;
}
