/* The contract with scripts: options, exit status, what goes to which stream. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "port.h"
#include "reload.h"
#include "scratch.h"

TestSuite(command_line, .init = scratch_make, .fini = scratch_remove);

/* A socket that listens on 127.0.0.1; returns it. */
static int occupy(uint16_t *ret_port)
{
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        socklen_t length = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert_eq(bind(fd, (const struct sockaddr *)&address, length), 0);
        cr_assert_eq(listen(fd, 1), 0);
        cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
        *ret_port = ntohs(address.sin_port);
        return fd;
}

static const char *write_listener(const char *address, uint16_t port)
{
        return scratch_write("echod.conf", "listeners = ( { address = \"%s\"; port = %u; } );\n",
                             address, port);
}

Test(command_line, version_names_echod_its_libraries_and_features)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-V");
        cr_assert_eq(outcome.status, 0);
        cr_assert(command_matches(outcome.out, "^echod [0-9]+\\.[0-9]+\\.[0-9]+$"));
        cr_assert(command_matches(outcome.out, "^libuv 1\\.[0-9]+\\.[0-9]+"));
        cr_assert(command_matches(outcome.out, "^libconfig 1\\.[0-9]+"));
        cr_assert(command_matches(outcome.out, "^features: [+-]systemd [+-]metrics"));
        cr_assert_str_empty(outcome.err);
}

Test(command_line, help_goes_to_standard_output_and_names_every_option)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-h");
        cr_assert_eq(outcome.status, 0);
        for (const char *option = "cotTvVh"; *option; option++) {
                const char pattern[] = {'^', ' ', '*', '-', *option, ' ', '\0'};

                cr_assert(command_matches(outcome.out, pattern), "-%c", *option);
        }
        cr_assert_str_empty(outcome.err);
}

Test(command_line, an_unknown_option_is_a_usage_error)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-x");
        cr_assert_eq(outcome.status, 2);
        cr_assert_not_null(strstr(outcome.err, "Usage: "));
        cr_assert_str_empty(outcome.out);
}

Test(command_line, an_option_without_its_argument_is_a_usage_error)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-c");
        cr_assert_eq(outcome.status, 2);
        RUN_ECHOD(&outcome, "-t", "-o");
        cr_assert_eq(outcome.status, 2);
}

Test(command_line, an_operand_is_a_usage_error_that_names_it)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-t", "echod.conf");
        cr_assert_eq(outcome.status, 2);
        cr_assert_not_null(strstr(outcome.err, "echod.conf"));
}

Test(command_line, a_check_binds_nothing)
{
        struct outcome outcome;
        uint16_t port;
        int occupied = occupy(&port);

        RUN_ECHOD(&outcome, "-t", "-c", write_listener("127.0.0.1", port));
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
        cr_assert_str_empty(outcome.out);
        close(occupied);
}

Test(command_line, a_bad_configuration_is_status_6_whatever_was_asked_for)
{
        const char *path = scratch_write("echod.conf", "workers = -1;\n");
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-c", path, "-t");
        cr_assert_eq(outcome.status, 6);
        RUN_ECHOD(&outcome, "-c", path, "-T");
        cr_assert_eq(outcome.status, 6);
        cr_assert_str_empty(outcome.out);
        RUN_ECHOD(&outcome, "-c", path);
        cr_assert_eq(outcome.status, 6);
}

Test(command_line, a_named_file_that_does_not_exist_is_an_error)
{
        const char *path = scratch_path("absent.conf");
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-t", "-c", path);
        cr_assert_eq(outcome.status, 6);
        cr_assert_not_null(strstr(outcome.err, path));
}

