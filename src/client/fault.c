#include "fault.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const NAMES[N_FAULT_KINDS] = {
        [FAULT_LOST] = "lost",   [FAULT_DUPLICATED] = "duplicated", [FAULT_REORDERED] = "reordered",
        [FAULT_MIXED] = "mixed", [FAULT_CORRUPTED] = "corrupted",
};

const char *fault_name(enum fault_kind kind)
{
        return NAMES[kind];
}

const char *fault_format(const struct fault *fault, char text[static FAULT_TEXT_MAX])
{
        int n = snprintf(text, FAULT_TEXT_MAX, "offset %" PRIu64 ": ", fault->offset);
        char *rest = text + n;
        size_t size = FAULT_TEXT_MAX - (size_t)n;

        switch (fault->kind) {
        case FAULT_DUPLICATED:
                snprintf(rest, size, "duplicated: bytes from offset %" PRIu64 " on came again",
                         fault->place.offset);
                break;
        case FAULT_REORDERED:
                snprintf(rest, size, "reordered: bytes from offset %" PRIu64 " on came first",
                         fault->place.offset);
                break;
        case FAULT_MIXED:
                snprintf(rest, size,
                         "mixed: bytes of connection %" PRIu32 " from its offset %" PRIu64 " on",
                         fault->place.connection, fault->place.offset);
                break;
        default:
                snprintf(rest, size, "%" PRIu64 " %s %s", fault->length,
                         fault->length == 1 ? "byte" : "bytes", NAMES[fault->kind]);
                break;
        }
        return text;
}
