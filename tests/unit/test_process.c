/* What the kernel says of this very process. */

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

static bool is_old; /* as kernels before 6.2: a directory of /proc has no size */

int __real_stat64(const char *path, struct stat *status);
int __wrap_stat64(const char *path, struct stat *status);
int __wrap_stat64(const char *path, struct stat *status)
{
        int r = __real_stat64(path, status);

        if (is_old)
                status->st_size = 0;
        return r;
}

static unsigned count_descriptors(void)
{
        unsigned n = 0;

        for (int descriptor = 0; descriptor < 1024; descriptor++)
                n += fcntl(descriptor, F_GETFD) >= 0;
        return n;
}

Test(process, descriptors_are_those_that_are_open)
{
        struct process process = {0};
        int ends[2];

        process_look(&process);
        cr_assert_eq(process.open_fds, count_descriptors());
        cr_assert_eq(pipe(ends), 0);
        process.counted_until_ns = 0;
        process_look(&process);
        cr_assert_eq(process.open_fds, count_descriptors());
        close(ends[0]);
        close(ends[1]);
}

Test(process, descriptors_are_counted_where_the_kernel_does_not_tell)
{
        struct process process = {0};

        is_old = true;
        process_look(&process);
        cr_assert_eq(process.open_fds, count_descriptors());
}

/* With thousands open, the count itself would take the time that the scrape is not to take. */
Test(process, a_count_is_good_for_a_thousand_times_as_long_as_it_took)
{
        struct process process = {0};
        uint64_t until_ns;
        double before;
        int descriptor;

        is_old = true;
        process_look(&process);
        until_ns = process.counted_until_ns;
        cr_assert_gt(until_ns, 0);
        before = process.open_fds;
        descriptor = dup(0);
        process.counted_until_ns = UINT64_MAX;
        process_look(&process);
        cr_assert_eq(process.open_fds, before);
        process.counted_until_ns = 0;
        process_look(&process);
        cr_assert_eq(process.open_fds, before + 1);
        close(descriptor);
}

Test(process, the_limit_on_descriptors_is_the_soft_one)
{
        struct process process = {0};
        struct rlimit limit;

        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = 123;
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        process_look(&process);
        cr_assert_eq(process.max_fds, 123);
}

Test(process, it_started_in_the_past_and_not_long_ago)
{
        struct process process = {0};
        double now = (double)time(NULL);

        process_look(&process);
        cr_assert_leq(process.start_time_seconds, now + 1);
        cr_assert_geq(process.start_time_seconds, now - 600);
}

Test(process, the_start_is_the_same_at_each_look)
{
        struct process process = {0};
        double started;

        process_look(&process);
        started = process.start_time_seconds;
        process_look(&process);
        cr_assert_eq(process.start_time_seconds, started);
}

Test(process, work_takes_processor_time)
{
        struct process before = {0}, after = {0};

        process_look(&before);
        while (clock() < 20 * (CLOCKS_PER_SEC / 1000))
                ;
        process_look(&after);
        cr_assert_gt(after.cpu_seconds, before.cpu_seconds);
}

Test(process, memory_is_resident_in_part)
{
        struct process process = {0};

        process_look(&process);
        cr_assert_gt(process.resident_bytes, 100000);
        cr_assert_gt(process.virtual_bytes, process.resident_bytes);
}

/* Whoever has used up the descriptors is who wants to know. */
Test(process, without_a_descriptor_to_read_proc_with_that_is_unknown_and_the_rest_is_not)
{
        struct process process = {0};
        struct rlimit before, none;

        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){.rlim_max = before.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
        process_look(&process);
        setrlimit(RLIMIT_NOFILE, &before); /* Criterion needs some itself */
        cr_assert(isnan(process.resident_bytes));
        cr_assert(isnan(process.virtual_bytes));
        cr_assert(isnan(process.start_time_seconds));
        cr_assert(isnan(process.open_fds) || process.open_fds > 0);
        cr_assert_eq(process.max_fds, 0);
        cr_assert_gt(process.cpu_seconds, 0);
}
