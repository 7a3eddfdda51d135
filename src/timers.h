#pragma once

/*
 * Thousands of deadlines behind one timer of a loop: a timing wheel, and what turns it.
 */

#include <uv.h>

#include "timer_wheel.h"

struct timers {
        uv_timer_t timer;
        struct timer_wheel wheel;
        void (*on_due)(struct timer_entry *entry);
};

/* `on_due` is called for each entry whose deadline has come; it is out of the wheel then. An error
 * of uv_timer_init(). */
int timers_init(struct timers *timers, uv_loop_t *loop, void (*on_due)(struct timer_entry *entry));

/* Closes the timer. Entries are left where they are, and may still be cancelled. */
void timers_close(struct timers *timers);

/* Enters the entry, or moves it; in the loop's time, uv_now(). See timer_wheel_schedule(). */
void timers_schedule(struct timers *timers, struct timer_entry *entry, uint64_t deadline_ms);
