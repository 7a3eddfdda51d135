#pragma once

/*
 * How many connections each source has, and how fast it makes new ones. A source is an IPv4
 * address, or an IPv6 network of 64 bits, since that is what one customer has at least; that of a
 * link-local address is the one of its link. Peers on Unix sockets are no source.
 *
 * Pure: it is told the time, and the key that makes its hash unpredictable. Everything is for the
 * main thread, but for source_release().
 *
 * What it costs is bounded, whoever comes:
 *  - a source with open connections is known by them, and there are at most as many as connections;
 *  - one without is known as long as its bucket is not full, and of those only SOURCES_IDLE_MAX:
 *    beyond them the one goes that came longest ago;
 *  - each decision looks at a few sources at most; the table grows by one bucket at a time.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "list.h"
#include "siphash.h"
#include "slab.h"
#include "token_bucket.h"

/* 64 bytes each: 4 MiB. */
#define SOURCES_IDLE_MAX 65536

struct source;

struct source_limits {
        uint32_t max_connections; /* at once; 0: no limit */
        double rate;              /* new connections a second; 0: no limit */
};

struct source_table {
        uint32_t max_connections;
        struct token_rate rate;
        uint8_t key[SIPHASH_KEY_SIZE];
        struct slab slab;
        struct source **buckets;
        size_t n_buckets, capacity; /* in use, and allocated */
        size_t level;               /* the power of two up to n_buckets */
        size_t n_sources;
        struct list idle; /* without connections; the one that came longest ago is first */
        size_t n_idle;
        struct source *returned;                 /* taken from the stack below */
        _Atomic(struct source *) newly_returned; /* their last connection has ended; any thread */
};

/* The outcomes of source_table_admit(). */
enum source_outcome { SOURCE_ADMITTED, SOURCE_OVER_LIMIT, SOURCE_OVER_RATE };

/* An empty table without limits. The key is random and secret. */
void source_table_init(struct source_table *table, const uint8_t key[static SIPHASH_KEY_SIZE]);

/* Every connection that was counted must have been released. */
void source_table_destroy(struct source_table *table);

/* Puts limits in force. Those that are known already are measured by the new ones at once. */
void source_table_set_limits(struct source_table *table, const struct source_limits *limits,
                             uint64_t now_ns);

/*
 * Whether a peer's source may have one more connection, now. If so, a token is taken and, while
 * there is a limit on connections, the connection is counted in *ret_source, which is to be
 * released; else that is NULL. Who is refused takes no token. -ENOMEM.
 */
int source_table_admit(struct source_table *table, const struct address *peer, uint64_t now_ns,
                       struct source **ret_source);

/*
 * Counts a connection that is open already, whatever the limits. *ret_source is to be released; it
 * is NULL for a peer that is no source. -ENOMEM.
 */
int source_table_count(struct source_table *table, const struct address *peer,
                       struct source **ret_source);

/* The connections of the source that are open. */
uint32_t source_n_open(const struct source *source);

/* A connection that was counted has ended. Any thread. NULL is allowed. */
void source_release(struct source *source);