Test(command_line, a_default_file_that_does_not_exist_means_the_defaults_with_a_notice)
{
        char path[256] = "";
        struct outcome outcome, defaults;

        RUN_ECHOD(&outcome, "-h");
        sscanf(strstr(outcome.out, "\n  -c FILE"), " -c FILE %*[^(](%255[^)])", path);
        cr_assert_neq(path[0], '\0', "the help names the default file");
        if (access(path, F_OK) == 0)
                cr_skip_test("%s exists", path);
        RUN_ECHOD(&defaults, "-T", "-c", "/dev/null");
        RUN_ECHOD(&outcome, "-T");
        cr_assert_eq(outcome.status, 0);
        cr_assert_str_eq(outcome.out, defaults.out);
        cr_assert_not_null(strstr(outcome.err, path));
        cr_assert_not_null(strstr(outcome.err, "defaults"));
}

/* What -T prints, taken as the file, must be printed again. */
static void assert_round_trip(const char *override)
{
        struct outcome first, second;

        RUN_ECHOD(&first, "-T", "-c", "/dev/null", "-o", override);
        cr_assert_eq(first.status, 0, "%s: %s", override, first.err);
        RUN_ECHOD(&second, "-T", "-c", scratch_write("printed.conf", "%s", first.out));
        cr_assert_eq(second.status, 0, "%s: %s", override, second.err);
        cr_assert_str_eq(first.out, second.out);
}

Test(command_line, what_T_prints_gives_the_same_configuration)
{
        assert_round_trip("");
        assert_round_trip("listeners = ( { address = \"/run/e.sock\"; mode = \"0600\"; },"
                          " { address = \"::1\"; port = 0; backlog = 5; }, { port = 65535; } );");
        assert_round_trip("allow = [ \"192.0.2.0/24\", \"2001:db8::/32\", \"::/0\" ];"
                          "deny = ( \"192.0.2.7\", \"::ffff:10.0.0.0/104\" );");
        assert_round_trip("idle_timeout = 0.001; write_timeout = 0.1; max_lifetime = 31536000;"
                          "drain_timeout = 1e3; max_connections = 2147483647;");
        assert_round_trip("workers = 3; when_full = \"reject\"; read_buffer = 0x1000;"
                          "tcp_nodelay = false; log_level = \"debug\"; log_connections = true;"
                          "tcp_keepalive = { idle = 60; count = 3; };");
}

Test(command_line, T_prints_what_is_in_force_and_not_the_default)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-T", "-c", "/dev/null", "-o", "idle_timeout = 12.5;");
        cr_assert(command_matches(outcome.out, "^idle_timeout = 12\\.5;$"), "%s", outcome.out);
}

Test(command_line, T_fails_where_its_output_cannot_be_written)
{
        struct outcome outcome;

        command_run(&outcome, NULL,
                    (const char *const[]){"sh", "-c", "exec \"$0\" -T -c /dev/null > /dev/full",
                                          command_echod(), NULL});
        cr_assert_eq(outcome.status, 1);
}

Test(command_line, options_override_the_file_and_later_ones_earlier_ones)
{
        const char *path = scratch_write("echod.conf", "workers = 2; idle_timeout = 2;\n");
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-T", "-o", "workers = 3;", "-c", path, "-o", "workers = 4;");
        cr_assert_eq(outcome.status, 0);
        cr_assert(command_matches(outcome.out, "^workers = 4;$"));
        cr_assert(command_matches(outcome.out, "^idle_timeout = 2;$"));
}

Test(command_line, one_option_argument_may_hold_several_options)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-T", "-c", "/dev/null", "-o", "workers = 3; idle_timeout = 4;");
        cr_assert(command_matches(outcome.out, "^workers = 3;$"));
        cr_assert(command_matches(outcome.out, "^idle_timeout = 4;$"));
}

Test(command_line, v_logs_more)
{
        const char *const path = scratch_write("echod.conf", "log_level = \"warning\";\n");
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-t", "-c", path);
        cr_assert_str_empty(outcome.err);
        RUN_ECHOD(&outcome, "-t", "-v", "-c", path);
        cr_assert_str_not_empty(outcome.err);
}

