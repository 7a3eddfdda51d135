#pragma once

/* Figures of a daemon as a table for people. Pure, but for the printing. */

#include <stdint.h>
#include <stdio.h>

#include "samples.h"

/*
 * Prints one figure a line: its name without the `echod_`, its labels, and its value; of those that
 * only grow, if there is something from `seconds` before to compare with (NULL: there is not), how
 * much a second that was. Of a histogram, how many values there are, their mean, and percentiles,
 * as good as its buckets are. The version and the time of the start are for a head. At most
 * `n_lines`; if there are more, the last line says so.
 */
void status_table_print(FILE *file, const struct samples *now, const struct samples *before,
                        double seconds, size_t n_lines);
