/* What stands around the daemon misbehaves: the reader of its log, the disk, whoever signals it. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "observe.h"
#include "scratch.h"

#define LISTENER "listeners = ( { address = \"%s\"; mode = \"%s\"; } );"

TestSuite(surroundings, .init = scratch_make, .fini = scratch_remove);

static void talk(const struct daemon *daemon)
{
        int client = client_connect(daemon->port);

        client_echo(client, "hello");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
}

Test(surroundings, a_reader_of_the_log_who_has_stopped_to_read_does_not_stop_it)
{
        struct daemon *daemon = DAEMON("-o", "log_connections = true; workers = 1;");

        fcntl(daemon->log_descriptor, F_SETPIPE_SZ, 4096);
        for (unsigned i = 0; i < 200; i++)
                talk(daemon);
        cr_assert(daemon_has_logged(daemon, "reason=eof"));
        talk(daemon);
        daemon_await_log(daemon, " lines of the log were lost");
        daemon_stop(daemon);
}

Test(surroundings, a_signal_right_at_the_start_is_obeyed)
{
        for (unsigned i = 0; i < 20; i++) {
                struct daemon *daemon = daemon_spawn((const char *const[]){
                        "-c", "/dev/null", "-o",
                        "listeners = ( { address = \"127.0.0.1\"; port = 0; } );", NULL});

                daemon_await_log(daemon, "starting");
                daemon_signal(daemon, SIGHUP);
                daemon_signal(daemon, SIGTERM);
                cr_assert_eq(daemon_await_exit(daemon), 0);
                daemon_free(daemon);
        }
}

static void fill_the_disk(void)
{
        int full = open("/dev/full", O_WRONLY);

        dup2(full, STDOUT_FILENO);
}

Test(surroundings, a_full_disk_does_not_pass_for_printed_output)
{
        static const char *const options[] = {"-T", "-V", "-h"};

        for (unsigned i = 0; i < 3; i++) {
                struct outcome outcome;

                command_run(&outcome, fill_the_disk,
                            (const char *const[]){command_echod(), "-c", "/dev/null", options[i],
                                                  NULL});
                cr_assert_eq(outcome.status, 1, "%s", options[i]);
        }
}

Test(surroundings, what_was_suppressed_is_told_at_the_end)
{
        struct daemon *daemon = DAEMON("-o", "deny = [ \"127.0.0.0/8\" ];");

        for (unsigned i = 0; i < 30; i++) {
                int client = client_connect(daemon->port);

                client_expect_reset(client);
                close(client);
        }
        daemon_signal(daemon, SIGTERM);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        cr_assert(daemon_has_logged(daemon, "more lines about refused clients suppressed"));
        daemon_free(daemon);
}

Test(surroundings, the_mode_of_somebody_elses_socket_is_left_alone)
{
        const char *path = scratch_path("echod.sock"), *other = scratch_path("other");
        const char *file = scratch_write("echod.conf", LISTENER, path, "0600");
        struct daemon *daemon = DAEMON("-c", file);
        size_t position = 0;
        struct stat status;

        cr_assert_eq(unlink(path), 0);
        cr_assert_geq(creat(other, 0600), 0);
        cr_assert_eq(rename(other, path), 0);
        scratch_write("echod.conf", LISTENER, path, "0666");
        daemon_signal(daemon, SIGHUP);
        daemon_await_log_from(daemon, &position, "configuration reloaded");
        cr_assert_eq(stat(path, &status), 0);
        cr_assert_eq(status.st_mode & 0777, 0600);
        daemon_stop(daemon);
}

Test(surroundings, bytes_that_were_read_count_although_the_client_was_gone)
{
        const char *path = scratch_path("echod.sock");
        struct daemon *daemon =
                DAEMON("-o", scratch_listener("echod.sock"), "-o", "log_connections = true;");
        int client;

        daemon_signal(daemon, SIGSTOP);
        client = client_connect_unix(path);
        client_send(client, "abc", 3);
        close(client);
        daemon_signal(daemon, SIGCONT);
        daemon_await_log(daemon, " in=3 out=0 ");
        daemon_stop(daemon);
}

static void allow_300_descriptors(void)
{
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){300, 300});
}

Test(surroundings, many_listeners_leave_fewer_descriptors_for_connections)
{
        char listeners[8192] = "listeners = ( { address = \"127.0.0.1\"; port = 0; }";
        struct daemon *daemon;
        int clients[200];
        size_t length;

        for (unsigned i = 0; i < 60; i++) {
                length = strlen(listeners);
                snprintf(listeners + length, sizeof(listeners) - length,
                         ", { address = \"127.0.0.1\"; port = 0; }");
        }
        length = strlen(listeners);
        snprintf(listeners + length, sizeof(listeners) - length, " );");
        allow_300_descriptors();
        daemon = DAEMON("-o", listeners, "-o", "when_full = \"reject\"; workers = 1;");
        for (unsigned i = 0; i < 200; i++)
                clients[i] = client_connect(daemon->port);
        daemon_await_log(daemon, "reason=full");
        cr_assert(!daemon_has_logged(daemon, "Too many open files"));
        for (unsigned i = 0; i < 200; i++)
                close(clients[i]);
        daemon_stop(daemon);
}
