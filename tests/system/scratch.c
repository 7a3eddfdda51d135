#include "scratch.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
        (void)status;
        (void)type;
        (void)place;
        return remove(path);
}

void scratch_remove(void)
{
        nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
        (void)stats;
        nftw(getenv(PARENT), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(const char *name)
{
        static char paths[8][PATH_MAX];
        static unsigned next;
        char *path = paths[next++ % 8];

        snprintf(path, PATH_MAX, "%s/%s", directory, name);
        return path;
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
