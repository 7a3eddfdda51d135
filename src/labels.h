#pragma once

/*
 * Names that outlive what they name: a connection knows its listener by one, and may live longer.
 * Each is kept once, however often its listener comes and goes. For one thread.
 */

#include "list.h"

struct labels {
        struct list list;
};

void labels_init(struct labels *labels);

/* The kept copy of the name, good until labels_free(); NULL: out of memory. */
const char *labels_keep(struct labels *labels, const char *name);

void labels_free(struct labels *labels);
