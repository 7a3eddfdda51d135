#pragma once

/*
 * Small tools that every room uses, and the error contract.
 *
 * Errors come in two tiers, the same everywhere:
 *  - a negative return is a failure: a negative errno, which is also what libuv returns. It is
 *    passed up unchanged, and logged where somebody can say what it means: in main, server,
 *    acceptor, listener_set, sources, worker, and those who hand over.
 *  - zero is success, and a positive return is an outcome of that function's own enum, which the
 *    caller must handle.
 */

#include <stddef.h>
#include <stdlib.h>
#include <sys/param.h> /* MIN, MAX */

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of `type` whose `member` is at `pointer`. */
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define FORMAT_PRINTF(format_index, first_argument) \
        __attribute__((format(printf, format_index, first_argument)))

/* Plain memory, freed when the variable goes out of scope. */
#define CLEANUP_FREE __attribute__((cleanup(util_free)))

static inline void util_free(void *pointer)
{
        free(*(void **)pointer);
}
