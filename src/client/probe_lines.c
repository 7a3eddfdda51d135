#include "probe_lines.h"

#include <inttypes.h>
#include <stdio.h>

void probe_line_heading(const struct arguments *arguments, const struct target *target,
                        const char *address)
{
        if (target_is_path(target))
                printf("ECHO %s: ", target->name);
        else
                printf("ECHO %s (%s) port %u: ", target->host, address, target->port);
        printf("%" PRIu64 " bytes of data.\n", arguments->size);
}

void probe_line_answer(const struct arguments *arguments, const char *address, uint64_t index,
                       uint64_t time_ns, bool is_late)
{
        if (!arguments->is_quiet)
                printf("%" PRIu64 " bytes from %s: seq=%" PRIu64 " time=%.3f ms%s\n",
                       arguments->size, address, index + 1, (double)time_ns / 1e6,
                       is_late ? " (late)" : "");
}

void probe_line_forgotten(const struct arguments *arguments, uint64_t index)
{
        if (!arguments->is_quiet)
                printf("seq=%" PRIu64 ": too late to be timed\n", index + 1);
}

void probe_line_missing(const struct arguments *arguments, uint64_t index, uint64_t n_good)
{
        if (arguments->is_quiet)
                return;
        if (n_good == 0)
                printf("seq=%" PRIu64 ": no answer within %g s\n", index + 1, arguments->timeout_s);
        else
                printf("seq=%" PRIu64 ": %" PRIu64 " of %" PRIu64 " bytes within %g s\n", index + 1,
                       n_good, arguments->size, arguments->timeout_s);
}

void probe_line_fault(const struct arguments *arguments, const struct fault *fault)
{
        uint64_t index = fault->offset / arguments->size;
        char text[FAULT_TEXT_MAX];

        if (arguments->is_quiet)
                return;
        if (arguments->count == 0 || index < arguments->count)
                printf("seq=%" PRIu64 ": %s\n", index + 1, fault_format(fault, text));
        else
                printf("after the last message: %s\n", fault_format(fault, text));
}
