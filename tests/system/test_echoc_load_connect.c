/* Load that opens connections, again and again, and what becomes of it where that is not possible.
 */

#include <criterion/criterion.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "crooked_server.h"
#include "daemon.h"
#include "echoc_outcome.h"
#include "port.h"
#include "scratch.h"

TestSuite(echoc_load_connect, .init = scratch_make, .fini = scratch_remove);

Test(echoc_load_connect, connections_are_opened_again_and_again)
{
        struct daemon *daemon = DAEMON();

        RUN_ECHOC(&outcome, "--load", "--connect", "-n", "3", "-t", "1", "--json", "127.0.0.1",
                  port_text(daemon->port));
        expect_status(0);
        expect_json("r['kind'] == 'connect' and r['messages'] > 3");
        expect_json("l['count'] >= r['messages']");
        daemon_stop(daemon);
}

Test(echoc_load_connect, a_byte_behind_the_only_one_is_told)
{
        struct crooked_server *server = crooked_start(TRICK_TAIL, 0, 1);

        RUN_ECHOC(&outcome, "--load", "--connect", "-t", "1", "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
        expect_status(1);
        expect_err(
                "^echoc: connection 0, offset 1: duplicated: bytes from offset 0 on came again$");
        expect_json("e['duplicated'] == 1 and r['messages'] > 1");
}

/* After each connection a second passes, or a little more. */
Test(echoc_load_connect, a_server_that_does_not_close_is_not_waited_for_long)
{
        struct crooked_server *server = crooked_start(TRICK_CLING, 0, 0);

        RUN_ECHOC(&outcome, "--load", "--connect", "-t", "3", "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
        expect_status(0);
        expect_json("2 <= r['messages'] <= 1 + r['seconds']");
}

Test(echoc_load_connect, no_connection_is_status_2)
{
        RUN_ECHOC(&outcome, "--load", "-n", "10", "-t", "3600", "127.0.0.1",
                  port_text(free_port()));
        expect_status(2);
        expect_err("^echoc: 127\\.0\\.0\\.1 port [0-9]+: connection refused$");
        RUN_ECHOC(&outcome, "--load", "--json", "-t", "3600", "127.0.0.1", port_text(free_port()));
        expect_status(2);
        cr_assert_str_empty(outcome.out);
        RUN_ECHOC(&outcome, "--load", "--connect", "-t", "3600", "127.0.0.1",
                  port_text(free_port()));
        expect_status(2);
}

Test(echoc_load_connect, a_load_ends_when_nobody_can_be_connected)
{
        struct crooked_server *server = crooked_start(TRICK_FULL, 0, 0);

        RUN_ECHOC(&outcome, "--load", "-n", "100", "-t", "3600", "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
        expect_status(2);
        cr_assert_str_empty(outcome.out);
        expect_err("^echoc: 127\\.0\\.0\\.1 port [0-9]+: connection timed out$");
}

Test(echoc_load_connect, what_came_back_before_the_server_went_away_is_told)
{
        struct crooked_server *server = crooked_start(TRICK_LEAVE, 0, 0);

        RUN_ECHOC(&outcome, "--load", "--connect", "-t", "3600", "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
        expect_status(1);
        expect_err("^echoc: 127\\.0\\.0\\.1 port [0-9]+: connection refused$");
        expect_json("r['messages'] == 1 and e['not_connected'] == 1 and sum(e.values()) == 1");
}

static bool set_kernel(const char *path, const char *value)
{
        FILE *file = fopen(path, "we");

        return file && fputs(value, file) >= 0 && fclose(file) == 0;
}

/*
 * In a network of the test's own, with 20 ports to connect from, which stay taken for a minute
 * after a connection. False: that is not permitted.
 */
static bool enter_network_of_few_ports(void)
{
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
        int fd, r;

        if (unshare(CLONE_NEWNET) < 0)
                return false;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        r = ioctl(fd, SIOCSIFFLAGS, &request);
        close(fd);
        return r == 0 && set_kernel("/proc/sys/net/ipv4/ip_local_port_range", "40000 40019") &&
               set_kernel("/proc/sys/net/ipv4/tcp_tw_reuse", "0");
}

/* Over IPv6 there is one source only. */
Test(echoc_load_connect, what_came_back_before_the_ports_ran_out_is_told)
{
        struct daemon *daemon;

        if (!enter_network_of_few_ports())
                cr_skip_test("a network namespace is not permitted here");
        daemon = DAEMON("-o", "listeners = ( { address = \"::1\"; port = 47007; } );");
        RUN_ECHOC(&outcome, "--load", "--connect", "-t", "3600", "--json", "::1",
                  port_text(daemon->port));
        expect_status(1);
        expect_err("^echoc: ::1 port [0-9]+: no local port is free$");
        expect_json("r['messages'] > 0 and e['not_connected'] == 1 and sum(e.values()) == 1");
        /* Whether that is the reason is not known if there has never been a port. */
        RUN_ECHOC(&outcome, "--load", "--connect", "--json", "::1", port_text(daemon->port));
        expect_status(2);
        cr_assert_str_empty(outcome.out);
        expect_err("^echoc: ::1 port [0-9]+: no local port is free, or no local address fits$");
        daemon_stop(daemon);
}
