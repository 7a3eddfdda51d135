#pragma once

/* What a probe has come to. */

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"

struct probe_summary {
        uint64_t n_sent;
        uint64_t n_received;  /* the late ones, too */
        uint64_t n_late;      /* came, but not in time */
        uint64_t n_under_way; /* at an interrupt: could still have come in time */
        uint64_t n_faults;    /* places where the bytes were wrong */
        bool is_broken;       /* the connection ended before its time */
        uint64_t duration_ns;
        const struct histogram *times;
};

/* Prints it as ping(8) does. Returns the exit status. */
int probe_summary_print(const struct probe_summary *summary, const char *host);
