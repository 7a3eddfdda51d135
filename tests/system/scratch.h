#pragma once

/*
 * A temporary directory of the test's own, as the fixture of a suite:
 * `TestSuite(reload, .init = scratch_make, .fini = scratch_remove)`.
 */

void scratch_make(void);
void scratch_remove(void);

/* The path of a file in it. Valid until eight further calls. */
const char *scratch_path(const char *name);

/* The option that has echod listen at a Unix socket of this name in it, and nowhere else. Valid
 * until the next call. */
const char *scratch_listener(const char *name);

/* Writes a file in it, all at once as an editor does; returns its path. */
const char *scratch_write(const char *name, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
