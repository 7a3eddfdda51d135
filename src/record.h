#pragma once

/*
 * What happened, as a line of the log: an event and its fields, for people and for programs.
 *
 *     closed peer=192.0.2.1:51000 in=1234 duration=12.345          logfmt
 *     "event":"closed","peer":"192.0.2.1:51000","in":1234,...      JSON, RFC 8259; log.h adds the
 *                                                                  braces, the time and the level
 * Texts are quoted and escaped as the format wants it, so that whatever they hold, the line stays
 * one line and can be taken apart again. Pure.
 */

#include <stddef.h>
#include <stdint.h>

enum record_format { RECORD_LOGFMT, RECORD_JSON, N_RECORD_FORMATS };

#define RECORD_MAX 2048

/* A field for which there is no room is left out; a text is cut. */
struct record {
        enum record_format format;
        size_t length;
        char text[RECORD_MAX]; /* with its NUL */
};

/* Starts a record; `event` is a word of echod's own. NULL: it has fields only. */
void record_begin(struct record *record, enum record_format format, const char *event);

/*
 * Adds a text from anywhere. What is not UTF-8 becomes U+FFFD, a control character \\u00NN. In
 * logfmt a text is quoted only if it must be: with spaces, quotes, equal signs and the like, or
 * empty.
 */
void record_string(struct record *record, const char *key, const char *value);

void record_number(struct record *record, const char *key, uint64_t value);

/* Adds value / 10^n_decimals, with so many decimals (0-9): record_decimal(r, "s", 12345,
 * 3): 12.345.
 */
void record_decimal(struct record *record, const char *key, uint64_t value, unsigned n_decimals);
