#pragma once

/*
 * A real systemd to test the service with: a box, see box/README.md, which the program boots once
 * before its tests, with echod installed in it, and takes down after them, also if it is killed.
 *
 * `TestSuite(systemd_x, .init = box_enter)`: each test finds what the installation left: nothing
 * runs, /etc/echod.conf is the sample file. The test's own process is in the box's network, so
 * that clients of tests/lib reach echod on 127.0.0.1, port 7. Where no box can be, the program is
 * skipped as a whole, with the reason. Tests of one program must run one after the other (-j1).
 *
 * What goes wrong in here fails the running Criterion test with a message.
 */

#include <stdbool.h>

#include "command.h"

void box_enter(void);

/*
 * In a chroot nobody can make a user namespace, which PrivateUsers= of echod-socket.service wants.
 * The first says whether it can be had; the second has the unit do without if it cannot, for those
 * tests that are not about what is forbidden.
 */
bool box_has_user_namespaces(void);
void box_spare_user_namespaces(void);

/* Runs a shell command inside, whatever becomes of it. */
void box_try(struct outcome *ret_outcome, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Runs a shell command inside, which must succeed; returns what it says on standard output,
 * without the last newline. Valid until eight further calls. */
const char *box_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs it again and again until its output, if it succeeds or not, has `needle`; returns it. */
const char *box_await(const char *needle, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Waits until the journal of a unit, since the test began, has `needle`; returns that journal. */
const char *box_await_journal(const char *unit, const char *needle);

/* Where something in the box is for this machine. Valid until eight further calls. */
const char *box_path(const char *path);

/* Writes a file in the box, all at once; what directories it wants are made. */
void box_write(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Copies a file or directory of this machine into the box. */
void box_push(const char *source, const char *destination);
