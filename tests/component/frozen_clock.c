#include "frozen_clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_bool is_frozen;
static _Atomic int64_t frozen_ns;

/* Takes precedence over libc's, for libuv too. */
int clock_gettime(clockid_t id, struct timespec *ret_time)
{
        int64_t ns = atomic_load(&frozen_ns);

        if (!atomic_load(&is_frozen) || (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE))
                return (int)syscall(SYS_clock_gettime, id, ret_time);
        *ret_time = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        return 0;
}

void frozen_clock_begin(void)
{
        struct timespec now;

        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
        atomic_store(&frozen_ns, now.tv_sec * 1000000000LL + now.tv_nsec);
        atomic_store(&is_frozen, true);
}

void frozen_clock_advance(uint64_t ms)
{
        atomic_fetch_add(&frozen_ns, (int64_t)ms * 1000000);
}

void frozen_clock_end(void)
{
        atomic_store(&is_frozen, false);
}
