#pragma once

/*
 * Problems of a configuration, collected rather than returned, so that one run reports them all.
 */

#include "util.h"

/* Is told of each problem, a line `FILE:LINE: OPTION: what is wrong; what would be right`. */
struct config_problems {
        void (*report)(void *user, const char *line);
        void *user;
        unsigned n_problems;
};

/* Adds a problem; `line` 0: it concerns the whole file. */
void config_problem(struct config_problems *problems, const char *file, unsigned line,
                    const char *format, ...) FORMAT_PRINTF(4, 5);
