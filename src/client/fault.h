#pragma once

/* What can be wrong with a stream that ought to be what was sent. Pure. */

#include <stdint.h>

#include "pattern.h"

enum fault_kind {
        FAULT_LOST,       /* bytes are missing */
        FAULT_DUPLICATED, /* bytes came again */
        FAULT_REORDERED,  /* bytes came after later ones */
        FAULT_MIXED,      /* bytes of another connection came */
        FAULT_CORRUPTED,  /* bytes came that nobody sent */
        N_FAULT_KINDS,
};

struct fault {
        enum fault_kind kind;
        uint64_t offset;            /* in this connection's stream */
        uint64_t length;            /* of what was lost or corrupted, else 0 */
        struct pattern_place place; /* duplicated, reordered, mixed: where the bytes come from */
};

#define FAULT_TEXT_MAX 160

/* "offset 128: 1 byte lost". Returns `text`. */
const char *fault_format(const struct fault *fault, char text[static FAULT_TEXT_MAX]);

/* "lost" and so on. */
const char *fault_name(enum fault_kind kind);
