/*
 * Who may come in, and how many: max_connections, allow and deny, and the spread over workers.
 */

#include <dirent.h>

#include "observe.h"

Test(limits, waiting_clients_are_served_in_order_as_places_come_free)
{
        enum { N = 10 };
        struct daemon *daemon = DAEMON("-o", "max_connections = 1; when_full = \"wait\";");
        char answers[2];
        int clients[N];

        for (int i = 0; i < N; i++) {
                clients[i] = client_connect(daemon->port);
                client_send(clients[i], "hi", 2);
        }
        for (int i = 0; i < N; i++) {
                client_receive(clients[i], answers, 2);
                for (int j = i + 1; j < N; j++)
                        cr_assert_not(client_is_readable(clients[j], j == i + 1 ? 20 : 0),
                                      "client %d is served while client %d is there", j, i);
                close(clients[i]);
        }
        await_statistic(daemon, "accepted", N);
        cr_assert_eq(statistic(daemon, "refused_full"), 0);
        daemon_stop(daemon);
}

Test(limits, waiting_clients_that_give_up_cost_the_others_nothing)
{
        enum { N = 60 };
        struct daemon *daemon = DAEMON("-o", "max_connections = 1; when_full = \"wait\";");
        int first = client_connect(daemon->port), clients[N];

        client_echo(first, "the only place");
        for (int i = 0; i < N; i++) {
                clients[i] = client_connect(daemon->port);
                client_send(clients[i], "hello", 5);
        }
        for (int i = 0; i < N; i += 3)
                client_abort(clients[i]);
        for (int i = 1; i < N; i += 3)
                client_half_close(clients[i]);
        close(first);
        for (int i = 0; i < N; i++) {
                char answer[5];

                if (i % 3 == 0)
                        continue;
                client_receive(clients[i], answer, sizeof(answer));
                cr_assert_arr_eq(answer, "hello", sizeof(answer));
                if (i % 3 == 1)
                        client_expect_eof(clients[i]);
                close(clients[i]);
        }
        await_statistic(daemon, "connections", 0);
        daemon_stop(daemon);
}

Test(limits, a_hundred_come_and_go_through_three_places)
{
        enum { N = 100 };
        struct daemon *daemon = DAEMON("-o", "max_connections = 3; workers = 2;");
        int clients[N];

        for (int i = 0; i < N; i++) {
                clients[i] = client_connect(daemon->port);
                client_send(clients[i], "hi", 2);
                client_half_close(clients[i]);
        }
        for (int i = 0; i < N; i++) {
                char answer[2];

                client_receive(clients[i], answer, sizeof(answer));
                client_expect_eof(clients[i]);
                close(clients[i]);
        }
        cr_assert_eq(statistic(daemon, "accepted"), N);
        daemon_stop(daemon);
}

Test(limits, clients_too_many_are_reset_and_counted_when_full_is_reject)
{
        struct daemon *daemon = DAEMON("-o", "max_connections = 2; when_full = \"reject\";");
        int first = client_connect(daemon->port), second = client_connect(daemon->port);

        client_echo(first, "first");
        client_echo(second, "second");
        for (int i = 0; i < 5; i++) {
                int third = client_connect(daemon->port);

                client_expect_reset(third);
                close(third);
        }
        cr_assert_eq(statistic(daemon, "refused_full"), 5);
        cr_assert_eq(statistic(daemon, "accepted"), 2);
        close(first);
        await_statistic(daemon, "connections", 1);
        first = client_connect(daemon->port);
        client_echo(first, "a place has come free");
        client_echo(second, "still here");
        close(first);
        close(second);
        daemon_stop(daemon);
}

