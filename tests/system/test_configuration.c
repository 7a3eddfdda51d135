/* The configuration file as a user meets it; unit tests go through the grammar. */

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "scratch.h"

TestSuite(configuration, .init = scratch_make, .fini = scratch_remove);

/* Checks a file that is bad and expects a line `PATH:LINE: ...` that matches the pattern. */
static void assert_problem(const char *path, unsigned line, const char *pattern)
{
        struct outcome outcome;
        char full[1024];

        RUN_ECHOD(&outcome, "-t", "-c", path);
        cr_assert_eq(outcome.status, 6, "%s", outcome.err);
        snprintf(full, sizeof(full), "^%s:%u: %s", path, line, pattern);
        cr_assert(command_matches(outcome.err, full), "no '%s' in:\n%s", full, outcome.err);
}

static void assert_good(const char *path)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-t", "-c", path);
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
}

Test(configuration, all_errors_are_reported_in_one_run_each_in_its_line)
{
        const char *path = scratch_write("echod.conf", "workers = 5000;\n"
                                                       "idle_timeout = \"soon\";\n"
                                                       "listeners = (\n"
                                                       "  { port = 70000; },\n"
                                                       "  { address = \"nowhere\"; }\n"
                                                       ");\n"
                                                       "deny = [ \"10.0.0.0/33\" ];\n");

        assert_problem(path, 1, "workers: .*5000.*1024");
        assert_problem(path, 2, "idle_timeout: .*\"soon\".*seconds");
        assert_problem(path, 4, "listeners\\[0\\]\\.port: .*70000.*65535");
        assert_problem(path, 5, "listeners\\[1\\]\\.address: .*\"nowhere\".*\"\\*\"");
        assert_problem(path, 7, "deny: .*10\\.0\\.0\\.0/33.*/32");
}

Test(configuration, errors_of_the_command_line_are_reported_together_with_the_files)
{
        const char *path = scratch_write("echod.conf", "workers = -1;\n");
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-t", "-c", path, "-o", "idle_timeout = 1;", "-o", "backlog = 3;");
        cr_assert_eq(outcome.status, 6);
        cr_assert_not_null(strstr(outcome.err, ":1: workers: "));
        cr_assert(command_matches(outcome.err, "^command line:2: backlog: "), "%s", outcome.err);
}

Test(configuration, an_unknown_option_is_answered_with_the_nearest_known_one)
{
        assert_problem(scratch_write("echod.conf", "\nidle_timout = 5;\n"), 2,
                       "idle_timout: .*idle_timeout");
        assert_problem(scratch_write("echod.conf", "listeners = ( { prot = 7; } );\n"), 1,
                       "listeners\\[0\\]\\.prot: .*(port|protocol)");
}

Test(configuration, a_syntax_error_is_placed_in_its_line)
{
        assert_problem(scratch_write("echod.conf", "workers = 1;\nidle_timeout 5;\n"), 2, ".*");
}

Test(configuration, an_included_file_is_sought_beside_the_one_that_includes_it)
{
        struct outcome outcome;
        const char *path;

        cr_assert_eq(mkdir(scratch_path("conf.d"), 0755), 0);
        scratch_write("conf.d/limits.conf", "@include \"deeper.conf\"\nidle_timeout = 7;\n");
        scratch_write("conf.d/deeper.conf", "max_lifetime = 8;\n");
        path = scratch_write("echod.conf", "@include \"conf.d/limits.conf\"\nworkers = 1;\n");
        cr_assert_eq(chdir("/"), 0);
        RUN_ECHOD(&outcome, "-T", "-c", path);
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
        cr_assert(command_matches(outcome.out, "^idle_timeout = 7;$"));
        cr_assert(command_matches(outcome.out, "^max_lifetime = 8;$"));
}

Test(configuration, an_error_in_an_included_file_names_that_file_and_its_line)
{
        struct outcome outcome;
        const char *path;
        char expected[256];

        scratch_write("limits.conf", "# limits\nworkers = 9999;\n");
        path = scratch_write("echod.conf", "\n\n\n@include \"limits.conf\"\n");
        RUN_ECHOD(&outcome, "-t", "-c", path);
        cr_assert_eq(outcome.status, 6);
        snprintf(expected, sizeof(expected), "%s:2: workers: ", scratch_path("limits.conf"));
        cr_assert_not_null(strstr(outcome.err, expected), "%s", outcome.err);
}

