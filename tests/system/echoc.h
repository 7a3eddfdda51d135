#pragma once

/* echoc as a black box: the binary that the environment variable ECHOC names. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "command.h"

const char *command_echoc(void);

/* Runs echoc with these arguments. */
#define RUN_ECHOC(outcome, ...) \
        command_run(outcome, NULL, (const char *const[]){command_echoc(), ##__VA_ARGS__, NULL})

/*
 * The same, but waits for the text in the standard output and then does something. Standard error
 * goes to where the test's goes.
 */
void command_when(struct outcome *ret_outcome, const char *needle,
                  void (*act)(pid_t pid, void *user), void *user, const char *const arguments[]);

#define ECHOC_WHEN(outcome, needle, act, user, ...) \
        command_when(outcome, needle, act, user,    \
                     (const char *const[]){command_echoc(), ##__VA_ARGS__, NULL})

/* What is done is to send SIGINT, as Ctrl-C does, once, or if impatient again and again until it
 * ends. */
void command_interrupt(struct outcome *ret_outcome, const char *needle, bool is_impatient,
                       const char *const arguments[]);

#define INTERRUPT_ECHOC(outcome, needle, ...)     \
        command_interrupt(outcome, needle, false, \
                          (const char *const[]){command_echoc(), ##__VA_ARGS__, NULL})

#define INTERRUPT_ECHOC_IMPATIENTLY(outcome, needle, ...) \
        command_interrupt(outcome, needle, true,          \
                          (const char *const[]){command_echoc(), ##__VA_ARGS__, NULL})

/* Starts it and does not wait. Both its outputs go to where the test's standard error goes; its
 * exit status says whether all was well. */
pid_t command_start(const char *const arguments[]);

#define START_ECHOC(...) command_start((const char *const[]){command_echoc(), ##__VA_ARGS__, NULL})

/* A port as an argument. Valid until the next call. */
const char *port_text(uint16_t port);

/* How many times a text is in another one. */
unsigned count_text(const char *text, const char *needle);
