#pragma once

/* What the tests of reloading share. */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "scratch.h"

/* A listener of the configuration, for a format string's %s. */
#define ANY_PORT "{ address = \"127.0.0.1\"; port = 0; }"

/* Where the log ends by now. */
static inline size_t log_end(struct daemon *daemon)
{
        daemon_has_logged(daemon, "\n"); /* takes what is there already */
        return daemon->log_length;
}

/* Sends a signal and waits until the log says `outcome`. */
static inline void signal_and_await(struct daemon *daemon, int number, const char *outcome)
{
        size_t position = log_end(daemon);

        daemon_signal(daemon, number);
        daemon_await_log_from(daemon, &position, outcome);
}

static inline void hup(struct daemon *daemon, const char *outcome)
{
        signal_and_await(daemon, SIGHUP, outcome);
}

/* A reload that must succeed. */
static inline void reload(struct daemon *daemon)
{
        hup(daemon, "configuration reloaded");
}

/* A reload that must change nothing. */
static inline void reload_in_vain(struct daemon *daemon)
{
        hup(daemon, "the configuration stays as it was");
}

/* Connects to 127.0.0.1; the error of connect(2), or 0. */
static inline int try_to_connect(uint16_t port)
{
        const struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                error = errno;
        close(fd);
        return error;
}

/* A client of its own comes, is served and goes. */
static inline void assert_serves(uint16_t port)
{
        int client = client_connect(port);

        client_echo(client, "served");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
}

static inline void assert_refuses(uint16_t port)
{
        int error = try_to_connect(port);

        cr_assert_eq(error, ECONNREFUSED, "port %u: %s", port,
                     error ? strerror(error) : "connected");
}

/* Asks for the statistics until a line of the log matches: a worker may count a moment after the
 * client has its bytes. */
static inline void await_statistics(struct daemon *daemon, const char *pattern)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;
        size_t position;

        do {
                cr_assert_lt(now_ms(), deadline, "no '%s' in:\n%s", pattern, daemon->log);
                position = log_end(daemon);
                daemon_signal(daemon, SIGUSR1);
                daemon_await_log_from(daemon, &position, "statistics ");
                daemon_await_log_from(daemon, &position, "\n");
        } while (!command_matches(daemon->log, pattern));
}
