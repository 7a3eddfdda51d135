/*
 * The happy path:
 *  1. source_table_admit() finds the source in the table, or enters it, and counts the connection.
 *  2. source_release(), in a worker's thread, counts it out. Whoever counts out the last one puts
 *     the source on the stack of those that have returned.
 *  3. A later admission takes it from there. It is forgotten if its bucket is full; else it is
 *     idle, until its bucket is full or another one needs the place.
 *
 *          admitted            last one released
 *   IDLE ────────────▶ BUSY ────────────────────▶ RETURNED ──▶ IDLE, or freed
 *    └──▶ freed         ▲        admitted             │
 *                       └─────────────────────────────┘
 *
 * No lock is needed between the threads, since the count and whether the source has returned are
 * one word. A source is freed only by the main thread, and only when that word is 0: then no
 * connection refers to it, and it is on no stack. Who changes the word from one connection to
 * RETURNED has the right to push it, and does not touch it after that.
 *
 * The table is a linear hash (Litwin, 1980): whenever there are more sources than buckets, one
 * bucket is split in two. So no client has to wait while a large table is built anew.
 *
 * What can go wrong: no memory for a source, or for the first buckets: -ENOMEM. None for more
 * buckets: their chains become longer.
 */

#include "source_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define FIRST_BUCKETS ((size_t)64)

/* So many of those that have returned, and of the idle ones, a decision looks at. One of each would
 * do to keep up, since it makes no more. */
#define SWEEP_MAX 4

/* In the state of a source: it is on the stack, or on its way there. Beside it: its connections. */
#define RETURNED (UINT32_C(1) << 31)

/* No interface has this index. */
#define LINK_IPV4 UINT32_MAX

struct source_key {
        uint64_t network; /* the address, or its first 64 bits */
        uint32_t link;    /* LINK_IPV4, or the interface of a link-local address, else 0 */
};

/* One cache line. */
struct source {
        struct source_table *table;
        struct source *next;     /* in its bucket */
        struct source *returned; /* below it on the stack */
        struct list idle;        /* linked while it is idle */
        uint64_t network;
        uint32_t link;
        _Atomic uint32_t state;
        uint64_t full_at_ns; /* its token bucket */
};

static_assert(sizeof(struct source) <= 64, "a source is one cache line");

/* False: the peer is no source. */
static bool key_of(const struct address *peer, struct source_key *ret_key)
{
        uint32_t ipv4;

        *ret_key = (struct source_key){.link = peer->scope_id};
        if (peer->family == AF_INET) {
                memcpy(&ipv4, peer->ip, sizeof(ipv4));
                *ret_key = (struct source_key){.network = ipv4, .link = LINK_IPV4};
        } else if (peer->family == AF_INET6) {
                memcpy(&ret_key->network, peer->ip, sizeof(ret_key->network));
        }
        return peer->family != AF_UNIX;
}

/* As if there were 2 * level buckets; what would be in one that is not there yet is in the one that
 * will be split for it. */
static size_t bucket_of(const struct source_table *table, uint64_t network, uint32_t link)
{
        const uint64_t words[2] = {network, link};
        uint64_t hash = siphash(table->key, words, sizeof(words));
        size_t bucket = hash & (2 * table->level - 1);

        return bucket < table->n_buckets ? bucket : bucket - table->level;
}

static struct source *find(const struct source_table *table, const struct source_key *key)
{
        struct source *source;

        if (table->n_sources == 0)
                return NULL;
        source = table->buckets[bucket_of(table, key->network, key->link)];
        while (source && (source->network != key->network || source->link != key->link))
                source = source->next;
        return source;
}

/* Room for twice as many buckets. */
static int reserve(struct source_table *table)
{
        size_t capacity = table->capacity > 0 ? 2 * table->capacity : FIRST_BUCKETS;
        struct source **buckets = realloc(table->buckets, capacity * sizeof(struct source *));

        if (!buckets)
                return -ENOMEM;
        table->buckets = buckets;
        table->capacity = capacity;
        return 0;
}

