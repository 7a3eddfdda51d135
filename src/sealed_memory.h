#pragma once

/*
 * Bytes behind a descriptor, memfd_create(2), which nobody can change any more: to be handed to
 * another process.
 */

#include <stddef.h>

/*
 * A descriptor, close-on-exec, for a copy of the bytes. Negative errno of memfd_create(2), write(2)
 * or fcntl(2): -EMFILE, -ENFILE, -ENOMEM, -ENOSPC.
 */
int sealed_memory_new(const void *bytes, size_t length);

/*
 * Maps what sealed_memory_new() has made, until sealed_memory_unmap(). -EPERM: it is not sealed;
 * -EINVAL: it is empty, or no such thing at all. Else negative errno of fstat(2) or mmap(2).
 */
int sealed_memory_map(int descriptor, const void **ret_bytes, size_t *ret_length);

void sealed_memory_unmap(const void *bytes, size_t length);
