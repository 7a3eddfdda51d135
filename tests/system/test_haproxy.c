/* Behind a real HAProxy, with the configuration that the examples have. */

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "echoc.h"
#include "farm.h"
#include "observe.h"
#include "port.h"
#include "scratch.h"

TestSuite(haproxy, .init = scratch_make, .fini = scratch_remove, .timeout = 120);

#define SKIP_WITHOUT_HAPROXY()                                    \
        do {                                                      \
                if (!farm_is_installed())                         \
                        cr_skip_test("HAProxy is not installed"); \
        } while (0)

/* The header in three ways: with a checksum, without, and as text. */
Test(haproxy, every_server_sees_the_client_and_not_haproxy)
{
        int clients[N_SERVERS];

        SKIP_WITHOUT_HAPROXY();
        farm_open("log_connections = true;");
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
        farm_close();
}

Test(haproxy, a_large_stream_comes_back)
{
        int client;

        SKIP_WITHOUT_HAPROXY();
        farm_open("idle_timeout = 0;");
        client = client_connect(farm.port);
        client_exchange(client, 3000000, 65536);
        close(client);
        farm_close();
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

/* Whether HAProxy's line on a server has this state and this outcome of the last check; the latter
 * has "* " before it while the next check is made. */
static bool is_said(unsigned i, const char *state, const char *check)
{
        char *line, *rest = NULL, *statistics = strdup(farm_administer("show stat")), name[16];
        bool is_found = false;

        snprintf(name, sizeof(name), ",echod%u,", i + 1);
        for (line = strtok_r(statistics, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
                is_found |= strstr(line, name) && strstr(line, state) && strstr(line, check);
        free(statistics);
        return is_found;
}

/* Waits for that: a check fails, too, when HAProxy itself is kept from its work. */
static void await_said(unsigned i, const char *state, const char *check)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        while (!is_said(i, state, check)) {
                cr_assert_lt(now_ms(), deadline, "%s", farm_administer("show stat"));
                sleep_ms(20);
        }
}

Test(haproxy, checks_do_not_flood_the_log)
{
        unsigned n_before[N_SERVERS];

        SKIP_WITHOUT_HAPROXY();
        farm_open("idle_timeout = 0;");
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
        for (unsigned i = 0; i < N_SERVERS; i++)
                await_said(i, ",UP,", "L4OK,");
        farm_close();
}

/* Until expect_no_error(). echoc verifies every byte. `mode` may be NULL. */
static pid_t start_load(const char *mode)
{
        return farm_spawn(scratch_path("load"),
                          (const char *const[]){command_echoc(), "--load", "-n", "12", "-t", "3600",
                                                "127.0.0.1", port_text(farm.port), mode, NULL});
}

static void expect_no_error(pid_t load)
{
        const char *result;
        int status;

        kill(load, SIGINT);
        status = farm_await_exit(load);
        result = farm_contents(scratch_path("load"));
        cr_assert_eq(status, 0, "%s", result);
        cr_assert(command_matches(result, "^errors +0$"), "%s", result);
}

/* As the example says: nobody new first. */
Test(haproxy, one_of_three_is_restarted_under_load_and_no_echo_fails)
{
        pid_t load;

        SKIP_WITHOUT_HAPROXY();
        farm_open("idle_timeout = 0;");
        load = start_load("--connect");
        for (unsigned i = 0; i < N_SERVERS; i += 2) {
                await_at_least(farm.servers[i], "received_bytes", 20);
                farm_set_server(i, "state drain");
                farm_stop_server(i);
                daemon_free(farm.servers[i]);
                farm_start_server(i);
                farm_set_server(i, "state ready");
        }
        for (unsigned i = 0; i < N_SERVERS; i++)
                await_at_least(farm.servers[i], "received_bytes", 20);
        expect_no_error(load);
        farm_close();
}

/* HAProxy hears of it before the listener closes. */
Test(haproxy, one_of_three_says_itself_that_it_goes_and_no_echo_fails)
{
        const char *log;
        pid_t load;

        SKIP_WITHOUT_HAPROXY();
        if (!command_echod_has("metrics"))
                cr_skip_test("built without metrics");
        for (unsigned i = 0; i < N_SERVERS; i++)
                farm.health_ports[i] = free_port();
        farm_open("shutdown_delay = 4;");
        load = start_load("--connect");
        for (unsigned i = 0; i < N_SERVERS; i++)
                await_at_least(farm.servers[i], "received_bytes", 20);
        daemon_signal(farm.servers[TEXT], SIGTERM);
        await_said(TEXT, ",DOWN,", "L7STS,503,");
        cr_assert_eq(daemon_await_exit(farm.servers[TEXT]), 0);
        log = farm_contents(scratch_path("haproxy.log"));
        cr_assert_not(command_matches(log, "code: 400"), "%s", log);
        daemon_free(farm.servers[TEXT]);
        farm_start_server(TEXT);
        await_at_least(farm.servers[TEXT], "received_bytes", 20);
        expect_no_error(load);
        farm_close();
}

/* Waits until the daemon drains; returns for how many connections it waits. */
static unsigned await_drain(struct daemon *daemon)
{
        size_t position = 0;

        daemon_await_log_from(daemon, &position, "no longer accepting, waiting 30.000 s for ");
        return (unsigned)atoi(daemon->log + position);
}

/* Without a word to HAProxy: whoever is served goes on, and who comes is sent to another. */
Test(haproxy, one_of_three_that_drains_keeps_its_clients_and_gets_no_more)
{
        pid_t load;
        int clients[6];

        SKIP_WITHOUT_HAPROXY();
        farm_open("idle_timeout = 0;");
        load = start_load(NULL);
        /* Four each; but two of HAProxy's threads may choose the same server at the same moment. */
        for (unsigned i = 0; i < N_SERVERS; i++)
                await_at_least(farm.servers[i], "connections", 2);
        daemon_signal(farm.servers[PLAINLY_CHECKED], SIGTERM);
        cr_assert_geq(await_drain(farm.servers[PLAINLY_CHECKED]), 2);
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
        farm_start_server(PLAINLY_CHECKED);
        farm_close();
}
