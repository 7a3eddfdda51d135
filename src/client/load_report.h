#pragma once

/* What a load has come to, for people and for machines. */

#include <stdbool.h>
#include <stdint.h>

#include "arguments.h"
#include "histogram.h"
#include "load_link.h"

struct load_totals {
        uint64_t n_opened, n_closed, n_sent, n_received, n_over, n_bytes, n_unsent;
        uint64_t errors[N_LOAD_ERRORS];
        uint64_t faults[N_FAULT_KINDS];
};

/* Adds a thread's counters as they are now. */
void load_totals_add(struct load_totals *totals, const struct load_counters *counters);

/* How many errors and faults there are. */
uint64_t load_totals_bad(const struct load_totals *totals);

struct load_report {
        const struct arguments *arguments;
        double seconds;                    /* from the first message to the stop */
        struct load_totals at_stop;        /* what was done in that time */
        struct load_totals at_end;         /* and after what was under way came back */
        const struct histogram *latencies; /* ns */
        size_t n_columns;                  /* of the terminal; 0: it is none */
        bool is_utf8;                      /* else only ASCII is printed */
};

/*
 * One line, written over again and again: what was done in the last second, and is under way; of
 * streams only the former. No longer than a terminal with so many columns is wide.
 */
void load_report_progress(const struct load_totals *before, const struct load_totals *now,
                          double seconds, bool is_bulk, size_t n_columns);

/* On a terminal with bars that draw the distribution. */
void load_report_print(const struct load_report *report);

/* One object on one line. */
void load_report_print_json(const struct load_report *report);
