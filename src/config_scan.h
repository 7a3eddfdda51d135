#pragma once

/*
 * Follows a configuration's text as libconfig's scanner will, far enough to know strings and
 * comments, and to report what libconfig 1.5 would silently take for something else: numbers that
 * it cuts, and a lone point, which is 0 to it.
 */

#include "config_problem.h"

#define SCAN_WORD_MAX 64

struct config_scanner {
        struct config_problems *problems;
        const char *file; /* of the line being scanned, as messages name it */
        unsigned line;
        enum { SCAN_TEXT, SCAN_STRING, SCAN_COMMENT } state;
        unsigned opened_line;       /* where the string or comment began */
        const char *begin;          /* of the line */
        char name[SCAN_WORD_MAX];   /* the last word, which an = makes an option's */
        char option[SCAN_WORD_MAX]; /* the option whose value is being read */
};

/* Scans a line, up to its newline or NUL at `end`, and blanks the comments in it. */
void config_scan_line(struct config_scanner *scanner, char *p, char *end);
