#pragma once

/*
 * echod as a black box: the binary that the environment variable ECHOD names, started as a child.
 * What goes wrong in here fails the running Criterion test with a message.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How long a test waits for what must happen; only a hang takes that long. */
#define PATIENCE_MS 30000

struct daemon {
        pid_t pid;
        int log_descriptor; /* the daemon's standard error */
        char *log;          /* what came out of it so far */
        size_t log_length;
        uint16_t port; /* of the first TCP listener */
};

/*
 * Starts echod with these arguments behind `-c /dev/null` and waits until it serves. Unless one of
 * the arguments speaks of listeners or -c, it listens on 127.0.0.1 and a free port. The list ends
 * with NULL. daemon_stop() or daemon_await_exit() ends it.
 */
struct daemon *daemon_start(const char *const arguments[]);

/* DAEMON("-o", "workers = 1;") */
#define DAEMON(...) daemon_start((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* The same without waiting, and without arguments of its own. */
struct daemon *daemon_spawn(const char *const arguments[]);

/* The same; `prepare` runs in the child before. */
struct daemon *daemon_spawn_prepared(const char *const arguments[],
                                     void (*prepare)(const void *user), const void *user);

void daemon_signal(const struct daemon *daemon, int number);

/* Waits until the log has `needle` at or after `*position`, and moves that behind it. */
void daemon_await_log_from(struct daemon *daemon, size_t *position, const char *needle);

/* Waits until the log has `needle` anywhere. */
void daemon_await_log(struct daemon *daemon, const char *needle);

/* Reads what the daemon has logged by now; whether `needle` is in the log. */
bool daemon_has_logged(struct daemon *daemon, const char *needle);

/* How many times `needle` is in the log by now. */
unsigned daemon_count_log(struct daemon *daemon, const char *needle);

/* Waits for the end; returns the exit status, or 128 + signal. The log can still be read. */
int daemon_await_exit(struct daemon *daemon);

/* TERM; expects exit status 0; frees. */
void daemon_stop(struct daemon *daemon);

/* For a daemon that has exited. */
void daemon_free(struct daemon *daemon);

/* CPU time used, user and system, in clock ticks (sysconf(_SC_CLK_TCK) a second). */
uint64_t daemon_cpu_ticks(const struct daemon *daemon);

/* Resident memory in bytes. */
size_t daemon_resident_bytes(const struct daemon *daemon);

/* Open descriptors. */
unsigned daemon_count_descriptors(const struct daemon *daemon);

/* Whether it was built with a sanitizer, so that memory and time mean nothing. */
bool daemon_is_sanitized(void);

/* Milliseconds of the monotonic clock. */
uint64_t now_ms(void);

/* Sleeps; for what takes time by its nature, such as a timeout that must not come. */
void sleep_ms(unsigned ms);
