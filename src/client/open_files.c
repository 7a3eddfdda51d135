#include "open_files.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "log.h"
#include "util.h"

/* Standard streams and the like; and of each loop. */
#define OTHERS      32
#define EACH_THREAD 16

static int raise_limit(struct rlimit *ret_limit)
{
        if (getrlimit(RLIMIT_NOFILE, ret_limit) < 0)
                return -errno;
        ret_limit->rlim_cur = ret_limit->rlim_max;
        return setrlimit(RLIMIT_NOFILE, ret_limit) < 0 ? -errno : 0;
}

int open_files_check(uint64_t n_connections, uint64_t n_threads)
{
        uint64_t n_others = OTHERS + EACH_THREAD * n_threads;
        struct rlimit limit;
        int r = raise_limit(&limit);

        if (r < 0) {
                log_error("echoc: the limit on open files: %s", uv_strerror(r));
                return r;
        }
        if (n_connections + n_others <= limit.rlim_cur)
                return 0;
        log_error("echoc: %" PRIu64 " connections do not fit into the limit on open files, %" PRIu64
                  ", which leaves room for %" PRIu64,
                  n_connections, (uint64_t)limit.rlim_cur,
                  (uint64_t)limit.rlim_cur - MIN(n_others, limit.rlim_cur));
        return -EMFILE;
}

int open_files_try(void)
{
        int descriptors[EACH_THREAD], r = 0;
        struct rlimit limit;
        size_t n = 0;

        raise_limit(&limit);
        while (r == 0 && n < EACH_THREAD) {
                descriptors[n] = eventfd(0, EFD_CLOEXEC);
                if (descriptors[n] < 0)
                        r = -errno;
                else
                        n++;
        }
        while (n > 0)
                close(descriptors[--n]);
        if (r < 0)
                log_error("echoc: not even %d files can be opened: %s", EACH_THREAD,
                          uv_strerror(r));
        return r;
}
