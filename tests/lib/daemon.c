#include "daemon.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64

uint64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms)
{
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static const char *binary(void)
{
        const char *path = getenv("ECHOD");

        cr_assert_not_null(path, "the environment variable ECHOD names the binary");
        return path;
}

struct daemon *daemon_spawn_prepared(const char *const arguments[],
                                     void (*prepare)(const void *user), const void *user)
{
        struct daemon *daemon = calloc(1, sizeof(*daemon));
        const char *argv[ARGUMENTS_MAX] = {binary()};
        int ends[2];

        cr_assert_not_null(daemon);
        for (size_t i = 0; arguments[i]; i++) {
                cr_assert_lt(i + 2, ARGUMENTS_MAX);
                argv[i + 1] = arguments[i];
        }
        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        fcntl(ends[1], F_SETPIPE_SZ, 1 << 20); /* so that a busy test need not read along */
        daemon->pid = fork();
        cr_assert_geq(daemon->pid, 0);
        if (daemon->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
                dup2(ends[1], STDERR_FILENO);
                if (prepare)
                        prepare(user);
                execv(argv[0], (char *const *)(uintptr_t)argv);
                _exit(127);
        }
        close(ends[1]);
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        daemon->log_descriptor = ends[0];
        return daemon;
}

struct daemon *daemon_spawn(const char *const arguments[])
{
        return daemon_spawn_prepared(arguments, NULL, NULL);
}

struct daemon *daemon_start(const char *const arguments[])
{
        const char *all[ARGUMENTS_MAX] = {"-c", "/dev/null"};
        bool has_listeners = false;
        size_t n = 2;
        struct daemon *daemon;
        const char *line;

        for (size_t i = 0; arguments[i]; i++) {
                all[n++] = arguments[i];
                if (strstr(arguments[i], "listeners") || strcmp(arguments[i], "-c") == 0)
                        has_listeners = true;
        }
        if (!has_listeners) {
                all[n++] = "-o";
                all[n++] = "listeners = ( { address = \"127.0.0.1\"; port = 0; } );";
        }
        all[n] = NULL;
        daemon = daemon_spawn(all);
        daemon_await_log(daemon, "read_buffer");
        for (line = daemon->log; (line = strstr(line, "listening on ")); line++) {
                const char *end = strchr(line, '\n'), *colon = memrchr(line, ':', end - line);

                if (colon && line[strlen("listening on ")] != '/') {
                        daemon->port = (uint16_t)atoi(colon + 1);
                        break;
                }
        }
        return daemon;
}

void daemon_signal(const struct daemon *daemon, int number)
{
        cr_assert_eq(kill(daemon->pid, number), 0);
}

/* Waits for more of the log; false at its end. */
static bool read_log(struct daemon *daemon, int ms)
{
        struct pollfd readable = {.fd = daemon->log_descriptor, .events = POLLIN};
        ssize_t n;

        if (poll(&readable, 1, ms) <= 0)
                return true;
        daemon->log = realloc(daemon->log, daemon->log_length + 65537);
        cr_assert_not_null(daemon->log);
        n = read(daemon->log_descriptor, daemon->log + daemon->log_length, 65536);
        if (n > 0)
                daemon->log_length += (size_t)n;
        daemon->log[daemon->log_length] = '\0';
        return n != 0;
}

/* Takes what is there already. */
static void drain_log(struct daemon *daemon)
{
        size_t before;

        do {
                before = daemon->log_length;
                read_log(daemon, 0);
        } while (daemon->log_length > before);
}

void daemon_await_log_from(struct daemon *daemon, size_t *position, const char *needle)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;
        bool is_open = true;

        for (;;) {
                const char *found = daemon->log ? strstr(daemon->log + *position, needle) : NULL;

                if (found) {
                        *position = (size_t)(found - daemon->log) + strlen(needle);
                        return;
                }
                cr_assert(is_open && now_ms() < deadline, "no '%s' in the log:\n%s", needle,
                          daemon->log ? daemon->log : "");
                is_open = read_log(daemon, 100);
        }
}

void daemon_await_log(struct daemon *daemon, const char *needle)
{
        size_t position = 0;

        daemon_await_log_from(daemon, &position, needle);
}

unsigned daemon_count_log(struct daemon *daemon, const char *needle)
{
        unsigned n = 0;

        drain_log(daemon);
        cr_assert_neq(needle[0], '\0');
        for (const char *p = daemon->log; p && (p = strstr(p, needle)); p++)
                n++;
        return n;
}

bool daemon_has_logged(struct daemon *daemon, const char *needle)
{
        return daemon_count_log(daemon, needle) > 0;
}

int daemon_await_exit(struct daemon *daemon)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;
        int status;

        while (read_log(daemon, 100)) /* its end is the daemon's */
                cr_assert_lt(now_ms(), deadline, "it does not end; its log:\n%s", daemon->log);
        cr_assert_eq(waitpid(daemon->pid, &status, 0), daemon->pid);
        daemon->pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void daemon_free(struct daemon *daemon)
{
        cr_assert_eq(daemon->pid, 0, "still running");
        close(daemon->log_descriptor);
        free(daemon->log);
        free(daemon);
}

void daemon_stop(struct daemon *daemon)
{
        int status;

        daemon_signal(daemon, SIGTERM);
        status = daemon_await_exit(daemon);
        cr_assert_eq(status, 0, "exit status %d; the log:\n%s", status, daemon->log);
        daemon_free(daemon);
}

uint64_t daemon_cpu_ticks(const struct daemon *daemon)
{
        unsigned long user = 0, system = 0;
        char path[64], line[1024] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)daemon->pid);
        file = fopen(path, "re");
        cr_assert_not_null(file);
        cr_assert_not_null(fgets(line, sizeof(line), file));
        fclose(file);
        /* Fields 14 and 15; the second one, in parentheses, may contain anything. */
        cr_assert_eq(sscanf(strrchr(line, ')') + 2,
                            "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
                     2);
        return user + system;
}

size_t daemon_resident_bytes(const struct daemon *daemon)
{
        char path[64];
        unsigned long pages = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/statm", (int)daemon->pid);
        file = fopen(path, "re");
        cr_assert_not_null(file);
        cr_assert_eq(fscanf(file, "%*u %lu", &pages), 1);
        fclose(file);
        return pages * (size_t)sysconf(_SC_PAGESIZE);
}

unsigned daemon_count_descriptors(const struct daemon *daemon)
{
        char path[64];
        unsigned n = 0;
        struct dirent *entry;
        DIR *directory;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)daemon->pid);
        directory = opendir(path);
        cr_assert_not_null(directory);
        while ((entry = readdir(directory)))
                n += entry->d_name[0] != '.';
        closedir(directory);
        return n;
}

bool daemon_is_sanitized(void)
{
        return getenv("ECHOD_SANITIZED") != NULL;
}
