/* Files of every kind that may be named with -c. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config_fixture.h"

#define MEBIBYTE ((size_t)1 << 20)

/* A file is opened or it is not: nothing here may wait. */
TestSuite(config_files, FIXTURE, .timeout = 60);

/* Loads a file of the directory that was made by other means. */
static void expect_refused(const char *name, const char *fragment)
{
        load_file(name, NULL, 0);
        expect_problem(name, fragment);
        expect_problems(1);
}

Test(config_files, blank_ones_mean_the_defaults)
{
        expect_good("");
        expect_good("\n");
        expect_good(" \t\r\n\f\n");
        expect_good("# nothing but a comment");
        expect_good("/* nothing */");
}

Test(config_files, dev_null_means_the_defaults)
{
        cr_assert_eq(symlink("/dev/null", fixture_path("null")), 0);
        cr_assert_eq(load_file("null", NULL, 0), CONFIG_LOADED);
        cr_assert_eq(loading.config.listeners[0].port, 7);
}

Test(config_files, the_last_line_needs_no_newline_and_no_semicolon)
{
        expect_good("workers = 3;");
        expect_good("workers = 3");
        cr_assert_eq(loading.config.workers, 3);
        expect_good("workers = 3; # comment");
        expect_good("workers = 3; // comment");
}

Test(config_files, a_byte_order_mark_is_skipped)
{
        expect_good("\xef\xbb\xbfworkers = 3;\n");
        cr_assert_eq(loading.config.workers, 3);
        expect_good("\xef\xbb\xbf");
        write_text("g", "\xef\xbb\xbfworkers = 4;\n");
        expect_good("\xef\xbb\xbf@include \"g\"\n");
        cr_assert_eq(loading.config.workers, 4);
        expect_only_problem("\xef\xbb\xbf\n\nworkers = -1;\n", "f:3: workers: ", "is -1");
}

Test(config_files, lines_may_end_as_on_windows)
{
        write_text("g", "max_connections = 5;\r\n");
        expect_good(
                "workers = 3; # comment\r\n\r\n@include \"g\"\r\ndeny = [\r\n \"::1\"\r\n];\r\n");
        cr_assert_eq(loading.config.workers, 3);
        cr_assert_eq(loading.config.max_connections, 5);
        expect_only_problem("\r\n\r\nworkers = -1;\r\n", "f:3: workers: ", "is -1");
}

Test(config_files, a_nul_byte_is_named_wherever_it_is)
{
        static const char text[] = "workers = 3;\n";

        for (size_t i = 0; i < sizeof(text); i++) {
                char bytes[sizeof(text)];

                memcpy(bytes, text, sizeof(text));
                bytes[i] = '\0';
                write_bytes("f", bytes, sizeof(text));
                expect_refused("f", "NUL byte");
        }
}

Test(config_files, a_program_is_refused)
{
        cr_assert_eq(symlink("/proc/self/exe", fixture_path("program")), 0);
        load_file("program", NULL, 0);
        expect_problem("program: ", "");
        expect_problems(1);
}

Test(config_files, every_single_byte_is_survived)
{
        loading.is_malformed_allowed = true;
        for (unsigned byte = 0; byte < 256; byte++) {
                const unsigned char bytes[] = {(unsigned char)byte, ' ', '=', ' ', '1', ';'};

                write_bytes("f", bytes, 1);
                cr_assert(load_file("f", NULL, 0) == 0 || loading.n_lines > 0, "%u", byte);
                write_bytes("f", bytes, sizeof(bytes));
                cr_assert(load_file("f", NULL, 0) == 0 || loading.n_lines > 0, "%u", byte);
        }
}

Test(config_files, one_mebibyte_is_allowed_and_a_byte_more_is_not)
{
        char *text = malloc(MEBIBYTE + 2);

        cr_assert_not_null(text);
        memset(text, '\n', MEBIBYTE + 1);
        memcpy(text, "workers = 3;", 12);
        write_bytes("f", text, MEBIBYTE);
        cr_assert_eq(load_file("f", NULL, 0), 0, "%s", problems_text());
        cr_assert_eq(loading.config.workers, 3);
        write_bytes("f", text, MEBIBYTE + 1);
        expect_refused("f", "at most 1 MiB");
        free(text);
}

Test(config_files, one_mebibyte_is_for_all_that_is_included)
{
        char *text = malloc(MEBIBYTE);

        cr_assert_not_null(text);
        memset(text, ' ', MEBIBYTE);
        write_bytes("g", text, MEBIBYTE / 2);
        expect_good("@include \"g\"\n");
        expect_only_problem("@include \"g\"\n@include \"g\"\n@include \"g\"\n", "f:", "1 MiB");
        free(text);
}

Test(config_files, a_device_without_end_is_refused)
{
        cr_assert_eq(symlink("/dev/zero", fixture_path("zero")), 0);
        expect_refused("zero", "");
}

Test(config_files, a_directory_is_refused)
{
        expect_refused("elsewhere", "is a directory");
}

Test(config_files, a_pipe_that_nobody_writes_is_not_waited_for)
{
        cr_assert_eq(mkfifo(fixture_path("pipe"), 0600), 0);
        expect_refused("pipe", "neither a file nor a device");
}

Test(config_files, a_named_file_that_does_not_exist_is_an_error)
{
        expect_refused("absent", "does not exist");
        write_text("f", "");
        expect_refused("f/g", "Not a directory");
}

Test(config_files, a_link_that_leads_nowhere_or_round_in_circles_is_an_error)
{
        cr_assert_eq(symlink("absent", fixture_path("nowhere")), 0);
        expect_refused("nowhere", "does not exist");
        cr_assert_eq(symlink("circle", fixture_path("circle")), 0);
        expect_refused("circle", "symbolic links");
}

/* Root may read everything, so somebody else tries. */
Test(config_files, a_file_that_may_not_be_read_is_an_error)
{
        int status;
        pid_t child;

        write_text("f", "workers = 3;");
        cr_assert_eq(chmod(fixture_path("f"), 0), 0);
        cr_assert_eq(chmod(fixture_path("."), 0755), 0);
        child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
                if (geteuid() == 0 && setuid(65534) < 0)
                        _exit(2);
                load_file("f", NULL, 0);
                _exit(loading.n_lines == 1 && strstr(loading.lines[0], "Permission denied") ? 0
                                                                                            : 1);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status));
        if (WEXITSTATUS(status) == 2)
                cr_skip("cannot become another user");
        cr_assert_eq(WEXITSTATUS(status), 0);
}