Test(limits, max_connections_beyond_the_limit_on_open_files_is_lowered_with_a_warning)
{
        const struct rlimit limit = {.rlim_cur = 300, .rlim_max = 300};
        struct daemon *daemon;
        int clients[300], n = 0;
        uint64_t possible;
        size_t position = 0;

        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        daemon = DAEMON("-o", "max_connections = 1000000; workers = 1;");
        daemon_await_log(daemon, "max_connections is lowered from 1000000 to ");
        possible =
                (uint64_t)value_in(await_line(daemon, &position, " workers="), "max_connections");
        cr_assert_lt(possible, 300);
        cr_assert_gt(possible, 100);
        while ((uint64_t)n < possible) {
                clients[n] = client_connect(daemon->port);
                client_echo(clients[n++], "hi");
        }
        clients[n] = client_connect(daemon->port); /* one too many: waits */
        daemon_await_log(daemon, "max_connections reached");
        cr_assert_eq(statistic(daemon, "connections"), possible);
        client_abort(clients[0]);
        client_echo(clients[n], "hi");
        cr_assert_not(daemon_has_logged(daemon, "cannot accept"), "it ran out of descriptors");
        while (n > 0)
                client_abort(clients[n--]);
        daemon_stop(daemon);
}

static void expect_served(const char *source, uint16_t port)
{
        int client = client_connect_from(source, port);

        client_echo(client, "hello");
        close(client);
}

static void expect_refused(const char *source, uint16_t port)
{
        int client = client_connect_from(source, port);

        client_expect_reset(client);
        close(client);
}

Test(limits, of_allow_and_deny_the_longest_match_decides)
{
        struct daemon *daemon = DAEMON("-o", "allow = [ \"127.0.0.0/24\", \"127.0.1.7\" ]; "
                                             "deny = [ \"127.0.0.4/30\", \"127.0.1.0/24\" ];");

        expect_served("127.0.0.1", daemon->port);
        expect_refused("127.0.0.5", daemon->port);
        expect_refused("127.0.1.1", daemon->port);
        expect_served("127.0.1.7", daemon->port);
        expect_refused("127.0.2.1", daemon->port);
        cr_assert_eq(statistic(daemon, "refused_deny"), 3);
        daemon_stop(daemon);
}

/* The first listener is IPv6: the port that the daemon's struct has is that one's. */
static bool is_served_over_ipv6(const char *lists)
{
        struct daemon *daemon =
                DAEMON("-o", "listeners = ( { address = \"::1\"; port = 0; } );", "-o", lists);
        int client = client_connect_to("::1", daemon->port);
        bool is_served;
        char answer;

        send(client, "x", 1, MSG_NOSIGNAL); /* fails if the reset has come already */
        is_served = recv(client, &answer, 1, 0) == 1;
        cr_assert(is_served || errno == ECONNRESET || errno == EPIPE);
        cr_assert_eq(statistic(daemon, "refused_deny"), !is_served);
        close(client);
        daemon_stop(daemon);
        return is_served;
}

Test(limits, ipv6_clients_are_allowed_and_denied_too)
{
        if (access("/proc/net/if_inet6", R_OK) < 0)
                cr_skip_test("this machine has no IPv6");
        cr_assert(is_served_over_ipv6("allow = [ \"::1\" ]; deny = [ \"::/0\" ];"));
        cr_assert_not(is_served_over_ipv6("deny = [ \"::/64\" ];"));
        cr_assert_not(is_served_over_ipv6("allow = [ \"0.0.0.0/0\" ];"));
}

/* The sum of the numbers of suppressed lines in the log. */
static unsigned count_suppressed(struct daemon *daemon)
{
        unsigned n = 0, n_more;

        for (const char *p = daemon->log; (p = strstr(p, " suppressed=")); p++)
                n += (unsigned)atoi(p + strlen(" suppressed="));
        for (const char *p = daemon->log; (p = strstr(p, ": ")); p++) {
                int end = 0;

                sscanf(p, ": %u more lines about refused clients suppressed%n", &n_more, &end);
                n += end > 0 ? n_more : 0;
        }
        return n;
}

