#pragma once

#include <stdint.h>

/*
 * Raises the limit on open files as far as it goes. Says what is wrong, and returns -EMFILE, if so
 * many connections from so many threads do not fit.
 */
int open_files_check(uint64_t n_connections, uint64_t n_threads);

/*
 * Raises it, and tries whether as many can be had as any mode takes besides its connections: libuv
 * aborts where it cannot open its own. Says so if not; a negative errno.
 */
int open_files_try(void);
