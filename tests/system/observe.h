#pragma once

/*
 * What several system tests do with a daemon and its clients, beyond tests/lib.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"

/* Nothing has moved for so long: what was to be filled is full. */
#define QUIET_MS 300

/* CPU time, in ticks, that the daemon uses in the next so many milliseconds. */
static inline uint64_t cpu_ticks_during(const struct daemon *daemon, unsigned ms)
{
        uint64_t before = daemon_cpu_ticks(daemon);

        sleep_ms(ms);
        return daemon_cpu_ticks(daemon) - before;
}

/*
 * The daemon uses no more than so many ticks in so many milliseconds. Measured until that is so, at
 * most three times: time that others took from it may be counted as its own, but not each time.
 */
static inline void expect_idle(const struct daemon *daemon, unsigned ms, uint64_t max_ticks)
{
        uint64_t n_ticks = 0;

        for (int attempt = 0; attempt < 3; attempt++) {
                n_ticks = cpu_ticks_during(daemon, ms);
                if (n_ticks <= max_ticks)
                        return;
        }
        cr_assert_fail("three times busy, the last time for %llu ticks",
                       (unsigned long long)n_ticks);
}

/* Waits until the daemon has exactly so many descriptors open. */
static inline void await_descriptors(const struct daemon *daemon, unsigned expected)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        while (daemon_count_descriptors(daemon) != expected) {
                cr_assert_lt(now_ms(), deadline, "%u descriptors are open instead of %u",
                             daemon_count_descriptors(daemon), expected);
                sleep_ms(10);
        }
}

/* The first line at or after `*position` of the log that has `needle`; moves `*position` to its
 * end. Valid until the log is read again. */
static inline const char *await_line(struct daemon *daemon, size_t *position, const char *needle)
{
        size_t start;

        daemon_await_log_from(daemon, position, needle);
        start = *position - strlen(needle);
        daemon_await_log_from(daemon, position, "\n");
        while (start > 0 && daemon->log[start - 1] != '\n')
                start--;
        return daemon->log + start;
}

/* The number behind `name=` in a line of the log. */
static inline double value_in(const char *line, const char *name)
{
        const char *end = strchr(line, '\n'), *found;
        char key[64];

        snprintf(key, sizeof(key), " %s=", name);
        found = strstr(line, key);
        cr_assert(found && (!end || found < end), "no '%s' in: %.400s", name, line);
        return strtod(found + strlen(key), NULL);
}

/* One of the numbers that USR1 has logged. */
static inline uint64_t statistic(struct daemon *daemon, const char *name)
{
        size_t position;

        daemon_has_logged(daemon, "\n"); /* takes what is there already */
        position = daemon->log_length;
        daemon_signal(daemon, SIGUSR1);
        return (uint64_t)value_in(await_line(daemon, &position, " statistics "), name);
}

/* Waits until one of those numbers has this value. */
static inline void await_statistic(struct daemon *daemon, const char *name, uint64_t expected)
{
        uint64_t deadline = now_ms() + PATIENCE_MS, value;

        while ((value = statistic(daemon, name)) != expected) {
                cr_assert_lt(now_ms(), deadline, "%s is %llu instead of %llu", name,
                             (unsigned long long)value, (unsigned long long)expected);
                sleep_ms(20);
        }
}

/*
 * A client that has got an answer before any timeout can come in its way, however slow the test is:
 * what it says is there when the daemon, which stands still until then, finds it.
 */
static inline int enter_at_once(struct daemon *daemon, const char *text)
{
        char answer[64];
        size_t length = strlen(text);
        int client, status;

        cr_assert_leq(length, sizeof(answer));
        daemon_signal(daemon, SIGSTOP);
        cr_assert_eq(waitpid(daemon->pid, &status, WUNTRACED), daemon->pid);
        cr_assert(WIFSTOPPED(status), "it has ended:\n%s", daemon->log);
        client = client_connect(daemon->port);
        client_send(client, text, length);
        daemon_signal(daemon, SIGCONT);
        client_receive(client, answer, length);
        cr_assert_arr_eq(answer, text, length);
        return client;
}

/* A client that takes very little: its buffers are the kernel's smallest. */
static inline int connect_narrow(uint16_t port)
{
        int fd = client_connect_with_buffer(port, 4096);

        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
        return fd;
}

/* A client that sends so many bytes, gets them back, and ends its stream. */
static inline void exchange_and_close(int client, uint64_t n)
{
        client_exchange(client, n, 1000);
        close(client);
}

