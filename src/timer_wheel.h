#pragma once

/*
 * A hierarchical timing wheel: any number of deadlines behind one timer, O(1) to set, no memory
 * beyond the entries. Pure: it is told the time. Deadlines are kept to 8 ms and never early.
 *
 * An entry whose deadline has moved to later need not be touched: when its old deadline comes,
 * the owner looks and schedules it again. So activity costs a connection nothing here.
 */

#include <stdint.h>

#include "list.h"

#define WHEEL_LEVELS  5
#define WHEEL_SLOTS   64
#define WHEEL_TICK_MS 8
#define NO_DEADLINE   UINT64_MAX

struct timer_wheel {
        uint64_t tick;                   /* how far the wheel has turned, in WHEEL_TICK_MS */
        uint64_t occupied[WHEEL_LEVELS]; /* one bit a slot */
        struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
        struct list due;
};

struct timer_entry {
        struct list link;
        uint64_t deadline_ms; /* NO_DEADLINE while it is not in the wheel */
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);

void timer_entry_init(struct timer_entry *entry);

/* Enters the entry, or moves it. A deadline that has passed is due at the next tick. */
void timer_wheel_schedule(struct timer_wheel *wheel, struct timer_entry *entry,
                          uint64_t deadline_ms);

/* Takes the entry out, if it is in. */
void timer_wheel_cancel(struct timer_entry *entry);

/* Takes out one entry whose deadline is not after `now_ms`; NULL when there is none left. */
struct timer_entry *timer_wheel_pop(struct timer_wheel *wheel, uint64_t now_ms);

/*
 * When timer_wheel_pop() wants to be called next, in ms; not always because an entry is due then.
 * NO_DEADLINE: nothing is scheduled.
 */
uint64_t timer_wheel_next(struct timer_wheel *wheel);
