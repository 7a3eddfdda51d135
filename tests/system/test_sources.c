/* Limits on each source: max_connections_per_source and connection_rate_per_source. */

#include <arpa/inet.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "observe.h"
#include "reload.h"
#include "scratch.h"

TestSuite(sources, .init = scratch_make, .fini = scratch_remove);

static void expect_refused_from(struct daemon *daemon, const char *source)
{
        int client = client_connect_from(source, daemon->port);

        client_expect_reset(client);
        close(client);
}

static int enter_from(struct daemon *daemon, const char *source)
{
        int client = client_connect_from(source, daemon->port);

        client_echo(client, "served");
        return client;
}

/* The server ends the connection before the client comes again. */
static void leave(int client)
{
        client_half_close(client);
        client_expect_eof(client);
        close(client);
}

Test(sources, each_has_its_connections_and_no_more)
{
        struct daemon *daemon = DAEMON("-o", "max_connections_per_source = 2;");
        int first = enter_from(daemon, "127.0.0.2"), second = enter_from(daemon, "127.0.0.2");
        int other = enter_from(daemon, "127.0.0.3");

        expect_refused_from(daemon, "127.0.0.2");
        daemon_await_log(daemon, "reason=source_limit");
        cr_assert(daemon_has_logged(daemon, "refused peer=127.0.0.2:"));
        client_echo(first, "undisturbed");
        leave(first);
        first = enter_from(daemon, "127.0.0.2");
        expect_refused_from(daemon, "127.0.0.2");
        cr_assert_eq(statistic(daemon, "refused_source_limit"), 2);
        cr_assert_eq(statistic(daemon, "accepted"), 4);
        close(first);
        close(second);
        close(other);
        daemon_stop(daemon);
}

Test(sources, clients_of_a_unix_socket_have_no_limit)
{
        const char *path = scratch_path("socket");
        struct daemon *daemon =
                DAEMON("-o", scratch_listener("socket"), "-o", "max_connections_per_source = 1;",
                       "-o", "connection_rate_per_source = 0.001;");
        int clients[5];

        for (int i = 0; i < 5; i++) {
                clients[i] = client_connect_unix(path);
                client_echo(clients[i], "served");
        }
        for (int i = 0; i < 5; i++)
                close(clients[i]);
        daemon_stop(daemon);
}

/* Tries once; whether it was served. */
static bool try_from(struct daemon *daemon, const char *source)
{
        int client = client_connect_from(source, daemon->port);
        char byte = '?';
        bool is_served =
                send(client, &byte, 1, MSG_NOSIGNAL) == 1 && recv(client, &byte, 1, 0) == 1;

        if (is_served)
                leave(client);
        else
                close(client);
        return is_served;
}

/* However long that takes here: as many as the rate allows in that time, and no more. */
Test(sources, each_has_a_burst_and_then_its_rate)
{
        enum { RATE = 20 };
        struct daemon *daemon = DAEMON("-o", "connection_rate_per_source = 20;");
        uint64_t start = now_ms(), elapsed;
        unsigned n_served = 0, n_refused = 0, n_before;

        while (n_refused == 0)
                *(try_from(daemon, "127.0.0.2") ? &n_served : &n_refused) += 1;
        cr_assert_geq(n_served, RATE);
        n_before = n_served;
        while (n_served < n_before + 10)
                *(try_from(daemon, "127.0.0.2") ? &n_served : &n_refused) += 1;
        elapsed = now_ms() - start;
        cr_assert_leq(n_served, RATE + RATE * (elapsed + 2) / 1000 + 1, "%u in %llu ms", n_served,
                      (unsigned long long)elapsed);
        cr_assert(try_from(daemon, "127.0.0.3"));
        cr_assert_eq(statistic(daemon, "refused_source_rate"), n_refused);
        cr_assert_leq(daemon_count_log(daemon, "reason=source_rate"),
                      10 * (1 + (now_ms() - start) / 5000));
        daemon_stop(daemon);
}

Test(sources, a_limit_that_a_reload_brings_counts_who_is_there)
{
        const char *path = scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n");
        struct daemon *daemon = DAEMON("-c", path);
        int first = enter_from(daemon, "127.0.0.2"), second = enter_from(daemon, "127.0.0.2");

        scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n%s\n",
                      "max_connections_per_source = 2;");
        reload(daemon);
        expect_refused_from(daemon, "127.0.0.2");
        client_echo(first, "undisturbed");
        client_echo(second, "undisturbed");
        leave(first);
        leave(enter_from(daemon, "127.0.0.2"));
        scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n");
        reload(daemon);
        first = enter_from(daemon, "127.0.0.2");
        close(enter_from(daemon, "127.0.0.2"));
        close(first);
        close(second);
        daemon_stop(daemon);
}

