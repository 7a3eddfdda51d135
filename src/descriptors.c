#include "descriptors.h"

#include <errno.h>
#include <sys/resource.h>

#include "util.h"

/* The standard streams, the main loop's own, listeners, a configuration file being read. */
#define RESERVE           64
#define RESERVE_EACH_LOOP 7 /* libuv's four, a poller, and a pipe */

int64_t descriptors_for_connections(unsigned n_workers)
{
        struct rlimit limit;
        int64_t n, reserve = RESERVE + RESERVE_EACH_LOOP * (int64_t)n_workers;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        if (limit.rlim_cur < limit.rlim_max) {
                limit.rlim_cur = limit.rlim_max;
                if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                        return -errno;
        }
        n = (int64_t)MIN(limit.rlim_cur, (rlim_t)INT32_MAX) - reserve;
        return n > 0 ? n : -EMFILE;
}
