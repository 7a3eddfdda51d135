#pragma once

#include <stdint.h>

/*
 * Raises the limit on open files as far as it goes. Says what is wrong, and returns -EMFILE, if so
 * many connections from so many threads do not fit.
 */
int open_files_check(uint64_t n_connections, uint64_t n_threads);
