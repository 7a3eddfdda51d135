#pragma once

/*
 * The messages of one connection under load: which of them are whole, although their bytes may come
 * in another order, and when they were due. Pure.
 *
 * A message is under way until its end has come, or a later one's. Then the next one can be sent.
 * If some of its bytes are missing at that time, they may still come, and it is whole after all.
 */

#include <stdint.h>

#include "histogram.h"

struct load_message {
        uint64_t due_ns;
        uint32_t n_missing; /* bytes */
        uint32_t number;    /* its lower half */
};

struct load_messages {
        /* The n-th is at n modulo the depth. In the gap of a verifier there are never more. */
        struct load_message *under_way, *in_gap;
        uint32_t size; /* of a message, in bytes */
        uint32_t depth;
        uint64_t n_sent, n_passed; /* those between them are under way */
};

/* What belongs to all connections of a load. `depth` of each of the arrays are used, and kept. */
void load_messages_init(struct load_messages *messages, struct load_message *under_way,
                        struct load_message *in_gap, uint64_t size, uint64_t depth);

/* None has been sent. */
void load_messages_reset(struct load_messages *messages);

/* How many can be sent now. */
uint64_t load_messages_room(const struct load_messages *messages);

/* One is sent, for which there is room. */
void load_messages_send(struct load_messages *messages, uint64_t due_ns);

/*
 * These bytes of the stream have come, for the first time. Adds to `latencies` how long the
 * messages took that are whole with them; returns how many these are.
 */
uint64_t load_messages_take(struct load_messages *messages, uint64_t from, uint64_t to,
                            uint64_t now_ns, struct histogram *latencies);

/*
 * The stream has come up to `high`, but for the bytes from `gap_start` to `gap_end`. Returns how
 * many messages are not under way any more.
 */
uint64_t load_messages_pass(struct load_messages *messages, uint64_t high, uint64_t gap_start,
                            uint64_t gap_end);

/*
 * No more will come. Adds to `latencies` how long what is under way has been waited for, it would
 * have taken at least; returns how many messages these are.
 */
uint64_t load_messages_give_up(struct load_messages *messages, uint64_t now_ns,
                               struct histogram *latencies);
