/* USR2: what cannot take over does not, or no longer, and nothing has changed. */

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "daemon.h"
#include "reload.h"
#include "restart.h"
#include "scratch.h"

TestSuite(handover_refused, .init = scratch_make, .fini = scratch_remove);

Test(handover_refused, a_bad_configuration_changes_nothing)
{
        const char *file = scratch_write("conf", "listeners = ( " ANY_PORT " );\n");
        struct daemon *daemon = DAEMON("-c", file);
        int client = client_enter(daemon->port);

        scratch_write("conf", "no_such_option = 1;\n");
        usr2(daemon, "no restart: ");
        cr_assert(daemon_has_logged(daemon, "conf:1: no_such_option"), "%s", daemon->log);
        cr_assert(daemon_has_logged(daemon, "its exit status is 6"), "%s", daemon->log);
        client_echo(client, "after");
        assert_serves(daemon->port);
        scratch_write("conf", "listeners = ( " ANY_PORT " );\n");
        restart(daemon);
        client_echo(client, "mended");
        close(client);
        daemon_stop(daemon);
}

/* A copy of the binary at that place. */
static void copy_binary(const char *path)
{
        struct outcome outcome;

        command_run(&outcome, NULL,
                    (const char *const[]){"install", "-m", "755", command_echod(), path, NULL});
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
}

/* A daemon whose binary is a copy that the test may do with as it likes. */
static struct daemon *start_copy(const char *path)
{
        copy_binary(path);
        setenv("ECHOD", path, true);
        return DAEMON();
}

/* The binary's place is a script's from now on. */
static void put_script(const char *path, const char *script)
{
        cr_assert_eq(unlink(path), 0);
        scratch_write("echod", "#!/bin/sh\n%s\n", script);
        cr_assert_eq(chmod(path, 0755), 0);
}

static ino_t running_inode(const struct daemon *daemon)
{
        struct stat status;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/exe", (int)daemon->pid);
        cr_assert_eq(stat(path, &status), 0);
        return status.st_ino;
}

Test(handover_refused, an_upgrade_in_place_takes_over)
{
        const char *path = scratch_path("echod"), *next = scratch_path("echod.new");
        struct daemon *daemon = start_copy(path);
        int client = client_enter(daemon->port);
        struct stat upgraded;

        copy_binary(next);
        cr_assert_eq(rename(next, path), 0);
        cr_assert_eq(stat(path, &upgraded), 0);
        cr_assert_neq(running_inode(daemon), upgraded.st_ino);
        restart(daemon);
        cr_assert_eq(running_inode(daemon), upgraded.st_ino);
        client_echo(client, "after");
        close(client);
        daemon_stop(daemon);
}

Test(handover_refused, a_missing_binary_changes_nothing)
{
        const char *path = scratch_path("echod");
        struct daemon *daemon = start_copy(path);
        int client = client_enter(daemon->port);

        cr_assert_eq(unlink(path), 0);
        usr2(daemon, "no restart: cannot run ");
        client_echo(client, "after");
        assert_serves(daemon->port);
        close(client);
        daemon_stop(daemon);
}

/* Fit for -t, but not to be executed as a daemon: not even an ELF file a moment later. */
Test(handover_refused, a_binary_that_goes_after_the_check_changes_nothing)
{
        const char *path = scratch_path("echod"), *marker = scratch_path("echod.once");
        struct daemon *daemon = start_copy(path);
        int client = client_enter(daemon->port);
        char script[2 * PATH_MAX];

        snprintf(script, sizeof(script), "mv '%s' '%s'", path, marker);
        put_script(path, script);
        usr2(daemon, "no restart: ");
        cr_assert(daemon_has_logged(daemon, "handing over 1 connections"), "%s", daemon->log);
        client_echo(client, "after");
        assert_serves(daemon->port);
        close(client);
        daemon_stop(daemon);
}

Test(handover_refused, a_second_signal_meanwhile_is_no_second_restart)
{
        const char *path = scratch_path("echod");
        struct daemon *daemon = start_copy(path);

        put_script(path, "exec sleep 60");
        while (!daemon_has_logged(daemon, "a restart is under way already")) {
                daemon_signal(daemon, SIGUSR2); /* two at a time count as one */
                sleep_ms(10);
        }
        daemon_stop(daemon);
}

Test(handover_refused, a_stop_ends_a_restart_that_is_being_prepared)
{
        const char *path = scratch_path("echod");
        struct daemon *daemon = start_copy(path);
        int client = client_enter(daemon->port);

        put_script(path, "exec sleep 60");
        daemon_signal(daemon, SIGUSR2);
        signal_and_await(daemon, SIGTERM, "waiting 30.000 s");
        usr2(daemon, "no restart while stopping");
        client_echo(client, "drains");
        close(client);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);
}
