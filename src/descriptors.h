#pragma once

/*
 * How many connections the limit on open files has room for.
 */

#include <stdint.h>

/*
 * Raises the soft RLIMIT_NOFILE to the hard one and returns how many connections that allows
 * beside `n_workers` loops and everything else that is open, at least 1. -EMFILE: not even one.
 * Negative errno of getrlimit(2) or setrlimit(2).
 */
int64_t descriptors_for_connections(unsigned n_workers);