/* Comes and goes until it is killed, or the test ends. */
static pid_t start_churn(struct daemon *daemon)
{
        pid_t pid = fork();

        cr_assert_geq(pid, 0);
        if (pid == 0)
                prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (pid == 0)
                for (unsigned i = 10; i < 20; i++) {
                        char source[16];

                        snprintf(source, sizeof(source), "127.0.0.%u", i);
                        leave(enter_from(daemon, source));
                }
        return pid;
}

Test(sources, limits_that_come_and_go_are_exact_while_others_come_and_go)
{
        enum { ROUNDS = 20, N = 3 };
        const char *path = scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n");
        struct daemon *daemon = DAEMON("-c", path, "-o", "workers = 2;");
        pid_t churn = start_churn(daemon);
        int clients[N];

        for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < N; i++)
                        clients[i] = enter_from(daemon, "127.0.0.2");
                scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n%s\n",
                              "max_connections_per_source = 3;");
                reload(daemon);
                expect_refused_from(daemon, "127.0.0.2");
                leave(clients[0]);
                clients[0] = enter_from(daemon, "127.0.0.2");
                scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n");
                reload(daemon);
                for (int i = 0; i < N; i++)
                        leave(clients[i]);
        }
        kill(churn, SIGKILL);
        waitpid(churn, NULL, 0);
        cr_assert_eq(statistic(daemon, "refused_source_limit"), ROUNDS);
        daemon_stop(daemon);
}

Test(sources, a_reload_that_fails_leaves_the_limits)
{
        const char *path = scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n%s\n",
                                         "max_connections_per_source = 1;");
        struct daemon *daemon = DAEMON("-c", path);
        int client = enter_from(daemon, "127.0.0.2");

        scratch_write("echod.conf", "listeners = ( " ANY_PORT " );\n%s\n",
                      "max_connections_per_source = -1;");
        reload_in_vain(daemon);
        expect_refused_from(daemon, "127.0.0.2");
        close(client);
        daemon_stop(daemon);
}

Test(sources, thousands_of_them_cost_little)
{
        enum { N = 2000 };
        struct daemon *daemon = DAEMON("-o", "connection_rate_per_source = 0.001;");
        size_t before;
        char source[16];

        cr_assert(try_from(daemon, "127.0.0.2"));
        before = daemon_resident_bytes(daemon);
        for (unsigned i = 0; i < N; i++) {
                snprintf(source, sizeof(source), "127.1.%u.%u", i / 250, i % 250 + 1);
                cr_assert(try_from(daemon, source));
        }
        if (!daemon_is_sanitized())
                cr_assert_leq(daemon_resident_bytes(daemon), before + N * 128 + (1 << 19));
        cr_assert_not(try_from(daemon, "127.0.0.2"));
        daemon_stop(daemon);
}

/* In a network of the test's own. False: that is not permitted here. */
static bool enter_network(void)
{
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
        int fd, r;

        if (unshare(CLONE_NEWNET) < 0)
                return false;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        r = ioctl(fd, SIOCSIFFLAGS, &request);
        close(fd);
        return r == 0;
}

static bool add_address(const char *text)
{
        struct in6_ifreq request = {.ifr6_prefixlen = 128,
                                    .ifr6_ifindex = (int)if_nametoindex("lo")};
        int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

        cr_assert_eq(inet_pton(AF_INET6, text, &request.ifr6_addr), 1);
        r = ioctl(fd, SIOCSIFADDR, &request);
        close(fd);
        return r == 0;
}

Test(sources, an_ipv6_network_of_64_bits_is_one)
{
        struct daemon *daemon;
        int first, same, other;

        if (!enter_network())
                cr_skip_test("a network namespace is not permitted here");
        if (!add_address("2001:db8:0:1::1") || !add_address("2001:db8:0:1:ffff::2") ||
            !add_address("2001:db8:0:2::1"))
                cr_skip_test("this machine has no IPv6");
        daemon = DAEMON("-o", "max_connections_per_source = 1;", "-o",
                        "listeners = ( { address = \"::1\"; port = 0; } );");
        first = client_connect_from("2001:db8:0:1::1", daemon->port);
        client_echo(first, "the first of its network");
        same = client_connect_from("2001:db8:0:1:ffff::2", daemon->port);
        client_expect_reset(same);
        other = client_connect_from("2001:db8:0:2::1", daemon->port);
        client_echo(other, "of another network");
        close(same);
        leave(first);
        same = client_connect_from("2001:db8:0:1:ffff::2", daemon->port);
        client_echo(same, "now there is room");
        close(same);
        close(other);
        daemon_stop(daemon);
}
