#pragma once

/* A program that runs to its end, with what it writes captured. */

#include <stdbool.h>
#include <stddef.h>

struct outcome {
        int status; /* exit status, or 128 + signal */
        char out[65536];
        char err[65536];
};

/* The binary under test. */
const char *command_echod(void);

/* Runs `arguments`, the first of which is the program, found in PATH. `prepare`, if there is one,
 * runs in the child before. What goes wrong in here fails the running Criterion test. */
void command_run(struct outcome *ret_outcome, void (*prepare)(void), const char *const arguments[]);

/* Runs echod with these arguments. */
#define RUN_ECHOD(outcome, ...) \
        command_run(outcome, NULL, (const char *const[]){command_echod(), ##__VA_ARGS__, NULL})

/* Whether echod is built with a feature, "systemd" or "metrics". */
bool command_echod_has(const char *feature);

/* For `prepare`: gives up root's rights for good. */
void command_become_nobody(void);

/* Whether the text has a match for the extended regular expression, ^ and $ being of lines. */
bool command_matches(const char *text, const char *pattern);