static int make_first_buckets(struct source_table *table)
{
        int r = reserve(table);

        if (r < 0)
                return r;
        memset(table->buckets, 0, FIRST_BUCKETS * sizeof(struct source *));
        table->n_buckets = FIRST_BUCKETS;
        table->level = FIRST_BUCKETS;
        return 0;
}

/* Moves what belongs there from the next bucket in turn to a new one at the end. */
static void split_bucket(struct source_table *table)
{
        size_t old = table->n_buckets - table->level, new = table->n_buckets;
        struct source **link, *source;

        if (new == table->capacity && reserve(table) < 0)
                return;
        link = &table->buckets[old];
        table->buckets[new] = NULL;
        table->n_buckets++;
        while ((source = *link)) {
                if (bucket_of(table, source->network, source->link) == old) {
                        link = &source->next;
                        continue;
                }
                *link = source->next;
                source->next = table->buckets[new];
                table->buckets[new] = source;
        }
        if (table->n_buckets == 2 * table->level)
                table->level *= 2;
}

/* A new source, without connections, its bucket full. NULL: out of memory. */
static struct source *enter(struct source_table *table, const struct source_key *key)
{
        struct source *source, **bucket;

        if (table->n_buckets == 0 && make_first_buckets(table) < 0)
                return NULL;
        source = slab_allocate(&table->slab);
        if (!source)
                return NULL;
        bucket = &table->buckets[bucket_of(table, key->network, key->link)];
        source->table = table;
        source->next = *bucket;
        source->network = key->network;
        source->link = key->link;
        source->full_at_ns = 0;
        list_init(&source->idle);
        atomic_init(&source->state, 0);
        *bucket = source;
        table->n_sources++;
        if (table->n_sources > table->n_buckets)
                split_bucket(table);
        return source;
}

static struct source *find_or_enter(struct source_table *table, const struct source_key *key)
{
        struct source *source = find(table, key);

        return source ? source : enter(table, key);
}

static void rouse(struct source_table *table, struct source *source)
{
        if (!list_is_linked(&source->idle))
                return;
        list_unlink(&source->idle);
        table->n_idle--;
}

/* No connection may refer to it, and it may be on no stack. */
static void forget(struct source_table *table, struct source *source)
{
        struct source **link = &table->buckets[bucket_of(table, source->network, source->link)];

        assert(atomic_load(&source->state) == 0);
        while (*link != source)
                link = &(*link)->next;
        *link = source->next;
        rouse(table, source);
        slab_free(&table->slab, source);
        table->n_sources--;
}

static struct source *first_idle(const struct source_table *table)
{
        return CONTAINER_OF(table->idle.next, struct source, idle);
}

/* A source without connections comes to rest: it stays until its bucket is full, or there are too
 * many. */
static void rest(struct source_table *table, struct source *source, uint64_t now_ns)
{
        rouse(table, source);
        if (table->rate.interval_ns == 0 || source->full_at_ns <= now_ns) {
                forget(table, source);
                return;
        }
        list_append(&table->idle, &source->idle);
        if (++table->n_idle > SOURCES_IDLE_MAX)
                forget(table, first_idle(table));
}

/* One from the stack, in any order; NULL: there is none. */
static struct source *take_returned(struct source_table *table)
{
        struct source *source;

        if (!table->returned && atomic_load_explicit(&table->newly_returned, memory_order_relaxed))
                table->returned = atomic_exchange_explicit(&table->newly_returned, NULL,
                                                           memory_order_acquire);
        source = table->returned;
        if (source)
                table->returned = source->returned;
        return source;
}

/* Puts up to so many of those that have returned to rest. */
static void welcome_returned(struct source_table *table, size_t n, uint64_t now_ns)
{
        struct source *source;

        for (; n > 0 && (source = take_returned(table)); n--)
                if (atomic_fetch_and(&source->state, ~RETURNED) == RETURNED)
                        rest(table, source, now_ns);
}

