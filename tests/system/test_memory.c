/*
 * What a connection costs: memory while it is idle, system calls while it is busy.
 */

#include <sys/wait.h>

#include "observe.h"

#define N_IDLE     15000
#define BYTES_EACH 400
#define N_WARM     100

/* The daemon as it runs elsewhere: Meson has malloc(3) fill what it gives, which touches it. */
#define MEASURED_DAEMON(...) (unsetenv("MALLOC_PERTURB_"), DAEMON(__VA_ARGS__))

static void connect_idle(const struct daemon *daemon, int clients[], size_t n)
{
        static const char *const sources[] = {"127.0.0.1", "127.0.0.2"};

        for (size_t i = 0; i < n; i++)
                clients[i] = client_connect_from(sources[i % 2], daemon->port);
        /* Each worker takes over its connections in their order; these are everybody's last. */
        for (size_t i = n > 100 ? n - 100 : 0; i < n; i++)
                client_echo(clients[i], "served");
}

static void abort_all(const int clients[], size_t n)
{
        for (size_t i = 0; i < n; i++)
                client_abort(clients[i]);
}

Test(memory, an_idle_connection_with_every_timeout_costs_at_most_400_bytes)
{
        static int warm[N_WARM], clients[N_IDLE];
        struct daemon *daemon;
        size_t before, after;

        if (daemon_is_sanitized())
                cr_skip_test("a sanitizer has memory of its own");
        if (raise_file_limit() < N_IDLE + N_WARM + 200)
                cr_skip_test("the limit on open files is below 15,300");
        daemon = MEASURED_DAEMON("-o",
                                 "idle_timeout = 600; write_timeout = 30; max_lifetime = 3600;");
        connect_idle(daemon, warm, 1);
        before = daemon_resident_bytes(daemon);
        connect_idle(daemon, clients, N_IDLE);
        after = daemon_resident_bytes(daemon);
        cr_log_info("%zu bytes a connection", (after - before) / N_IDLE);
        cr_assert_eq(statistic(daemon, "connections"), N_IDLE + 1);
        cr_assert_leq(after, before + N_IDLE * BYTES_EACH, "%zu bytes a connection",
                      (after - before) / N_IDLE);
        abort_all(clients, N_IDLE);
        abort_all(warm, 1);
        daemon_stop(daemon);
}

Test(memory, crowds_that_come_and_go_do_not_add_up)
{
        enum { N = 1000 };
        static int clients[N];
        struct daemon *daemon;
        size_t first = 0, last = 0;

        if (daemon_is_sanitized())
                cr_skip_test("a sanitizer has memory of its own");
        raise_file_limit();
        daemon = MEASURED_DAEMON("-o",
                                 "idle_timeout = 600; write_timeout = 30; max_lifetime = 3600;");
        await_statistic(daemon, "connections", 0); /* has the pages of that code in memory */
        for (int round = 0; round < 10; round++) {
                connect_idle(daemon, clients, N);
                last = daemon_resident_bytes(daemon);
                first = round == 0 ? last : first;
                abort_all(clients, N);
                await_statistic(daemon, "connections", 0);
        }
        cr_assert_leq(last, first + N * BYTES_EACH / 2, "%zu bytes more after ten rounds",
                      last - first);
        daemon_stop(daemon);
}

/* strace(1) on a daemon, counting the system calls of all its threads. */
struct trace {
        pid_t pid;
        int messages; /* what it has to say of itself */
        char path[32];
};

/* Waits until it says that it has attached, which is when it sees every call. False: it ends. */
static bool await_attached(const struct trace *trace)
{
        char text[1024] = "";
        size_t length = 0;
        ssize_t n;

        while (!strstr(text, " attached")) {
                n = read(trace->messages, text + length, sizeof(text) - 1 - length);
                if (n <= 0)
                        return false;
                length += (size_t)n;
                text[length] = '\0';
        }
        return true;
}

