/* Behind a real HAProxy, with the configuration that the examples have. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "echoc.h"
#include "observe.h"
#include "port.h"
#include "scratch.h"

#define HAPROXY "/usr/sbin/haproxy"

#define N_SERVERS 3

/* As they are told apart in the example. */
enum { SUMMED, PLAINLY_CHECKED, TEXT };

/* HAProxy and what stands behind it. */
struct farm {
        struct daemon *servers[N_SERVERS];
        uint16_t ports[N_SERVERS];
        const char *options;
        pid_t haproxy;
        uint16_t port;
};

static struct farm farm;

/* Ends even if the test fails: what it has started dies with it. */
static pid_t spawn(const char *output, const char *const arguments[])
{
        pid_t pid = fork();

        cr_assert_geq(pid, 0);
        if (pid == 0) {
                int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(fd, STDOUT_FILENO);
                dup2(fd, STDERR_FILENO);
                execvp(arguments[0], (char *const *)(uintptr_t)arguments);
                _exit(127);
        }
        return pid;
}

static int await_exit(pid_t pid)
{
        int status;

        cr_assert_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *contents(const char *path)
{
        static char text[65536];
        FILE *file = fopen(path, "r");

        cr_assert_not_null(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        return text;
}

static void start_server(unsigned i)
{
        char listeners[256];

        snprintf(listeners, sizeof(listeners),
                 "listeners = ( { address = \"127.0.0.1\"; port = %u; proxy_protocol = true; } );"
                 "proxy_sources = [ \"127.0.0.1\" ]; workers = 1;",
                 farm.ports[i]);
        farm.servers[i] = DAEMON("-o", listeners, "-o", farm.options);
}

static void stop_server(unsigned i)
{
        daemon_signal(farm.servers[i], SIGTERM);
        cr_assert_eq(daemon_await_exit(farm.servers[i]), 0);
}

/* -1: it does not listen yet. */
static int connect_to_admin(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", scratch_path("admin.sock"));
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
                return fd;
        close(fd);
        return -1;
}

/* What HAProxy answers. Valid until the next call. */
static const char *administer(const char *command)
{
        static char answer[16384];
        uint64_t deadline = now_ms() + PATIENCE_MS;
        size_t length = 0;
        ssize_t n;
        int fd;

        while ((fd = connect_to_admin()) < 0) {
                cr_assert_lt(now_ms(), deadline, "%s", contents(scratch_path("haproxy.log")));
                cr_assert_eq(waitpid(farm.haproxy, NULL, WNOHANG), 0, "%s",
                             contents(scratch_path("haproxy.log")));
                sleep_ms(5);
        }
        cr_assert_gt(dprintf(fd, "%s\n", command), 0);
        while ((n = recv(fd, answer + length, sizeof(answer) - length - 1, 0)) > 0)
                length += (size_t)n;
        answer[length] = '\0';
        close(fd);
        return answer;
}

/* HAProxy's word on a server; `command` is what follows its name. */
static void set_server(unsigned i, const char *command)
{
        char line[128];
        const char *answer;

        snprintf(line, sizeof(line), "set server echods/echod%u %s", i + 1, command);
        answer = administer(line);
        cr_assert_str_eq(answer, "\n", "%s: %s", line, answer);
}

static void set_environment(const char *name, uint16_t port)
{
        char value[32];

        snprintf(value, sizeof(value), "127.0.0.1:%u", port);
        setenv(name, value, 1);
}

static void start_haproxy(void)
{
        char configuration[512];

        snprintf(configuration, sizeof(configuration), "%s/conf/examples/haproxy.cfg",
                 getenv("SOURCE_ROOT"));
        farm.port = free_port();
        set_environment("HAPROXY_BIND", farm.port);
        set_environment("ECHOD1", farm.ports[0]);
        set_environment("ECHOD2", farm.ports[1]);
        set_environment("ECHOD3", farm.ports[2]);
        setenv("ECHOD2_PORT", port_text(farm.ports[1]), 1);
        setenv("ECHOD3_PORT", port_text(farm.ports[2]), 1);
        setenv("HAPROXY_ADMIN", scratch_path("admin.sock"), 1);
        setenv("HAPROXY_MAXCONN", "1000", 1);
        setenv("HAPROXY_CHECK", "20ms", 1);
        farm.haproxy = spawn(scratch_path("haproxy.log"),
                             (const char *const[]){HAPROXY, "-db", "-f", configuration, NULL});
        administer("show info");
}

static bool is_installed(void)
{
        return access(HAPROXY, X_OK) == 0;
}

/* `options` are those of every echod. */
static void open_farm(const char *options)
{
        farm.options = options;
        for (unsigned i = 0; i < N_SERVERS; i++) {
                farm.ports[i] = free_port();
                start_server(i);
        }
        start_haproxy();
}

static void close_farm(void)
{
        kill(farm.haproxy, SIGKILL);
        await_exit(farm.haproxy);
        for (unsigned i = 0; i < N_SERVERS; i++)
                daemon_stop(farm.servers[i]);
}

TestSuite(haproxy, .init = scratch_make, .fini = scratch_remove, .timeout = 120);

#define SKIP_WITHOUT_HAPROXY()                                    \
        do {                                                      \
                if (!is_installed())                              \
                        cr_skip_test("HAProxy is not installed"); \
        } while (0)

/* The header in three ways: with a checksum, without, and as text. */
Test(haproxy, every_server_sees_the_client_and_not_haproxy)
{
        int clients[N_SERVERS];

        SKIP_WITHOUT_HAPROXY();
        open_farm("log_connections = true;");
        for (unsigned i = 0; i < N_SERVERS; i++) {
                clients[i] = client_connect_from("127.0.0.5", farm.port);
                client_echo(clients[i], "hello"); /* so that the next one goes elsewhere */
        }
        for (unsigned i = 0; i < N_SERVERS; i++) {
                client_half_close(clients[i]);
                client_expect_eof(clients[i]);
                close(clients[i]);
        }
        for (unsigned i = 0; i < N_SERVERS; i++) {
                daemon_await_log(farm.servers[i], "closed peer=127.0.0.5:");
                cr_assert_eq(daemon_count_log(farm.servers[i], "closed peer=127.0.0.5:"), 1);
                cr_assert_not(daemon_has_logged(farm.servers[i], "refused"));
        }
        close_farm();
}

Test(haproxy, a_large_stream_comes_back)
{
        int client;

        SKIP_WITHOUT_HAPROXY();
        open_farm("idle_timeout = 0;");
        client = client_connect(farm.port);
        client_exchange(client, 3000000, 65536);
        close(client);
        close_farm();
}

/* Lines of the log; those of statistics are the test's. */
static unsigned n_lines(struct daemon *daemon)
{
        return daemon_count_log(daemon, "\n") - daemon_count_log(daemon, " statistics ") -
               daemon_count_log(daemon, "_figures ");
}

static void await_at_least(struct daemon *daemon, const char *name, uint64_t n)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        while (statistic(daemon, name) < n) {
                cr_assert_lt(now_ms(), deadline, "%s stays below %llu", name,
                             (unsigned long long)n);
                sleep_ms(20);
        }
}

/* HAProxy's checks have all been good: layer 4 of each server, and never one that failed. */
static void expect_all_up(void)
{
        char *line, *rest = NULL, *statistics = strdup(administer("show stat"));
        unsigned n_up = 0;

        for (line = strtok_r(statistics, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
                n_up += strstr(line, ",echod") && strstr(line, ",UP,") && strstr(line, ",L4OK,");
        cr_assert_eq(n_up, N_SERVERS);
        free(statistics);
}

Test(haproxy, checks_do_not_flood_the_log)
{
        unsigned n_before[N_SERVERS];

        SKIP_WITHOUT_HAPROXY();
        open_farm("idle_timeout = 0;");
        for (unsigned i = 0; i < N_SERVERS; i++)
                n_before[i] = n_lines(farm.servers[i]);
        await_at_least(farm.servers[SUMMED], "accepted", 20);
        await_at_least(farm.servers[TEXT], "accepted", 20);
        for (unsigned i = 0; i < N_SERVERS; i++) {
                cr_assert_eq(n_lines(farm.servers[i]), n_before[i]);
                cr_assert_eq(statistic(farm.servers[i], "refused_proxy_header"), 0);
                cr_assert_eq(statistic(farm.servers[i], "refused_deny"), 0);
        }
        cr_assert_eq(statistic(farm.servers[PLAINLY_CHECKED], "accepted"), 0);
        expect_all_up();
        close_farm();
}

/* Until expect_no_error(). echoc verifies every byte. `mode` may be NULL. */
static pid_t start_load(const char *mode)
{
        return spawn(scratch_path("load"),
                     (const char *const[]){command_echoc(), "--load", "-n", "12", "-t", "3600",
                                           "127.0.0.1", port_text(farm.port), mode, NULL});
}

static void expect_no_error(pid_t load)
{
        const char *result;
        int status;

        kill(load, SIGINT);
        status = await_exit(load);
        result = contents(scratch_path("load"));
        cr_assert_eq(status, 0, "%s", result);
        cr_assert(command_matches(result, "^errors +0$"), "%s", result);
}

/* As the example says: nobody new first. */
Test(haproxy, one_of_three_is_restarted_under_load_and_no_echo_fails)
{
        pid_t load;

        SKIP_WITHOUT_HAPROXY();
        open_farm("idle_timeout = 0;");
        load = start_load("--connect");
        for (unsigned i = 0; i < N_SERVERS; i += 2) {
                await_at_least(farm.servers[i], "received_bytes", 20);
                set_server(i, "state drain");
                stop_server(i);
                daemon_free(farm.servers[i]);
                start_server(i);
                set_server(i, "state ready");
        }
        for (unsigned i = 0; i < N_SERVERS; i++)
                await_at_least(farm.servers[i], "received_bytes", 20);
        expect_no_error(load);
        close_farm();
}

/* Without a word to HAProxy: whoever is served goes on, and who comes is sent to another. */
Test(haproxy, one_of_three_that_drains_keeps_its_clients_and_gets_no_more)
{
        pid_t load;
        int clients[6];

        SKIP_WITHOUT_HAPROXY();
        open_farm("idle_timeout = 0;");
        load = start_load(NULL);
        for (unsigned i = 0; i < N_SERVERS; i++)
                await_statistic(farm.servers[i], "connections", 4);
        daemon_signal(farm.servers[PLAINLY_CHECKED], SIGTERM);
        daemon_await_log(farm.servers[PLAINLY_CHECKED],
                         "no longer accepting, waiting 30.000 s for 4 connections");
        for (unsigned i = 0; i < 6; i++) {
                clients[i] = client_connect(farm.port);
                client_echo(clients[i], "served");
        }
        expect_no_error(load);
        cr_assert_eq(daemon_await_exit(farm.servers[PLAINLY_CHECKED]), 0);
        daemon_free(farm.servers[PLAINLY_CHECKED]);
        for (unsigned i = 0; i < 6; i++) {
                client_echo(clients[i], "still served");
                close(clients[i]);
        }
        start_server(PLAINLY_CHECKED);
        close_farm();
}
