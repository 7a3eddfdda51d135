#include "directory.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

const char *directory_path(const char *directory, const char *name)
{
        static char paths[8][PATH_MAX];
        static unsigned next;
        char *path = paths[next++ % 8];

        snprintf(path, PATH_MAX, "%s/%s", directory, name);
        return path;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
        (void)status;
        (void)type;
        (void)place;
        return remove(path);
}

void directory_remove(const char *directory)
{
        nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
