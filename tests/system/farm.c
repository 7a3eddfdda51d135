#include "farm.h"

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
#include "echoc.h"
#include "observe.h"
#include "port.h"
#include "scratch.h"

#define HAPROXY "/usr/sbin/haproxy"

struct farm farm;

pid_t farm_spawn(const char *output, const char *const arguments[])
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

int farm_await_exit(pid_t pid)
{
        int status;

        cr_assert_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *farm_contents(const char *path)
{
        static char text[65536];
        FILE *file = fopen(path, "r");

        cr_assert_not_null(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        return text;
}

void farm_start_server(unsigned i)
{
        char listeners[256], metrics[64] = "";

        snprintf(listeners, sizeof(listeners),
                 "listeners = ( { address = \"127.0.0.1\"; port = %u; proxy_protocol = true; } );"
                 "proxy_sources = [ \"127.0.0.1\" ]; workers = 1;",
                 farm.ports[i]);
        if (farm.health_ports[i] > 0)
                snprintf(metrics, sizeof(metrics), "metrics = { port = %u; };",
                         farm.health_ports[i]);
        farm.servers[i] = DAEMON("-o", listeners, "-o", metrics, "-o", farm.options);
}

void farm_stop_server(unsigned i)
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

const char *farm_administer(const char *command)
{
        static char answer[16384];
        uint64_t deadline = now_ms() + PATIENCE_MS;
        size_t length = 0;
        ssize_t n;
        int fd;

        while ((fd = connect_to_admin()) < 0) {
                cr_assert_lt(now_ms(), deadline, "%s", farm_contents(scratch_path("haproxy.log")));
                cr_assert_eq(waitpid(farm.haproxy, NULL, WNOHANG), 0, "%s",
                             farm_contents(scratch_path("haproxy.log")));
                sleep_ms(5);
        }
        cr_assert_gt(dprintf(fd, "%s\n", command), 0);
        while ((n = recv(fd, answer + length, sizeof(answer) - length - 1, 0)) > 0)
                length += (size_t)n;
        answer[length] = '\0';
        close(fd);
        return answer;
}

void farm_set_server(unsigned i, const char *command)
{
        char line[128];
        const char *answer;

        snprintf(line, sizeof(line), "set server echods/echod%u %s", i + 1, command);
        answer = farm_administer(line);
        cr_assert_str_eq(answer, "\n", "%s: %s", line, answer);
}

static void set_environment(const char *name, uint16_t port)
{
        char value[32];

        snprintf(value, sizeof(value), "127.0.0.1:%u", port);
        setenv(name, value, 1);
}

/* The example, changed as it says itself so that its checks ask each echod whether it is ready. */
static void write_configuration(char *path, size_t size)
{
        static const char CHANGE[] = "/default-server/i option httpchk GET /readyz\n"
                                     "/^ *server/s/ check.*//\n"
                                     "s/^ *server echod\\(.\\).*/& check port \"${READY\\1}\"/";
        struct outcome outcome;

        command_run(&outcome, NULL, (const char *const[]){"sed", CHANGE, path, NULL});
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
        snprintf(path, size, "%s", scratch_write("haproxy.cfg", "%s", outcome.out));
        setenv("READY1", port_text(farm.health_ports[0]), 1);
        setenv("READY2", port_text(farm.health_ports[1]), 1);
        setenv("READY3", port_text(farm.health_ports[2]), 1);
}

static void start_haproxy(void)
{
        char configuration[512];

        snprintf(configuration, sizeof(configuration), "%s/conf/examples/haproxy.cfg",
                 getenv("SOURCE_ROOT"));
        if (farm.health_ports[0] > 0)
                write_configuration(configuration, sizeof(configuration));
        farm.port = free_port();
        set_environment("HAPROXY_BIND", farm.port);
        set_environment("ECHOD1", farm.ports[0]);
        set_environment("ECHOD2", farm.ports[1]);
        set_environment("ECHOD3", farm.ports[2]);
        setenv("ECHOD2_PORT", port_text(farm.ports[1]), 1);
        setenv("ECHOD3_PORT", port_text(farm.ports[2]), 1);
        setenv("HAPROXY_ADMIN", scratch_path("admin.sock"), 1);
        setenv("HAPROXY_MAXCONN", "1000", 1);
        /* A check that asks must have its answer in that time, too. */
        setenv("HAPROXY_CHECK", farm.health_ports[0] > 0 ? "500ms" : "100ms", 1);
        farm.haproxy = farm_spawn(scratch_path("haproxy.log"),
                                  (const char *const[]){HAPROXY, "-db", "-f", configuration, NULL});
        farm_administer("show info");
}

bool farm_is_installed(void)
{
        return access(HAPROXY, X_OK) == 0;
}

void farm_open(const char *options)
{
        farm.options = options;
        for (unsigned i = 0; i < N_SERVERS; i++) {
                farm.ports[i] = free_port();
                farm_start_server(i);
        }
        start_haproxy();
}

void farm_close(void)
{
        kill(farm.haproxy, SIGKILL);
        farm_await_exit(farm.haproxy);
        /* All at once, since each may wait for its shutdown_delay. */
        for (unsigned i = 0; i < N_SERVERS; i++)
                daemon_signal(farm.servers[i], SIGTERM);
        for (unsigned i = 0; i < N_SERVERS; i++)
                daemon_stop(farm.servers[i]);
}