static void forget_full(struct source_table *table, size_t n, uint64_t now_ns)
{
        for (; n > 0 && table->n_idle > 0 && first_idle(table)->full_at_ns <= now_ns; n--)
                forget(table, first_idle(table));
}

static bool is_limiting(const struct source_table *table)
{
        return table->max_connections > 0 || table->rate.interval_ns > 0;
}

void source_table_init(struct source_table *table, const uint8_t key[static SIPHASH_KEY_SIZE])
{
        *table = (struct source_table){0};
        memcpy(table->key, key, SIPHASH_KEY_SIZE);
        slab_init(&table->slab, sizeof(struct source));
        list_init(&table->idle);
}

void source_table_destroy(struct source_table *table)
{
        welcome_returned(table, SIZE_MAX, 0);
        while (table->n_idle > 0)
                forget(table, first_idle(table));
        slab_destroy(&table->slab);
        free(table->buckets);
}

void source_table_set_limits(struct source_table *table, const struct source_limits *limits,
                             uint64_t now_ns)
{
        table->max_connections = limits->max_connections;
        table->rate = token_rate(limits->rate);
        LIST_FOR_EACH_SAFE (node, following, &table->idle) {
                struct source *source = CONTAINER_OF(node, struct source, idle);

                token_bucket_adapt(&source->full_at_ns, &table->rate, now_ns);
                if (source->full_at_ns <= now_ns)
                        forget(table, source);
        }
}

static struct source *count_in(struct source_table *table, struct source *source)
{
        rouse(table, source);
        atomic_fetch_add(&source->state, 1);
        return source;
}

/* The same for a source whose connections are not counted: it is known for its bucket only. */
static void let_pass(struct source_table *table, struct source *source, uint64_t now_ns)
{
        if (atomic_load(&source->state) == 0)
                rest(table, source, now_ns);
}

int source_table_admit(struct source_table *table, const struct address *peer, uint64_t now_ns,
                       struct source **ret_source)
{
        struct source_key key;
        struct source *source;

        *ret_source = NULL;
        if (table->n_sources > 0) {
                welcome_returned(table, SWEEP_MAX, now_ns);
                forget_full(table, SWEEP_MAX, now_ns);
        }
        if (!is_limiting(table) || !key_of(peer, &key))
                return SOURCE_ADMITTED;
        source = find_or_enter(table, &key);
        if (!source)
                return -ENOMEM;
        if (table->max_connections > 0 && source_n_open(source) >= table->max_connections)
                return SOURCE_OVER_LIMIT;
        if (!token_bucket_take(&source->full_at_ns, &table->rate, now_ns))
                return SOURCE_OVER_RATE;
        if (table->max_connections > 0)
                *ret_source = count_in(table, source);
        else
                let_pass(table, source, now_ns);
        return SOURCE_ADMITTED;
}

int source_table_count(struct source_table *table, const struct address *peer,
                       struct source **ret_source)
{
        struct source_key key;
        struct source *source;

        *ret_source = NULL;
        if (!key_of(peer, &key))
                return 0;
        source = find_or_enter(table, &key);
        if (!source)
                return -ENOMEM;
        *ret_source = count_in(table, source);
        return 0;
}

uint32_t source_n_open(const struct source *source)
{
        return atomic_load_explicit(&source->state, memory_order_acquire) & ~RETURNED;
}

static void push_returned(struct source *source)
{
        struct source_table *table = source->table;

        source->returned = atomic_load_explicit(&table->newly_returned, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(&table->newly_returned, &source->returned,
                                                      source, memory_order_release,
                                                      memory_order_relaxed))
                ;
}

void source_release(struct source *source)
{
        uint32_t before, after;

        if (!source)
                return;
        before = atomic_load_explicit(&source->state, memory_order_relaxed);
        do {
                assert((before & ~RETURNED) > 0);
                after = before == 1 ? RETURNED : before - 1;
        } while (!atomic_compare_exchange_weak(&source->state, &before, after));
        if (before == 1)
                push_returned(source);
}
