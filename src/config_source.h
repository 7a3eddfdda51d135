#pragma once

/*
 * The text of a configuration, with what its files include put in their place, and where each line
 * came from. libconfig 1.5 itself ends the process on an included directory, takes an absolute
 * path for a relative one, resolves relative ones against one directory only, cuts hexadecimal
 * numbers to 32 bits, and takes an unclosed comment for the end; all of that is dealt with here,
 * before it sees the text.
 */

#include <stddef.h>

#include "config_problem.h"

struct config_source_line {
        const char *file; /* one of `files` */
        unsigned number;
        size_t offset; /* where its text begins */
};

struct config_source {
        char *text; /* ends with a newline and a NUL */
        size_t length, capacity;
        struct config_source_line *lines;
        size_t n_lines, lines_capacity;
        char **files;
        size_t n_files;
};

#define CONFIG_SOURCE_NULL ((struct config_source){0})

/*
 * Reads a file (a regular one, or a device such as /dev/null) and what it includes; at most 1 MiB.
 * -EINVAL: it cannot be parsed, and that was reported; a number that libconfig would cut is
 * reported, too, but the text is good for finding other problems. -ENOENT: the file itself does
 * not exist; not reported. -ENOMEM.
 */
int config_source_read(struct config_source *source, const char *path,
                       struct config_problems *problems);

/* The same for a text; `file` and `line` say where it came from. What it includes is relative to
 * the working directory. */
int config_source_take(struct config_source *source, const char *text, const char *file,
                       unsigned line, struct config_problems *problems);

/* Where a line of the text, counted from 1, came from; the last line for one beyond it. */
const struct config_source_line *config_source_line(const struct config_source *source,
                                                    unsigned line);

/* The nearest line at or before this one that contains `needle`; else `line` itself. */
unsigned config_source_find_back(const struct config_source *source, unsigned line,
                                 const char *needle);

void config_source_free(struct config_source *source);
