#include "sources.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "config_data.h"
#include "log.h"
#include "pool.h"

int sources_init(struct source_table *table)
{
        uint8_t key[SIPHASH_KEY_SIZE] = {0};
        int r = getrandom(key, sizeof(key), 0) < 0 ? -errno : 0;

        source_table_init(table, key);
        return r;
}

struct counting {
        struct source_table *table;
        size_t n_missed; /* for lack of memory */
};

/* In the thread of a worker, while the main thread waits for it. */
static struct source *count_one(void *user, const struct address *peer)
{
        struct counting *counting = user;
        struct source *source;

        if (source_table_count(counting->table, peer, &source) < 0)
                counting->n_missed++;
        return source;
}

static void count_all(struct source_table *table, struct pool *pool)
{
        struct counting counting = {.table = table};
        int r = pool_take_census(pool, &(struct census){.count = count_one, .user = &counting});

        if (r < 0)
                log_warning("max_connections_per_source: open connections are not counted: %s",
                            strerror(-r));
        else if (counting.n_missed > 0)
                log_warning("max_connections_per_source: out of memory, %zu open connections are "
                            "not counted",
                            counting.n_missed);
}

void sources_limit(struct source_table *table, struct pool *pool, const struct config *config,
                   uint64_t now_ns)
{
        const struct source_limits limits = {
                .max_connections = (uint32_t)config->max_connections_per_source,
                .rate = config->connection_rate_per_source,
        };
        bool was_counting = table->max_connections > 0;

        source_table_set_limits(table, &limits, now_ns);
        if (limits.max_connections > 0 && !was_counting)
                count_all(table, pool);
}

int sources_count(struct source_table *table, struct arrival *arrival)
{
        arrival->source = NULL;
        if (table->max_connections == 0)
                return 0;
        return source_table_count(table, &arrival->peer, &arrival->source);
}
