#pragma once

/*
 * Bytes that a peer has not got yet: a copy of those that the socket did not take, and how much
 * the kernel gets rid of meanwhile.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pending;

/* A copy of `length` bytes, which may be 0; NULL: out of memory. pending_free() frees it. */
struct pending *pending_new(const char *bytes, size_t length);

/* Writes what is left. Returns how much the socket took; negative errno of write(2). */
ssize_t pending_write(struct pending *pending, int descriptor);

/*
 * Whether the kernel has got rid of bytes, or taken some, since the last look. A socket takes more
 * only once a good part of its buffer is free, and a slow reader may need long for that.
 */
bool pending_has_moved(struct pending *pending, int descriptor);

/* At the last look: whether the kernel had nothing left, neither bytes nor the end of output. */
bool pending_is_delivered(const struct pending *pending);

/* The bytes that are left, and how many there are; good until the next call. */
const char *pending_bytes(const struct pending *pending, size_t *ret_length);

/* What the kernel held at the last look; pending_set_unsent() has it remembered anew. */
int pending_unsent(const struct pending *pending);
void pending_set_unsent(struct pending *pending, int n_unsent);

/* NULL is allowed. */
void pending_free(struct pending *pending);
