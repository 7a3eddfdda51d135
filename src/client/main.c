#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "arguments.h"
#include "exit_status.h"
#include "hold.h"
#include "load.h"
#include "log.h"
#include "open_files.h"
#include "probe.h"
#include "standard_streams.h"
#include "status.h"
#include "target.h"
#include "transcript.h"

static int run(const struct arguments *arguments, const struct target *target)
{
        switch (arguments->mode) {
        case MODE_TRANSCRIPT:
                return transcript_run(arguments, target);
        case MODE_LOAD:
                return load_run(arguments, target);
        case MODE_HOLD:
                return hold_run(arguments, target);
        default:
                return probe_run(arguments, target);
        }
}

static int resolve_and_run(const struct arguments *arguments)
{
        struct target target;
        int r, status = STATUS_USAGE;

        if (arguments->mode == MODE_STATUS)
                return status_run(arguments);
        if (open_files_try() < 0)
                return STATUS_USAGE;
        r = target_resolve(&target, arguments->host, (uint16_t)arguments->port, arguments->family);
        if (r == 0)
                status = run(arguments, &target);
        else
                log_error("echoc: %s: %s", arguments->host, uv_strerror(r));
        target_free(&target);
        return status;
}

/* What went wrong may have to do with the bytes. */
static void tell_seed(const struct arguments *arguments)
{
        if (arguments->mode & (MODE_PROBE | MODE_LOAD | MODE_HOLD))
                log_error("echoc: --seed %" PRIu64 " sends the same bytes again", arguments->seed);
}

/* So that a full disk does not pass for a good result. */
static int flush(int status)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        log_error("echoc: cannot write: %s", strerror(errno));
        return status == STATUS_GOOD ? STATUS_BAD : status;
}

int main(int argc, char **argv)
{
        struct arguments arguments;
        int status;

        standard_streams_open();
        setvbuf(stdout, NULL, _IOLBF, 0); /* who reads along sees each line at once */
        status = arguments_take(&arguments, argc, argv);
        if (status < 0)
                status = resolve_and_run(&arguments);
        if (status == STATUS_BAD)
                tell_seed(&arguments);
        arguments_free(&arguments);
        return flush(status);
}
