#pragma once

/*
 * What a probe remembers of the messages it has sent: as many of the latest as may be needed. The
 * table grows as long as answers are missing, but not without end. A message is judged once all of
 * it is back or it is late, and all before it are judged. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

struct sent_message {
        uint64_t sent_ns;
        uint32_t n_good; /* bytes that have come back */
        bool is_late;
};

struct sent_messages {
        struct sent_message *messages; /* the n-th at n modulo the capacity */
        uint64_t capacity;             /* a power of two, or 0 */
        uint64_t capacity_max;
        uint64_t size;     /* bytes of a message */
        uint64_t n;        /* sent so far */
        uint64_t n_judged; /* the first so many */
        uint64_t first;    /* those before are forgotten; not more than n_judged */
};

/* `capacity_max`: a power of two. */
void sent_messages_init(struct sent_messages *sent, uint64_t size, uint64_t capacity_max);
void sent_messages_free(struct sent_messages *sent);

/* Whether fewer than `capacity_max` are not judged. */
bool sent_messages_have_room(const struct sent_messages *sent);

/*
 * A message is sent now, the n-th from 0 on. There must be room; where there are `capacity_max`
 * already, the oldest is forgotten. -ENOMEM.
 */
int sent_messages_add(struct sent_messages *sent, uint64_t sent_ns);

/* Judges those that can be. Returns the oldest one that cannot, or NULL. */
struct sent_message *sent_messages_judge(struct sent_messages *sent);

/* How many are not judged and not back either. */
uint64_t sent_messages_under_way(const struct sent_messages *sent);

/* Those before the n-th are not needed any more, if they are judged. */
void sent_messages_forget(struct sent_messages *sent, uint64_t n);

/* The n-th, or NULL if it is forgotten. Valid until another one is added. */
struct sent_message *sent_messages_find(const struct sent_messages *sent, uint64_t n);
