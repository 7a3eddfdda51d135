#include "open_files.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <uv.h>

#include "log.h"
#include "util.h"

/* Standard streams and the like; and of each loop. */
#define OTHERS      32
#define EACH_THREAD 16

int open_files_check(uint64_t n_connections, uint64_t n_threads)
{
        uint64_t n_others = OTHERS + EACH_THREAD * n_threads;
        struct rlimit limit;
        int r = 0;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                r = -errno;
        limit.rlim_cur = limit.rlim_max;
        if (r == 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0)
                r = -errno;
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
