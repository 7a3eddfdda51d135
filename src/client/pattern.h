#pragma once

/*
 * What the client sends, so that it can tell where what comes back has come from. Pure.
 *
 * The stream of a connection is a sequence of 8-byte words. Each is its connection's number and its
 * own index, mixed by a bijection (the finalizer of splitmix64) with a key made of the seed. So the
 * bytes look random, and any whole word that comes back can be inverted.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_WORD 8

/* How many connections there can be; what is left of a word's 64 bits numbers 2^44 words of each.
 */
#define PATTERN_CONNECTIONS_MAX (1U << 20)

/* Shared by all connections, whatever their threads. */
struct pattern {
        uint64_t key;
        _Atomic uint64_t furthest; /* no stream has been sent beyond that offset */
};

/* A place in the stream of a connection. */
struct pattern_place {
        uint32_t connection;
        uint64_t offset; /* bytes */
};

void pattern_init(struct pattern *pattern, uint64_t seed);

/* Some stream is about to be sent up to that offset. Any thread. */
void pattern_reach(struct pattern *pattern, uint64_t offset);

/* Whether some stream may have been sent beyond that offset. A little too far passes, too. */
bool pattern_is_reached(const struct pattern *pattern, uint64_t offset);

/* Writes the bytes of a stream from a place on. */
void pattern_fill(const struct pattern *pattern, struct pattern_place from, uint8_t *bytes,
                  size_t length);

/* How many bytes, from the first one on, are those of a stream from a place on. */
size_t pattern_match(const struct pattern *pattern, struct pattern_place from, const uint8_t *bytes,
                     size_t length);

/* How many bytes right before one place are the same as those before another; `max` at most. */
size_t pattern_same_before(const struct pattern *pattern, struct pattern_place a,
                           struct pattern_place b, size_t max);

/*
 * Where these 8 bytes stand, if they are a word. Any 8 bytes are the word of some place; what is
 * not one is known by a place that cannot be.
 */
struct pattern_place pattern_invert(const struct pattern *pattern, const uint8_t *bytes);
