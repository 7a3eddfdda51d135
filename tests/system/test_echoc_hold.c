/* Connections that are held, and what a server or something in between does to them. */

#include <criterion/criterion.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "crooked_server.h"
#include "daemon.h"
#include "echoc_outcome.h"
#include "port.h"

/* Three connections; the trick is played on the first that the kernel has ready for the server,
 * which need not be the first that was begun. A message has 64 bytes. */
static void hold_three(enum trick trick, uint64_t offset, uint64_t length, const char *timeout)
{
        struct crooked_server *server = crooked_start(trick, offset, length);

        RUN_ECHOC(&outcome, "--hold", "--seed", "1", "-n", "3", "-t", "0.5", "-W", timeout,
                  "127.0.0.1", crooked_port(server));
        crooked_stop(server);
}

Test(echoc_hold, connections_that_live_echo_twice)
{
        struct daemon *daemon = DAEMON();

        RUN_ECHOC(&outcome, "--hold", "-n", "200", "-t", "0.5", "-W", "20", "127.0.0.1",
                  port_text(daemon->port));
        expect_status(0);
        expect_out("^HOLD 127\\.0\\.0\\.1 port [0-9]+: 200 connections for 0\\.5 s\\.$");
        expect_out("^200 of 200 open after [0-9.]+ s$");
        expect_out("^200 opened, held for [0-9.]+ s, 200 still echo, 0 lost$");
        daemon_signal(daemon, SIGUSR1);
        daemon_await_log(daemon, " accepted=200 ");
        daemon_await_log(daemon, " received_bytes=25600 ");
        daemon_stop(daemon);
}

/* In a network of the test's own, with 400 ports to connect from. False: that is not permitted. */
static bool enter_network_of_few_ports(void)
{
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
        FILE *range;
        int fd, r;

        if (unshare(CLONE_NEWNET) < 0)
                return false;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        r = ioctl(fd, SIOCSIFFLAGS, &request);
        close(fd);
        range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "we");
        return r == 0 && range && fputs("40000 40399", range) >= 0 && fclose(range) == 0;
}

Test(echoc_hold, where_ports_are_few_there_are_more_sources)
{
        struct daemon *daemon;

        if (!enter_network_of_few_ports())
                cr_skip_test("a network namespace is not permitted here");
        daemon = DAEMON();
        RUN_ECHOC(&outcome, "--hold", "-n", "1000", "-t", "0.1", "-W", "20", "127.0.0.1",
                  port_text(daemon->port));
        expect_status(0);
        expect_out("^1000 opened, .* 1000 still echo, 0 lost$");
        /* The kernel has not forgotten these yet: their ports are taken. */
        RUN_ECHOC(&outcome, "--hold", "-n", "1000", "-t", "0.1", "-W", "20", "127.0.0.1",
                  port_text(daemon->port));
        expect_status(0);
        daemon_stop(daemon);
}

Test(echoc_hold, an_idle_timeout_on_the_way_is_told)
{
        struct daemon *daemon = DAEMON("-o", "idle_timeout = 1;");

        RUN_ECHOC(&outcome, "--hold", "-n", "20", "-t", "3600", "-W", "20", "127.0.0.1",
                  port_text(daemon->port));
        expect_status(1);
        expect_out("^connection [0-9]+: ended by the server after [0-9.]+ s$");
        expect_out("^further ones are only counted$");
        expect_out("^20 opened, .* 0 still echo, 20 lost: 20 ended by the server$");
        daemon_stop(daemon);
}

Test(echoc_hold, a_reset_is_told_and_the_others_go_on)
{
        hold_three(TRICK_RESET, 64, 0, "20");
        expect_status(1);
        expect_out("^connection [0-2]: connection reset by peer after [0-9.]+ s$");
        expect_out("^3 opened, .* 2 still echo, 1 lost: 1 reset$");
}

Test(echoc_hold, a_connection_that_echoes_no_more_is_told)
{
        hold_three(TRICK_MUTE, 64, 0, "0.5");
        expect_status(1);
        expect_out("^connection 2: no answer after [0-9.]+ s$");
        expect_out("^3 opened, .* 0 still echo, 3 lost: 3 no answer$");
}

Test(echoc_hold, wrong_bytes_at_the_end_are_told)
{
        hold_three(TRICK_CORRUPT, 70, 2, "4");
        expect_status(1);
        expect_out("^connection [0-2]: offset 70: 2 bytes corrupted after [0-9.]+ s$");
        expect_out("^3 opened, .* 2 still echo, 1 lost: 1 wrong bytes$");
}

Test(echoc_hold, bytes_behind_the_last_answer_are_told)
{
        hold_three(TRICK_TAIL, 64, 2, "20");
        expect_status(1);
        expect_out("^connection [0-2]: offset 128: duplicated: bytes from offset 64 on came again");
        expect_out("^3 opened, .* 2 still echo, 1 lost: 1 wrong bytes$");
}

Test(echoc_hold, they_are_told_although_the_server_does_not_close)
{
        hold_three(TRICK_CLING, 64, 2, "4");
        expect_status(1);
        expect_out("^connection [0-2]: offset 128: duplicated: bytes from offset 64 on came again");
        expect_out("^3 opened, held for [0-9.]+ s, 2 still echo, 1 lost: 1 wrong bytes$");
}

Test(echoc_hold, an_answer_that_is_not_complete_is_none)
{
        hold_three(TRICK_DROP, 127, 1, "4");
        expect_status(1);
        expect_out("^3 opened, .* 2 still echo, 1 lost: 1 no answer$");
}

Test(echoc_hold, nobody_who_accepts_is_no_answer)
{
        hold_three(TRICK_DEAF, 0, 0, "0.5");
        expect_status(1);
        expect_out("^3 opened, .* 0 still echo, 3 lost: 3 no answer$");
}

Test(echoc_hold, no_connection_is_status_2)
{
        RUN_ECHOC(&outcome, "--hold", "-n", "100", "-t", "3600", "127.0.0.1",
                  port_text(free_port()));
        expect_status(2);
        expect_out("^0 opened, .* 100 lost: 100 not opened$");
}

Test(echoc_hold, an_interrupt_cuts_it_short_but_not_the_last_echo)
{
        struct daemon *daemon = DAEMON();

        INTERRUPT_ECHOC(&outcome, "open after", "--hold", "-n", "10", "-t", "3600", "-W", "20",
                        "127.0.0.1", port_text(daemon->port));
        expect_status(0);
        expect_out("10 still echo, 0 lost$");
        daemon_stop(daemon);
}
