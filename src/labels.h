#pragma once

/*
 * Names that outlive what they name: a connection knows its listener by one, and may live longer.
 * Each is kept once, however often its listener comes and goes. For one thread.
 */

#include <stdint.h>

#include "list.h"
#include "util.h"

struct labels {
        struct list list;
};

/* One of them, with what is counted under that name. */
struct label {
        struct list link;
        uint64_t n_accepted; /* clients that came in by a listener of this name */
        uint64_t n_drops;    /* that the kernel has counted for its sockets that are closed */
        char name[];
};

/* The label whose kept name this is. */
static inline struct label *label_of(const char *name)
{
        return (struct label *)(uintptr_t)(name - offsetof(struct label, name));
}

void labels_init(struct labels *labels);

/* The kept copy of the name, good until labels_free(); NULL: out of memory. */
const char *labels_keep(struct labels *labels, const char *name);

/* How many there are. */
size_t labels_count(const struct labels *labels);

void labels_free(struct labels *labels);
