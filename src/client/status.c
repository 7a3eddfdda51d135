/*
 * The happy path:
 *  1. Fetch the metrics and take them apart.
 *  2. Print a head and the table; on a terminal over what stands there.
 *  3. Wait for an interval, or a signal to stop; with the figures from before, back to 1.
 *
 * What can go wrong:
 *  - the first page does not come, or is not echod's: that is said, and the end;
 *  - a later one does not: that is said in place of the table, and it goes on;
 *  - it cannot be printed: the end.
 */

#include "status.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "exit_status.h"
#include "log.h"
#include "page.h"
#include "samples.h"
#include "status_table.h"

#define HEAD_LINES 2

struct status {
        const struct arguments *arguments;
        struct page_source source;
        bool is_screen; /* the standard output is a terminal, to be written over */
        sigset_t signals;
        struct samples now, before;
        uint64_t now_ns, before_ns; /* when these were fetched; 0: not yet */
        char problem[PAGE_TEXT_MAX];
};

/* What is no page of echod's is no use. */
static int take(struct status *status, char *page)
{
        struct samples samples;
        int r = samples_parse(&samples, page);

        if (r == 0 && !samples_find(&samples, "echod_connections", "")) {
                samples_free(&samples);
                r = -EPROTO;
        }
        if (r < 0) {
                snprintf(status->problem, sizeof(status->problem), "%s",
                         r == -ENOMEM ? uv_strerror(r) : "this is not the metrics of an echod");
                return r == -ENOMEM ? r : -EPROTO;
        }
        samples_free(&status->before);
        status->before = status->now;
        status->before_ns = status->now_ns;
        status->now = samples;
        status->now_ns = uv_hrtime();
        return 0;
}

static int update(struct status *status)
{
        char *page;
        int r = page_fetch(&status->source, &page, status->problem);

        return r < 0 ? r : take(status, page);
}

static double value_of(const struct samples *samples, const char *name)
{
        const struct sample *sample = samples_find(samples, name, "");

        return sample ? sample->value : NAN;
}

/* " 3d 04:05:06" since the process started, as far as it says when. */
static void print_uptime(const struct samples *samples)
{
        double up = (double)time(NULL) - value_of(samples, "process_start_time_seconds");
        uint64_t seconds;

        if (isnan(up))
                return;
        seconds = up > 0 ? (uint64_t)up : 0; /* clocks differ a little */
        printf(", up");
        if (seconds >= 86400)
                printf(" %" PRIu64 "d", seconds / 86400);
        printf(" %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600 % 24, seconds / 60 % 60,
               seconds % 60);
}

static void print_head(const struct status *status)
{
        char version[64] = "";

        for (size_t i = 0; i < status->now.n_samples; i++)
                if (strcmp(status->now.samples[i].name, "echod_build_info") == 0)
                        sample_label(&status->now.samples[i], "version", version, sizeof(version));
        printf("echod %s at %s", version, status->source.url);
        print_uptime(&status->now);
        printf("\n\n");
}

/* How many lines there are below the head; for a file as many as it takes. */
static size_t n_lines(const struct status *status)
{
        struct winsize size = {0};

        if (!status->is_screen || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
                return SIZE_MAX;
        return (size_t)MAX(size.ws_row - HEAD_LINES - 1, 2);
}

static void print(const struct status *status)
{
        double seconds = (double)(status->now_ns - status->before_ns) / 1e9;

        print_head(status);
        status_table_print(stdout, &status->now, status->before_ns > 0 ? &status->before : NULL,
                           seconds, n_lines(status));
}

/* Everything on the screen is written over, so that nothing flickers. */
static void refresh(const struct status *status, bool is_good)
{
        if (status->is_screen)
                printf("\033[H\033[J");
        if (is_good)
                print(status);
        else
                printf("%s: %s\n", status->source.url, status->problem);
        fflush(stdout);
}

/* False: a signal came, and it is over. */
static bool wait_interval(const struct status *status)
{
        double seconds = status->arguments->interval_s;
        const struct timespec interval = {
                .tv_sec = (time_t)seconds,
                .tv_nsec = (long)((seconds - floor(seconds)) * 1e9),
        };
        int number;

        do
                number = sigtimedwait(&status->signals, NULL, &interval);
        while (number < 0 && errno == EINTR);
        return number < 0;
}

static int complain(const struct status *status, int error)
{
        log_error("echoc: %s: %s", status->source.url, status->problem);
        return error == -EPROTO ? STATUS_BAD : STATUS_USAGE;
}

/* As often as was asked for: on a terminal until it is interrupted, else once. */
static int show(struct status *status)
{
        uint64_t count = status->arguments->count, n_shown = 0;
        int r = update(status);

        if (r < 0)
                return complain(status, r);
        if (count == 0 && !status->is_screen)
                count = 1;
        for (;;) {
                refresh(status, r == 0);
                if (++n_shown == count || ferror(stdout) || !wait_interval(status))
                        return r == 0 ? STATUS_GOOD : STATUS_BAD;
                r = update(status);
                if (r < 0 && !status->is_screen)
                        return complain(status, r);
        }
}

int status_run(const struct arguments *arguments)
{
        struct status status = {.arguments = arguments, .is_screen = isatty(STDOUT_FILENO)};
        int r = page_source_init(&status.source, arguments->host, (uint16_t)arguments->port,
                                 arguments->family, arguments->timeout_s);

        if (r < 0) {
                log_error("echoc: --status %s: %s", arguments->host,
                          r == -ENOSYS ? "built without libcurl" : uv_strerror(r));
                return STATUS_USAGE;
        }
        sigemptyset(&status.signals);
        sigaddset(&status.signals, SIGINT);
        sigaddset(&status.signals, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &status.signals, NULL);
        r = show(&status);
        samples_free(&status.now);
        samples_free(&status.before);
        return r;
}
