/*
 * `meson install` of a fresh build. It is configured, built and installed once, before all tests,
 * into a directory below /tmp whose name INSTALL_ROOT has.
 */

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "scratch.h"

#define PATH_SIZE 1024

/* Where the options of the build put what systemd reads. */
#define UNITS "/own/units"

/* In a shell whose working directory is INSTALL_ROOT, its output to the file `log` there, standard
 * error as 3; false if it fails. */
static bool shell(const char *script)
{
        char command[2048];

        snprintf(command, sizeof(command), "exec 3>&2; cd \"$INSTALL_ROOT\" && { %s\n} >> log 2>&1",
                 script);
        return system(command) == 0;
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
        static char root[] = "/tmp/echod-install-XXXXXX";

        (void)tests;
        if (!mkdtemp(root))
                abort();
        setenv("INSTALL_ROOT", root, 1);
        if (system("command -v meson ninja > /dev/null") != 0)
                return;
        if (!shell("meson setup build \"$SOURCE_ROOT\" --prefix=/usr --sysconfdir=/etc"
                   " -Dtests=false -Dsystemdsystemunitdir=" UNITS
                   " && ninja -C build && meson install -C build --destdir \"$PWD/root\""))
                shell("cat log >&3; rm -rf root");
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
        (void)stats;
        if (system("rm -rf \"$INSTALL_ROOT\"") != 0)
                fprintf(stderr, "cannot remove %s\n", getenv("INSTALL_ROOT"));
}

/* The path of something installed. Valid until eight further calls. */
static const char *installed(const char *name)
{
        static char paths[8][PATH_SIZE];
        static unsigned next;
        char *path = paths[next++ % 8];

        snprintf(path, PATH_SIZE, "%s/root%s", getenv("INSTALL_ROOT"), name);
        return path;
}

static void set_up(void)
{
        scratch_make();
        if (system("command -v meson ninja > /dev/null") != 0)
                cr_skip_test("meson or ninja is not installed");
        cr_assert_eq(access(installed(""), F_OK), 0,
                     "meson install has failed, see standard error");
}

TestSuite(install, .init = set_up, .fini = scratch_remove);

static void assert_file(const char *name, mode_t mode)
{
        struct stat status;

        cr_assert_eq(stat(installed(name), &status), 0, "no %s", installed(name));
        cr_assert_eq(status.st_mode & 07777, mode, "%s has mode %o", name, status.st_mode & 07777);
}

/* What a file has in it. */
static void read_file(struct outcome *ret_outcome, const char *path)
{
        command_run(ret_outcome, NULL, (const char *const[]){"cat", path, NULL});
        cr_assert_eq(ret_outcome->status, 0, "no %s", path);
}

static void skip_without_systemd(void)
{
        struct outcome outcome;

        command_run(&outcome, NULL,
                    (const char *const[]){installed("/usr/sbin/echod"), "-V", NULL});
        if (strstr(outcome.out, "-systemd"))
                cr_skip_test("built without libsystemd, for which no unit is installed");
}

Test(install, the_programs_are_in_their_places_and_run)
{
        struct outcome outcome;

        assert_file("/usr/sbin/echod", 0755);
        assert_file("/usr/bin/echoc", 0755);
        assert_file("/usr/share/bash-completion/completions/echoc", 0644);
        assert_file("/usr/share/bash-completion/completions/echod", 0644);
        command_run(&outcome, NULL,
                    (const char *const[]){installed("/usr/sbin/echod"), "-V", NULL});
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
}

Test(install, the_configuration_is_in_sysconfdir_where_echod_looks_and_is_valid)
{
        struct outcome outcome;

        assert_file("/etc/echod.conf", 0644);
        command_run(&outcome, NULL,
                    (const char *const[]){installed("/usr/sbin/echod"), "-h", NULL});
        cr_assert_not_null(strstr(outcome.out, "(/etc/echod.conf)"), "%s", outcome.out);
        command_run(&outcome, NULL,
                    (const char *const[]){installed("/usr/sbin/echod"), "-t", "-c",
                                          installed("/etc/echod.conf"), NULL});
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
}