/* False: there is no strace, or it may not trace. */
static bool trace_start(struct trace *trace, const struct daemon *daemon)
{
        char pid[16];
        int ends[2];

        strcpy(trace->path, "/tmp/echod-test-XXXXXX");
        close(mkstemp(trace->path));
        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        trace->messages = ends[0];
        snprintf(pid, sizeof(pid), "%d", (int)daemon->pid);
        trace->pid = fork();
        cr_assert_geq(trace->pid, 0);
        if (trace->pid == 0) {
                dup2(ends[1], STDERR_FILENO);
                execlp("strace", "strace", "-f", "-c", "-o", trace->path, "-p", pid, NULL);
                _exit(127);
        }
        close(ends[1]);
        if (await_attached(trace))
                return true;
        close(trace->messages);
        waitpid(trace->pid, NULL, 0);
        unlink(trace->path);
        return false;
}

/* Waits until the daemon, which has one thread, sleeps: what it did before, strace has seen, since
 * it is not asleep while strace has to look at the end of a call. */
static void await_sleep(const struct daemon *daemon)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;
        char path[64], line[1024], state;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)daemon->pid);
        do {
                cr_assert_lt(now_ms(), deadline, "it never sleeps");
                file = fopen(path, "re");
                cr_assert_not_null(file);
                cr_assert_not_null(fgets(line, sizeof(line), file));
                fclose(file);
                state = strrchr(line, ')')[2];
        } while (state != 'S');
}

/* How often each system call was made that an echoed message may cost; what else, and the last line
 * of that. */
struct calls {
        unsigned long n_reads, n_writes, n_waits, n_others;
        char others[256];
};

static struct calls trace_end(struct trace *trace)
{
        struct calls calls = {0};
        char line[256], name[64];
        unsigned long n;
        FILE *file;

        kill(trace->pid, SIGINT);
        waitpid(trace->pid, NULL, 0);
        close(trace->messages);
        file = fopen(trace->path, "re");
        cr_assert_not_null(file);
        while (fgets(line, sizeof(line), file)) {
                /* % time, seconds, usecs/call, calls, errors if any, syscall */
                if (sscanf(line, "%*f %*f %*u %lu %63[a-z_0-9]", &n, name) != 2 &&
                    sscanf(line, "%*f %*f %*u %lu %*u %63[a-z_0-9]", &n, name) != 2)
                        continue;
                if (strcmp(name, "read") == 0)
                        calls.n_reads += n;
                else if (strcmp(name, "write") == 0)
                        calls.n_writes += n;
                else if (strcmp(name, "epoll_wait") == 0 || strcmp(name, "epoll_pwait") == 0)
                        calls.n_waits += n;
                else if (strcmp(name, "total") != 0 && strcmp(name, "restart_syscall") != 0) {
                        /* restart_syscall(2) is strace's own doing: it interrupts to attach. */
                        calls.n_others += n;
                        snprintf(calls.others, sizeof(calls.others), "%s", line);
                }
        }
        fclose(file);
        unlink(trace->path);
        return calls;
}

Test(memory, a_message_costs_a_read_and_a_write_and_its_share_of_waiting)
{
        enum { N_CLIENTS = 10, N_ROUNDS = 100, N_MESSAGES = N_CLIENTS * N_ROUNDS };
        struct daemon *daemon;
        int clients[N_CLIENTS];
        struct trace trace;
        struct calls calls;

        if (daemon_is_sanitized())
                cr_skip_test("a sanitizer makes system calls of its own");
        daemon = DAEMON("-o", "workers = 1; busy_poll = 0.0; idle_timeout = 60;");
        connect_idle(daemon, clients, N_CLIENTS);
        if (!trace_start(&trace, daemon)) {
                daemon_stop(daemon);
                cr_skip_test("there is no strace(1), or it may not trace");
        }
        for (int round = 0; round < N_ROUNDS; round++)
                for (int i = 0; i < N_CLIENTS; i++)
                        client_echo(clients[i], "to and fro");
        await_sleep(daemon);
        calls = trace_end(&trace);
        cr_log_info("%lu reads, %lu writes, %lu waits", calls.n_reads, calls.n_writes,
                    calls.n_waits);
        cr_assert_eq(calls.n_others, 0, "%s", calls.others);
        cr_assert_eq(calls.n_reads, N_MESSAGES);
        cr_assert_eq(calls.n_writes, N_MESSAGES);
        /* One each, and the few of the other thread's and of strace's interruptions. */
        cr_assert_leq(calls.n_waits, N_MESSAGES + 20);
        abort_all(clients, N_CLIENTS);
        daemon_stop(daemon);
}
