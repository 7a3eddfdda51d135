#pragma once

/*
 * A clock that stands still until it is told to move: libuv's loops see it in place of the
 * monotonic clock. So a timeout can be met to the millisecond, however slow the machine is.
 */

#include <stdint.h>

/* Stops the clock where it is. */
void frozen_clock_begin(void);

/* A loop sees it when it runs next. */
void frozen_clock_advance(uint64_t ms);

/* The clock goes on where the machine's is. */
void frozen_clock_end(void);