Test(configuration, numbers_that_libconfig_cuts_are_caught)
{
        assert_problem(scratch_write("echod.conf", "max_connections = 4294967296L;\n"), 1,
                       "max_connections: ");
        assert_problem(scratch_write("echod.conf", "max_connections = 4294967297;\n"), 1,
                       "max_connections: ");
        assert_problem(scratch_write("echod.conf", "max_connections = 0x100000001;\n"), 1,
                       "max_connections: ");
        assert_problem(scratch_write("echod.conf", "workers = 0x10000000000000001L;\n"), 1,
                       "workers: ");
        assert_problem(scratch_write("echod.conf", "workers = 18446744073709551617L;\n"), 1,
                       "workers: ");
}

Test(configuration, a_directory_is_a_clear_error)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-t", "-c", "/");
        cr_assert_eq(outcome.status, 6);
        cr_assert(command_matches(outcome.err, "^/: .*directory"), "%s", outcome.err);
}

Test(configuration, a_binary_is_a_clear_error)
{
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-t", "-c", command_echod());
        cr_assert_eq(outcome.status, 6);
        cr_assert_not_null(strstr(outcome.err, command_echod()), "%s", outcome.err);
        cr_assert_not_null(strstr(outcome.err, "text"), "%s", outcome.err);
}

static void become_nobody_if_root(void)
{
        if (geteuid() == 0)
                command_become_nobody();
}

Test(configuration, an_unreadable_file_is_a_clear_error)
{
        const char *path = scratch_write("echod.conf", "workers = 1;\n");
        struct outcome outcome;

        cr_assert_eq(chmod(path, 0), 0);
        command_run(&outcome, become_nobody_if_root,
                    (const char *const[]){command_echod(), "-t", "-c", path, NULL});
        cr_assert_eq(outcome.status, 6, "%s", outcome.err);
        cr_assert_not_null(strstr(outcome.err, path));
        cr_assert_not_null(strstr(outcome.err, "Permission denied"));
}

Test(configuration, a_file_that_says_nothing_means_the_defaults)
{
        assert_good(scratch_write("echod.conf", "%s", ""));
        assert_good(scratch_write("echod.conf", "\n\n"));
        assert_good(scratch_write("echod.conf", "# nothing\n/* here */ // or here"));
}

Test(configuration, two_listeners_on_one_address_are_an_error_before_anything_is_bound)
{
        assert_problem(scratch_write("echod.conf", "listeners = (\n"
                                                   "  { port = 7007; },\n"
                                                   "  { address = \"::1\"; port = 7007; }\n"
                                                   ");\n"),
                       3, "listeners\\[1\\]\\.address: .*listeners\\[0\\]");
}

Test(configuration, every_option_of_this_version_is_printed)
{
        static const char *const options[] = {
                "listeners",      "address",     "port",          "protocol",
                "backlog",        "mode",        "workers",       "max_connections",
                "when_full",      "allow",       "deny",          "idle_timeout",
                "write_timeout",  "tcp_nodelay", "max_lifetime",  "drain_timeout",
                "read_buffer",    "log_level",   "tcp_keepalive", "log_connections",
                "proxy_protocol", "busy_poll",   "proxy_sources",
        };
        struct outcome outcome;

        RUN_ECHOD(&outcome, "-T", "-c", "/dev/null");
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
                char pattern[64];

                snprintf(pattern, sizeof(pattern), "^ *%s = ", options[i]);
                cr_assert(command_matches(outcome.out, pattern), "%s", options[i]);
        }
}

static void assert_each_good(const char *pattern)
{
        char path[1024];
        glob_t found;

        snprintf(path, sizeof(path), "%s/%s", getenv("SOURCE_ROOT"), pattern);
        cr_assert_eq(glob(path, 0, NULL, &found), 0, "no %s", path);
        for (size_t i = 0; i < found.gl_pathc; i++)
                assert_good(found.gl_pathv[i]);
        globfree(&found);
}

Test(configuration, the_sample_and_the_examples_are_good)
{
        assert_each_good("conf/echod.conf");
        assert_each_good("conf/examples/*.conf");
}

Test(configuration, the_sample_changes_nothing)
{
        struct outcome sample, defaults;
        char path[1024];

        snprintf(path, sizeof(path), "%s/conf/echod.conf", getenv("SOURCE_ROOT"));
        RUN_ECHOD(&sample, "-T", "-c", path);
        RUN_ECHOD(&defaults, "-T", "-c", "/dev/null");
        cr_assert_eq(sample.status, 0, "%s", sample.err);
        cr_assert_str_eq(sample.out, defaults.out);
}