/* Sends the pattern on all sockets, reads on none, until none takes more; adds to `sent`. */
static inline void fill_all(const int sockets[], uint64_t sent[], size_t n)
{
        static uint8_t bytes[65536];
        struct pollfd *ready = calloc(n, sizeof(*ready));

        cr_assert_not_null(ready);
        for (size_t i = 0; i < n; i++)
                ready[i] = (struct pollfd){.fd = sockets[i], .events = POLLOUT};
        while (poll(ready, n, QUIET_MS) > 0) {
                for (size_t i = 0; i < n; i++) {
                        ssize_t taken;

                        if (!ready[i].revents)
                                continue;
                        for (size_t j = 0; j < sizeof(bytes); j++)
                                bytes[j] = client_pattern(sent[i] + j);
                        taken = send(sockets[i], bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
                        cr_assert(taken > 0 || errno == EAGAIN, "send: %s", strerror(errno));
                        sent[i] += taken > 0 ? (uint64_t)taken : 0;
                }
        }
        free(ready);
}

/*
 * The same until the daemon holds bytes that nobody takes: one that is kept from its work may leave
 * the sockets full for longer than QUIET_MS, and then find room for all.
 */
static inline void fill_until_pending(struct daemon *daemon, const int sockets[], uint64_t sent[],
                                      size_t n)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        do {
                cr_assert_lt(now_ms(), deadline, "nothing is pending");
                fill_all(sockets, sent, n);
        } while (statistic(daemon, "pending_bytes") == 0);
}

/* The same until they are stuck for good: the daemon, whose only worker is in the main loop, has
 * come round since nobody took any more, and still nobody does. */
static inline void fill_until_stuck(struct daemon *daemon, const int sockets[], uint64_t sent[],
                                    size_t n)
{
        uint64_t before, after = 0;

        do {
                before = after;
                fill_until_pending(daemon, sockets, sent, n);
                after = 0;
                for (size_t i = 0; i < n; i++)
                        after += sent[i];
        } while (after > before);
}

/* Lets this process have as many descriptors as it may. */
static inline rlim_t raise_file_limit(void)
{
        struct rlimit limit;

        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        return limit.rlim_cur;
}

/*
 * Runs a measurement of how many seconds late something was, until one is within 0.1 s, at most
 * three times: a busy machine may be late, a mistake always is.
 */
static inline void expect_punctual(const char *name, double (*measure_lateness)(void))
{
        double lateness = 0;

        for (int attempt = 0; attempt < 3; attempt++) {
                lateness = measure_lateness();
                if (lateness <= 0.1)
                        return;
        }
        cr_assert_fail("%s: three times late, the last time by %.3f s", name, lateness);
}

/* How long the next connection that the log says is closed was open, in seconds; expects a reason.
 */
static inline double closed_after(struct daemon *daemon, const char *reason)
{
        const char *line, *found;
        size_t position = 0;
        char key[64];

        snprintf(key, sizeof(key), " reason=%s", reason);
        line = await_line(daemon, &position, " closed peer=");
        found = strstr(line, key);
        cr_assert(found && found < strchr(line, '\n'), "closed for another reason: %.400s", line);
        return value_in(line, "duration");
}

/* Without reading, sends until nothing more is taken; returns for how many seconds it was. */
static inline double stuff(int socket)
{
        static const char bytes[65536];
        uint64_t start = now_ms(), last = start;

        while (poll(&(struct pollfd){.fd = socket, .events = POLLOUT}, 1, 100) > 0) {
                if (send(socket, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                        last = now_ms();
                else if (errno != EAGAIN)
                        break; /* it was reset before: the caller will see */
        }
        return (double)(last - start) / 1e3;
}

/* The same until it is reset, whenever there is room again. */
static inline double stuff_until_reset(int socket)
{
        static const char bytes[65536];
        uint64_t start = now_ms(), last = start;
        int error = EAGAIN;

        while (error == EAGAIN) {
                struct pollfd ready = {.fd = socket, .events = POLLOUT};

                cr_assert_gt(poll(&ready, 1, PATIENCE_MS), 0, "it is never reset");
                if (send(socket, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                        last = now_ms();
                else
                        error = errno;
        }
        if (error == EPIPE)
                client_expect_reset(socket); /* a Unix socket tells it only who reads */
        else
                cr_assert_eq(error, ECONNRESET, "instead of a reset: %s", strerror(error));
        return (double)(last - start) / 1e3;
}
