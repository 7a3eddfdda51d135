#pragma once

/*
 * Files in a directory of the test's own, and what came of loading one. What goes wrong in here
 * fails the running Criterion test with a message.
 */

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

struct option;

#define LINES_MAX 128

/* The last loading; the next one, or fixture_end(), frees it. */
struct loading {
        int result;
        struct config config;
        char *lines[LINES_MAX]; /* the problems, the directory and its slash taken off their front
                                 */
        size_t n_lines;
        bool is_malformed;         /* a line does not begin with FILE:LINE: WORD, */
        bool is_malformed_allowed; /* and that is no mistake */
};

extern struct loading loading;

/* Makes the directory; the working directory becomes another one inside it, which is empty. */
void fixture_begin(void);

/* Removes the directory and frees the loading. */
void fixture_end(void);

/* TestSuite(name, FIXTURE); */
#define FIXTURE .init = fixture_begin, .fini = fixture_end

/* The path of a file in the directory; valid until the eighth call from now. */
const char *fixture_path(const char *name);

/* Writes a file into the directory. */
void write_text(const char *name, const char *text);
void write_bytes(const char *name, const void *bytes, size_t length);

/* Loads a file of the directory, and what -o would give. Returns loading.result. */
int load_file(const char *name, const char **overrides, size_t n_overrides);

/* Loads a text as the file f; the list of overrides ends with NULL. */
int load_text(const char *text);
int load_with(const char *text, const char *const overrides[]);

/* LOAD("workers = 1;", "workers = 2;"): a file and what overrides it. */
#define LOAD(text, ...) load_with(text, (const char *const[]){__VA_ARGS__, NULL})
/* Expects that the text loads. */
void expect_good(const char *text);

/* Expects so many problems, and no configuration. */
void expect_problems(size_t n);

/* Expects a problem that begins with `start` and has `fragment` in it. */
void expect_problem(const char *start, const char *fragment);

/* Expects that the text gives this problem and no other. */
void expect_only_problem(const char *text, const char *start, const char *fragment);

/* All problems, for messages. */
const char *problems_text(void);

/* What config_print() writes; the caller frees it. */
char *printed(const struct config *config);

/* Whether every option of the table has the same value in both. */
bool config_equals(const struct config *a, const struct config *b);

/* Whether this build can set the option at all. */
bool is_supported(const struct option *option);
