/* A real Prometheus, which scrapes a real echod and answers questions on it. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "page.h"
#include "port.h"
#include "reload.h"
#include "scratch.h"

TestSuite(prometheus, .init = scratch_make, .fini = scratch_remove);

struct prometheus {
        pid_t pid;
        uint16_t port;
};

static bool is_installed(void)
{
        struct outcome outcome;

        command_run(&outcome, NULL,
                    (const char *const[]){"sh", "-c", "command -v prometheus", NULL});
        return outcome.status == 0;
}

/* Starts it, with five scrapes a second of this port. */
static struct prometheus start(uint16_t target)
{
        struct prometheus prometheus = {.port = free_port()};
        char config[512], storage[512], address[64];

        snprintf(config, sizeof(config), "--config.file=%s",
                 scratch_write("prometheus.yml",
                               "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
                               "scrape_configs:\n"
                               "  - job_name: echod\n"
                               "    static_configs: [{targets: [\"127.0.0.1:%u\"]}]\n",
                               target));
        snprintf(storage, sizeof(storage), "--storage.tsdb.path=%s", scratch_path("data"));
        snprintf(address, sizeof(address), "--web.listen-address=127.0.0.1:%u", prometheus.port);
        prometheus.pid = fork();
        cr_assert_geq(prometheus.pid, 0);
        if (prometheus.pid == 0) {
                int log = open(scratch_path("log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(log, STDERR_FILENO);
                execlp("prometheus", "prometheus", config, storage, address, NULL);
                _exit(127);
        }
        return prometheus;
}

static void stop(const struct prometheus *prometheus)
{
        kill(prometheus->pid, SIGTERM);
        cr_assert_eq(waitpid(prometheus->pid, NULL, 0), prometheus->pid);
}

/* Asks until the answer has this value; the query is written as a URL wants it. */
static void await_answer(const struct prometheus *prometheus, const char *query, const char *value)
{
        uint64_t deadline = now_ms() + 2 * PATIENCE_MS;
        char path[512], expected[64];
        const char *answer = "";

        snprintf(path, sizeof(path), "/api/v1/query?query=%s", query);
        snprintf(expected, sizeof(expected), ",\"%s\"]}]}}", value);
        do {
                cr_assert_lt(now_ms(), deadline, "%s is not %s: %s", query, value, answer);
                sleep_ms(50);
                if (try_to_connect(prometheus->port) == 0)
                        answer = page_get(prometheus->port, path);
                cr_assert_eq(waitpid(prometheus->pid, NULL, WNOHANG), 0,
                             "it has ended, see its log");
        } while (!strstr(answer, expected));
}

Test(prometheus, scrapes_and_answers, .timeout = 180)
{
        struct daemon *daemon;
        struct prometheus prometheus;
        int client;

        if (!is_installed())
                cr_skip_test("prometheus is not installed");
        daemon = DAEMON("-o", METRICS "workers = 2; deny = [ \"127.0.0.2\" ];");
        prometheus = start(page_port(daemon));
        await_answer(&prometheus, "up{job=\"echod\"}", "1");
        for (int i = 0; i < 3; i++) {
                client = client_connect(daemon->port);
                client_exchange(client, 1000, 1000);
                close(client);
        }
        client = client_connect_from("127.0.0.2", daemon->port);
        client_expect_reset(client);
        close(client);
        client = client_connect(daemon->port);
        client_echo(client, "open");
        await_answer(&prometheus, "echod_received_bytes_total", "3004");
        await_answer(&prometheus, "echod_connections", "1");
        await_answer(&prometheus, "sum(echod_connections_accepted_total)", "4");
        await_answer(&prometheus, "echod_connections_closed_total{reason=\"eof\"}", "3");
        await_answer(&prometheus, "echod_connections_refused_total{reason=\"deny\"}", "1");
        await_answer(&prometheus, "sum(echod_worker_connections)", "1");
        await_answer(&prometheus, "count(echod_build_info)", "1");
        await_answer(&prometheus, "process_open_fds%3Ebool(0)", "1");
        await_answer(&prometheus, "echod_connection_bytes_count", "3");
        await_answer(&prometheus,
                     "histogram_quantile(0.5,echod_connection_bytes_bucket)%3C=bool(1000)", "1");
        await_answer(&prometheus, "(rate(echod_received_bytes_total[1m])%3Ebool(0))", "1");
        close(client);
        stop(&prometheus);
        daemon_stop(daemon);
}

Test(prometheus, the_example_of_its_configuration_is_good)
{
        struct outcome outcome;
        char path[512];

        if (!is_installed())
                cr_skip_test("prometheus is not installed");
        snprintf(path, sizeof(path), "%s/conf/examples/prometheus.yml", getenv("SOURCE_ROOT"));
        command_run(&outcome, NULL,
                    (const char *const[]){"promtool", "check", "config", path, NULL});
        cr_assert_eq(outcome.status, 0, "%s%s", outcome.out, outcome.err);
}
