#include "slab.h"

#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>

#include "util.h"

/* Stands at the beginning of its chunk, which is aligned to its own size. */
struct chunk {
        struct list link;
        void *free_objects; /* a chain through the objects' first word */
        char *untouched;    /* from here on no object was ever handed out: no page is resident */
        size_t n_used;
};

static char *chunk_end(struct chunk *chunk)
{
        return (char *)chunk + SLAB_CHUNK_SIZE;
}

static bool chunk_is_full(const struct slab *slab, struct chunk *chunk)
{
        return !chunk->free_objects && chunk->untouched + slab->object_size > chunk_end(chunk);
}

/*
 * Straight from the kernel, and back to it: malloc() would leave holes between chunks of such an
 * alignment, which crowds that come and go add up. NULL: out of memory.
 */
static void *map_aligned(void)
{
        char *area = mmap(NULL, 2 * SLAB_CHUNK_SIZE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        size_t before;

        if (area == MAP_FAILED)
                return NULL;
        before = -(uintptr_t)area % SLAB_CHUNK_SIZE;
        if (before > 0)
                munmap(area, before);
        munmap(area + before + SLAB_CHUNK_SIZE, SLAB_CHUNK_SIZE - before);
        return area + before;
}

static struct chunk *chunk_new(struct slab *slab)
{
        struct chunk *chunk = map_aligned();

        if (!chunk)
                return NULL;
        list_init(&chunk->link);
        chunk->free_objects = NULL;
        chunk->untouched = (char *)chunk + SLAB_ALIGNMENT;
        chunk->n_used = 0;
        slab->n_empty++;
        return chunk;
}

/* Links the chunk as the first one. */
static void chunk_put_first(struct slab *slab, struct chunk *chunk)
{
        list_unlink(&chunk->link);
        list_append(slab->chunks.next, &chunk->link);
}

void slab_init(struct slab *slab, size_t object_size)
{
        static_assert(sizeof(struct chunk) <= SLAB_ALIGNMENT, "the objects begin after it");
        list_init(&slab->chunks);
        slab->object_size = (object_size + SLAB_ALIGNMENT - 1) / SLAB_ALIGNMENT * SLAB_ALIGNMENT;
        slab->n_empty = 0;
}

void slab_destroy(struct slab *slab)
{
        LIST_FOR_EACH_SAFE (node, following, &slab->chunks) {
                assert(CONTAINER_OF(node, struct chunk, link)->n_used == 0);
                munmap(CONTAINER_OF(node, struct chunk, link), SLAB_CHUNK_SIZE);
        }
        list_init(&slab->chunks);
        slab->n_empty = 0;
}

void *slab_allocate(struct slab *slab)
{
        struct chunk *chunk = CONTAINER_OF(slab->chunks.next, struct chunk, link);
        void *object;

        if (list_is_empty(&slab->chunks) || chunk_is_full(slab, chunk)) {
                chunk = chunk_new(slab);
                if (!chunk)
                        return NULL;
                chunk_put_first(slab, chunk);
        }
        object = chunk->free_objects;
        if (object) {
                chunk->free_objects = *(void **)object;
        } else {
                object = chunk->untouched;
                chunk->untouched += slab->object_size;
        }
        if (chunk->n_used++ == 0)
                slab->n_empty--;
        if (chunk_is_full(slab, chunk)) {
                list_unlink(&chunk->link);
                list_append(&slab->chunks, &chunk->link);
        }
        return object;
}

void slab_free(struct slab *slab, void *object)
{
        struct chunk *chunk = (struct chunk *)((uintptr_t)object & ~(SLAB_CHUNK_SIZE - 1));

        if (!object)
                return;
        if (chunk_is_full(slab, chunk))
                chunk_put_first(slab, chunk);
        *(void **)object = chunk->free_objects;
        chunk->free_objects = object;
        if (--chunk->n_used > 0)
                return;
        if (slab->n_empty > 0) {
                list_unlink(&chunk->link);
                munmap(chunk, SLAB_CHUNK_SIZE);
        } else {
                slab->n_empty++;
        }
}
