#include "timer_wheel.h"

#include "util.h"

#define SLOT_BITS 6 /* 64 slots a level, one bit each in `occupied` */

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
        wheel->tick = now_ms / WHEEL_TICK_MS;
        list_init(&wheel->due);
        for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
                wheel->occupied[level] = 0;
                for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
                        list_init(&wheel->slots[level][slot]);
        }
}

void timer_entry_init(struct timer_entry *entry)
{
        list_init(&entry->link);
        entry->deadline_ms = NO_DEADLINE;
}

/* The first tick at which the deadline has passed. */
static uint64_t deadline_tick(uint64_t deadline_ms)
{
        return deadline_ms / WHEEL_TICK_MS + (deadline_ms % WHEEL_TICK_MS != 0);
}

/*
 * Puts an unlinked entry where it will be found: on the lowest level that reaches its deadline, in
 * the slot that holds it. One beyond the highest level goes as far as that reaches, and is put
 * anew from there.
 */
static void insert(struct timer_wheel *wheel, struct timer_entry *entry)
{
        uint64_t tick = MAX(deadline_tick(entry->deadline_ms), wheel->tick + 1);
        uint64_t ahead = tick - wheel->tick;
        unsigned level = 0, slot;

        while (level < WHEEL_LEVELS - 1 && ahead >> (SLOT_BITS * (level + 1)))
                level++;
        if (ahead >> (SLOT_BITS * WHEEL_LEVELS))
                tick = wheel->tick + (1ULL << (SLOT_BITS * WHEEL_LEVELS)) - 1;
        slot = (tick >> (SLOT_BITS * level)) % WHEEL_SLOTS;
        wheel->occupied[level] |= 1ULL << slot;
        list_append(&wheel->slots[level][slot], &entry->link);
}

void timer_wheel_schedule(struct timer_wheel *wheel, struct timer_entry *entry,
                          uint64_t deadline_ms)
{
        timer_wheel_cancel(entry);
        if (deadline_ms == NO_DEADLINE)
                return;
        entry->deadline_ms = deadline_ms;
        insert(wheel, entry);
}

/* Leaves the slot's bit as it is; a slot that turns out to be empty costs one look. */
void timer_wheel_cancel(struct timer_entry *entry)
{
        list_unlink(&entry->link);
        entry->deadline_ms = NO_DEADLINE;
}

/*
 * The tick at which the first occupied slot of a level begins. The current slot of a level has
 * already been emptied, so an entry in it lies a whole turn ahead.
 */
static uint64_t next_slot_tick(const struct timer_wheel *wheel, unsigned level)
{
        uint64_t position = wheel->tick >> (SLOT_BITS * level);
        unsigned first = (position + 1) % WHEEL_SLOTS;
        uint64_t occupied = wheel->occupied[level];

        if (!occupied)
                return UINT64_MAX;
        if (first)
                occupied = occupied >> first | occupied << (WHEEL_SLOTS - first);
        return (position + 1 + (unsigned)__builtin_ctzll(occupied)) << (SLOT_BITS * level);
}

static uint64_t next_tick(const struct timer_wheel *wheel)
{
        uint64_t next = UINT64_MAX;

        for (unsigned level = 0; level < WHEEL_LEVELS; level++)
                next = MIN(next, next_slot_tick(wheel, level));
        return next;
}

/* Turns to `tick`: what lies in the slots that begin there is due, or moves to a lower level. */
static void turn_to(struct timer_wheel *wheel, uint64_t tick)
{
        struct list begun;

        list_init(&begun);
        wheel->tick = tick;
        for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
                unsigned slot = (tick >> (SLOT_BITS * level)) % WHEEL_SLOTS;

                if (tick & ((1ULL << (SLOT_BITS * level)) - 1))
                        break;
                wheel->occupied[level] &= ~(1ULL << slot);
                list_splice(&begun, &wheel->slots[level][slot]);
        }
        LIST_FOR_EACH_SAFE (node, following, &begun) {
                struct timer_entry *entry = CONTAINER_OF(node, struct timer_entry, link);

                list_unlink(node);
                if (deadline_tick(entry->deadline_ms) <= tick)
                        list_append(&wheel->due, node);
                else
                        insert(wheel, entry);
        }
}

struct timer_entry *timer_wheel_pop(struct timer_wheel *wheel, uint64_t now_ms)
{
        uint64_t now = now_ms / WHEEL_TICK_MS, next;
        struct timer_entry *entry;

        while (list_is_empty(&wheel->due) && (next = next_tick(wheel)) <= now)
                turn_to(wheel, next);
        if (list_is_empty(&wheel->due)) {
                wheel->tick = MAX(wheel->tick, now);
                return NULL;
        }
        entry = CONTAINER_OF(wheel->due.next, struct timer_entry, link);
        timer_wheel_cancel(entry);
        return entry;
}

uint64_t timer_wheel_next(struct timer_wheel *wheel)
{
        uint64_t next = next_tick(wheel);

        if (!list_is_empty(&wheel->due))
                return wheel->tick * WHEEL_TICK_MS;
        return next == UINT64_MAX ? NO_DEADLINE : next * WHEEL_TICK_MS;
}
