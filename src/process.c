#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_EACH_SECOND UINT64_C(1000000000)

/* A count of descriptors that took so long is good for this many times as long. */
#define COUNT_EVERY 1000

static uint64_t clock_ns(clockid_t clock)
{
        struct timespec now = {0};

        clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * NS_EACH_SECOND + (uint64_t)now.tv_nsec;
}

static double seconds_of(const struct timeval *time)
{
        return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* The beginning of a file of /proc; "" if it cannot be read. Returns `text`. */
static const char *read_start(const char *path, char *text, size_t size)
{
        int descriptor = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = descriptor < 0 ? -1 : read(descriptor, text, size - 1);

        if (descriptor >= 0)
                close(descriptor);
        text[n > 0 ? n : 0] = '\0';
        return text;
}

static void look_at_memory(struct process *process)
{
        unsigned long n_virtual, n_resident;
        double page = (double)sysconf(_SC_PAGESIZE);
        char text[128];

        process->virtual_bytes = NAN;
        process->resident_bytes = NAN;
        read_start("/proc/self/statm", text, sizeof(text));
        if (sscanf(text, "%lu %lu", &n_virtual, &n_resident) != 2)
                return;
        process->virtual_bytes = (double)n_virtual * page;
        process->resident_bytes = (double)n_resident * page;
}

/* Field 22 of proc(5)'s stat, in ticks since the machine started; the name may have spaces. */
static double start_time(void)
{
        uint64_t now_ns = clock_ns(CLOCK_REALTIME), up_ns = clock_ns(CLOCK_BOOTTIME);
        const char *field;
        char text[1024];

        field = strrchr(read_start("/proc/self/stat", text, sizeof(text)), ')');
        for (int i = 2; field && i < 22; i++)
                field = strchr(field + 1, ' ');
        if (!field)
                return NAN;
        return (double)(now_ns - up_ns) / 1e9 + strtod(field, NULL) / (double)sysconf(_SC_CLK_TCK);
}

/* Without those that the count itself opens. */
static double count_descriptors(void)
{
        DIR *directory = opendir("/proc/self/fd");
        const struct dirent *entry;
        unsigned n = 0;

        if (!directory)
                return NAN;
        while ((entry = readdir(directory)))
                n += entry->d_name[0] != '.';
        closedir(directory);
        return n - 1.0;
}

static void look_at_descriptors(struct process *process)
{
        uint64_t began_ns = clock_ns(CLOCK_MONOTONIC), ended_ns;
        struct rlimit limit;
        struct stat status;

        process->max_fds = NAN;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
                process->max_fds = (double)limit.rlim_cur;
        if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0) {
                process->open_fds = (double)status.st_size;
                return;
        }
        if (began_ns < process->counted_until_ns)
                return;
        process->open_fds = count_descriptors();
        ended_ns = clock_ns(CLOCK_MONOTONIC);
        process->counted_until_ns = ended_ns + (ended_ns - began_ns) * COUNT_EVERY;
}

void process_look(struct process *process)
{
        struct rusage usage;

        process->cpu_seconds = NAN;
        if (getrusage(RUSAGE_SELF, &usage) == 0)
                process->cpu_seconds = seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime);
        if (!(process->start_time_seconds > 0))
                process->start_time_seconds = start_time();
        look_at_memory(process);
        look_at_descriptors(process);
}