Test(command_line, an_address_in_use_is_status_1_and_is_named)
{
        struct outcome outcome;
        char name[32];
        uint16_t port;
        int occupied = occupy(&port);

        RUN_ECHOD(&outcome, "-c", write_listener("127.0.0.1", port));
        snprintf(name, sizeof(name), "127.0.0.1:%u", port);
        cr_assert_eq(outcome.status, 1, "%s", outcome.err);
        cr_assert_not_null(strstr(outcome.err, name));
        cr_assert_not_null(strstr(outcome.err, "in use"));
        close(occupied);
}

Test(command_line, a_second_echod_on_the_same_socket_file_is_status_1_and_harms_no_one)
{
        const char *option = scratch_listener("echod.sock");
        struct daemon *daemon = DAEMON("-o", option);
        struct outcome outcome;
        int client;

        RUN_ECHOD(&outcome, "-c", "/dev/null", "-o", option);
        cr_assert_eq(outcome.status, 1, "%s", outcome.err);
        client = client_connect_unix(scratch_path("echod.sock"));
        client_echo(client, "still here");
        close(client);
        daemon_stop(daemon);
}

static void become_nobody_if_root(void)
{
        if (geteuid() == 0)
                command_become_nobody();
}

static int first_unprivileged_port(void)
{
        FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
        int port = 1024;

        if (!file)
                return port;
        cr_assert_eq(fscanf(file, "%d", &port), 1);
        fclose(file);
        return port;
}

Test(command_line, a_port_that_is_not_permitted_is_status_4_and_is_named)
{
        struct outcome outcome;

        if (first_unprivileged_port() <= 7)
                cr_skip_test("every user may bind port 7 here");
        command_run(
                &outcome, become_nobody_if_root,
                (const char *const[]){command_echod(), "-c", write_listener("127.0.0.1", 7), NULL});
        cr_assert_eq(outcome.status, 4, "%s", outcome.err);
        cr_assert_not_null(strstr(outcome.err, "127.0.0.1:7"));
}

static void allow_few_descriptors(void)
{
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 16, .rlim_max = 16});
}

Test(command_line, too_low_a_limit_on_open_files_is_status_1_and_says_so)
{
        struct outcome outcome;

        command_run(
                &outcome, allow_few_descriptors,
                (const char *const[]){command_echod(), "-c", write_listener("127.0.0.1", 0), NULL});
        cr_assert_eq(outcome.status, 1, "%s", outcome.err);
        cr_assert_not_null(strstr(outcome.err, "open files"));
}

/* What one of the daemon's descriptors is; empty: it is not open. */
static void identify(const struct daemon *daemon, int descriptor, char target[static 256])
{
        char path[64];
        ssize_t length;

        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)daemon->pid, descriptor);
        length = readlink(path, target, 255);
        target[length > 0 ? length : 0] = '\0';
}

Test(command_line, standard_streams_that_are_closed_are_not_taken_by_something_else)
{
        uint16_t port = free_port();
        struct daemon *daemon;
        char command[1024];

        snprintf(command, sizeof(command), "exec %s -c %s <&- >&- 2>&-", command_echod(),
                 write_listener("127.0.0.1", port));
        setenv("ECHOD", "/bin/sh", 1); /* for daemon_spawn() */
        daemon = daemon_spawn((const char *const[]){"-c", command, NULL});
        for (uint64_t deadline = now_ms() + PATIENCE_MS; try_to_connect(port) != 0; sleep_ms(10))
                cr_assert_lt(now_ms(), deadline, "it does not listen");
        for (int descriptor = 0; descriptor <= 2; descriptor++) {
                char target[256];

                identify(daemon, descriptor, target);
                cr_assert(target[0] == '\0' || strcmp(target, "/dev/null") == 0,
                          "log lines could go into %s, which is descriptor %d", target, descriptor);
        }
        daemon_stop(daemon);
}