Test(limits, a_thousand_refused_clients_are_few_lines_and_a_number)
{
        enum { N = 1000 };
        struct daemon *daemon = DAEMON("-o", "deny = [ \"127.0.0.1\" ];");
        uint64_t start = now_ms(), deadline = start + PATIENCE_MS;
        unsigned n_lines, n_suppressed;

        for (int i = 0; i < N; i++) {
                int client = client_connect(daemon->port);

                client_expect_reset(client);
                close(client);
        }
        do {
                sleep_ms(50);
                n_lines = daemon_count_log(daemon, "refused peer=");
                n_suppressed = count_suppressed(daemon);
                cr_assert_lt(now_ms(), deadline, "%u lines, %u suppressed", n_lines, n_suppressed);
        } while (n_lines + n_suppressed < N);
        cr_assert_eq(n_lines + n_suppressed, N);
        cr_assert_leq(n_lines, 20 + (now_ms() - start) / 100, "%u lines", n_lines);
        cr_assert_eq(statistic(daemon, "refused_deny"), N);
        daemon_stop(daemon);
}

Test(limits, what_was_suppressed_is_told_of_each_kind_of_line)
{
        struct daemon *daemon = DAEMON("-o", "max_connections = 1; deny = [ \"127.0.0.2\" ];");

        expect_refused("127.0.0.2", daemon->port);
        sleep_ms(1000); /* so that the kinds' windows are not over at the same time */
        for (int i = 0; i < 30; i++)
                expect_served("127.0.0.1", daemon->port);
        daemon_await_log(daemon, " more lines about max_connections suppressed");
        daemon_stop(daemon);
}

/* How many descriptors each of the daemon's epoll instances watches, the two busiest ones. */
static void count_watched(const struct daemon *daemon, unsigned busiest[static 2])
{
        struct dirent *entry;
        char path[64];
        DIR *directory;

        busiest[0] = busiest[1] = 0;
        snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)daemon->pid);
        directory = opendir(path);
        cr_assert_not_null(directory);
        while ((entry = readdir(directory))) {
                char name[sizeof(path) + sizeof(entry->d_name) + 2], line[256];
                unsigned n = 0;
                FILE *file;

                snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
                file = entry->d_name[0] == '.' ? NULL : fopen(name, "re");
                while (file && fgets(line, sizeof(line), file))
                        n += strncmp(line, "tfd:", 4) == 0;
                if (file)
                        fclose(file);
                if (n > busiest[0]) {
                        busiest[1] = busiest[0];
                        busiest[0] = n;
                } else if (n > busiest[1]) {
                        busiest[1] = n;
                }
        }
        closedir(directory);
}

static void connect_some(const struct daemon *daemon, int clients[], int n)
{
        for (int i = 0; i < n; i++) {
                clients[i] = client_connect(daemon->port);
                client_echo(clients[i], "hi");
        }
}

Test(limits, new_connections_go_to_the_worker_with_the_fewest)
{
        enum { N = 40 };
        struct daemon *daemon = DAEMON("-o", "workers = 2;");
        int clients[N], more[N / 2];
        unsigned busiest[2];

        connect_some(daemon, clients, N);
        count_watched(daemon, busiest);
        cr_assert_eq(busiest[0], busiest[1], "%u and %u", busiest[0], busiest[1]);
        cr_assert_geq(busiest[0], N / 2);
        for (int i = 0; i < N; i += 2) /* all of one worker's */
                close(clients[i]);
        await_statistic(daemon, "connections", N / 2);
        count_watched(daemon, busiest);
        cr_assert_geq(busiest[0], busiest[1] + N / 2 - 4, "%u and %u", busiest[0], busiest[1]);
        connect_some(daemon, more, N / 2);
        count_watched(daemon, busiest);
        cr_assert_eq(busiest[0], busiest[1], "%u and %u", busiest[0], busiest[1]);
        for (int i = 1; i < N; i += 2)
                close(clients[i]);
        for (int i = 0; i < N / 2; i++)
                close(more[i]);
        daemon_stop(daemon);
}
