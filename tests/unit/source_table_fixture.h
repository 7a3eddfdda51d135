#pragma once

/* A table of sources, and a clock of its own. What goes wrong in here fails the running test. */

#include <stddef.h>
#include <stdint.h>

#include "source_table.h"
#include "util.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

extern struct source_table table;
extern uint64_t now_ns; /* stands still unless a test moves it */

void open_table(void);
void close_table(void);

void limit(uint32_t max_connections, double rate);

int admit(const char *peer, struct source **ret_source);
int admit_address(const struct address *peer, struct source **ret_source);

/* For one that is counted and stays. */
struct source *enter(const char *peer);

/* For one that comes and goes at once. */
int visit(const char *peer);

/* The i-th of four thousand million clients. */
struct address nth(uint32_t i);
int admit_nth(uint32_t i, struct source **ret_source);

/* What the table takes of memory: its buckets, and the slab's chunks. */
size_t memory(void);