Test(install, an_existing_configuration_is_not_overwritten)
{
        struct outcome outcome;
        char build[PATH_SIZE];

        cr_assert_eq(mkdir(scratch_path("etc"), 0755), 0);
        scratch_write("etc/echod.conf", "workers = 1; # mine\n");
        snprintf(build, sizeof(build), "%s/build", getenv("INSTALL_ROOT"));
        command_run(&outcome, NULL,
                    (const char *const[]){"meson", "install", "--no-rebuild", "-C", build,
                                          "--destdir", scratch_path(""), NULL});
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
        cr_assert_eq(access(scratch_path("usr/sbin/echod"), X_OK), 0);
        read_file(&outcome, scratch_path("etc/echod.conf"));
        cr_assert_str_eq(outcome.out, "workers = 1; # mine\n");
}

Test(install, the_examples_are_with_the_documentation)
{
        assert_file("/usr/share/doc/echod/examples/haproxy.cfg", 0644);
        assert_file("/usr/share/doc/echod/examples/kubernetes.yaml", 0644);
        assert_file("/usr/share/doc/echod/examples/minimal.conf", 0644);
}

Test(install, the_manual_pages_are_in_their_sections)
{
        assert_file("/usr/share/man/man1/echoc.1", 0644);
        assert_file("/usr/share/man/man8/echod.8", 0644);
        assert_file("/usr/share/man/man5/echod.conf.5", 0644);
}

Test(install, the_unit_is_where_the_option_says_and_names_what_was_installed)
{
        struct outcome outcome;

        skip_without_systemd();
        assert_file(UNITS "/echod.service", 0644);
        read_file(&outcome, installed(UNITS "/echod.service"));
        cr_assert(command_matches(outcome.out, "^ExecStart=/usr/sbin/echod( |$)"));
        cr_assert(command_matches(outcome.out, "^ExecReload=/usr/sbin/echod -t"));
        cr_assert(command_matches(outcome.out, "^Type=notify$"));
        cr_assert_not(command_matches(outcome.out, "@[a-z]+@"), "%s", outcome.out);
}

/* `tenths`: the most that systemd-analyze may find, without a systemd that runs. */
static void assert_exposure(const char *unit, const char *tenths)
{
        struct outcome outcome;
        char threshold[32];

        snprintf(threshold, sizeof(threshold), "--threshold=%s", tenths);
        command_run(&outcome, NULL,
                    (const char *const[]){"systemd-analyze", "security", "--no-pager",
                                          "--offline=true", threshold, installed(unit), NULL});
        if (outcome.status == 127)
                cr_skip_test("systemd-analyze is not installed");
        cr_assert_eq(outcome.status, 0, "%s%s", outcome.err, outcome.out);
}

Test(install, the_exposure_of_the_units_is_as_low_as_we_say)
{
        skip_without_systemd();
        assert_exposure(UNITS "/echod.service", "14");
        assert_exposure(UNITS "/echod@.service", "14");
        assert_exposure(UNITS "/echod-socket.service", "1");
}

Test(install, without_the_option_the_unit_goes_where_pkg_config_says)
{
        struct outcome wanted, outcome;
        char expected[sizeof(wanted.out) + 32];

        skip_without_systemd();
        command_run(&wanted, NULL,
                    (const char *const[]){"pkg-config", "--variable=systemdsystemunitdir",
                                          "systemd", NULL});
        if (wanted.status != 0)
                cr_skip_test("pkg-config does not know systemd");
        wanted.out[strcspn(wanted.out, "\n")] = '\0';
        command_run(&outcome, NULL,
                    (const char *const[]){"meson", "setup", "-Dtests=false", scratch_path("build"),
                                          getenv("SOURCE_ROOT"), NULL});
        cr_assert_eq(outcome.status, 0, "%s", outcome.out);
        command_run(&outcome, NULL,
                    (const char *const[]){"meson", "introspect", "--installed",
                                          scratch_path("build"), NULL});
        snprintf(expected, sizeof(expected), "\"%s/echod.service\"", wanted.out);
        cr_assert_not_null(strstr(outcome.out, expected), "no %s in %s", expected, outcome.out);
}

Test(install, the_library_that_the_tests_link_is_not_installed)
{
        struct outcome outcome;

        command_run(&outcome, NULL,
                    (const char *const[]){"find", installed(""), "-name", "*.a", "-o", "-name",
                                          "*.h", NULL});
        cr_assert_str_empty(outcome.out);
}
