#pragma once

/*
 * Objects of one size, side by side in chunks of 64 KiB, so that a thousand ready ones cost few
 * cache misses and no allocation each. A chunk that has become empty goes back to the system,
 * save one. Owned by one thread.
 */

#include <stddef.h>

#include "list.h"

#define SLAB_CHUNK_SIZE ((size_t)65536)
#define SLAB_ALIGNMENT  ((size_t)64) /* a cache line */

struct slab {
        struct list chunks; /* those with a free object come first */
        size_t object_size; /* rounded up to SLAB_ALIGNMENT */
        size_t n_empty;     /* chunks without an object in use */
};

/* Sets up an empty slab; allocates nothing. The size is at most a quarter of a chunk. */
void slab_init(struct slab *slab, size_t object_size);

/* Every object must have been freed. */
void slab_destroy(struct slab *slab);

/* An object with undefined contents; NULL: out of memory. */
void *slab_allocate(struct slab *slab);

/* Gives an object of this slab back; NULL is allowed. */
void slab_free(struct slab *slab, void *object);
