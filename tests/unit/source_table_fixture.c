#include "source_table_fixture.h"

#include <criterion/criterion.h>

struct source_table table;
uint64_t now_ns = 1000 * S;

void open_table(void)
{
        source_table_init(&table, (const uint8_t[SIPHASH_KEY_SIZE]){"not random"});
}

void close_table(void)
{
        source_table_destroy(&table);
}

void limit(uint32_t max_connections, double rate)
{
        source_table_set_limits(&table, &(struct source_limits){max_connections, rate}, now_ns);
}

int admit_address(const struct address *peer, struct source **ret_source)
{
        return source_table_admit(&table, peer, now_ns, ret_source);
}

int admit(const char *peer, struct source **ret_source)
{
        struct address address;

        cr_assert_eq(address_parse(&address, peer, 51000), 0, "%s", peer);
        return admit_address(&address, ret_source);
}

struct source *enter(const char *peer)
{
        struct source *source;

        cr_assert_eq(admit(peer, &source), SOURCE_ADMITTED, "%s", peer);
        cr_assert_not_null(source);
        return source;
}

int visit(const char *peer)
{
        struct source *source;
        int outcome = admit(peer, &source);

        source_release(source);
        return outcome;
}

struct address nth(uint32_t i)
{
        return (struct address){
                .family = AF_INET,
                .ip = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i},
        };
}

int admit_nth(uint32_t i, struct source **ret_source)
{
        const struct address peer = nth(i);

        return admit_address(&peer, ret_source);
}

size_t memory(void)
{
        size_t bytes = table.capacity * sizeof(struct source *);

        LIST_FOR_EACH_SAFE (node, following, &table.slab.chunks)
                bytes += SLAB_CHUNK_SIZE;
        return bytes;
}
