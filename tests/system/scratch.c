#include "scratch.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directory.h"

/* Names the directory that holds those of all tests of a program. */
#define PARENT "ECHOD_TEST_SCRATCH"

static char directory[64];

/* In the process that starts the tests, since one that fails does not clean up. */
ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
        char parent[] = "/tmp/echod-test-XXXXXX";

        (void)tests;
        if (!mkdtemp(parent))
                abort();
        chmod(parent, 0755); /* some tests give up root's rights */
        setenv(PARENT, parent, 1);
}

void scratch_make(void)
{
        snprintf(directory, sizeof(directory), "%s/XXXXXX", getenv(PARENT));
        cr_assert_not_null(mkdtemp(directory), "mkdtemp: %s", strerror(errno));
        chmod(directory, 0755);
}

void scratch_remove(void)
{
        directory_remove(directory);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
        (void)stats;
        directory_remove(getenv(PARENT));
}

const char *scratch_path(const char *name)
{
        return directory_path(directory, name);
}

const char *scratch_listener(const char *name)
{
        static char option[PATH_MAX + 64];

        snprintf(option, sizeof(option), "listeners = ( { address = \"%s\"; } );",
                 scratch_path(name));
        return option;
}

const char *scratch_write(const char *name, const char *format, ...)
{
        const char *path = scratch_path(name);
        char temporary[PATH_MAX + 4];
        va_list arguments;
        FILE *file;

        snprintf(temporary, sizeof(temporary), "%s.new", path);
        file = fopen(temporary, "we");
        cr_assert_not_null(file, "%s: %s", temporary, strerror(errno));
        va_start(arguments, format);
        cr_assert_geq(vfprintf(file, format, arguments), 0);
        va_end(arguments);
        cr_assert_eq(fclose(file), 0);
        cr_assert_eq(rename(temporary, path), 0);
        return path;
}
