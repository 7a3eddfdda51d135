#pragma once

/*
 * A timer of a loop to the nanosecond, on a timerfd: libuv's own are to the millisecond, which is
 * more than an answer takes.
 */

#include <stdint.h>
#include <uv.h>

#define NS_PER_S UINT64_C(1000000000)

static inline uint64_t seconds_to_ns(double seconds)
{
        return (uint64_t)(seconds * (double)NS_PER_S);
}

static inline double ns_to_seconds(uint64_t ns)
{
        return (double)ns / (double)NS_PER_S;
}

struct alarm {
        uv_poll_t poll;
        int descriptor;
        void (*on_due)(void *user);
        void *user;
};

int alarm_init(struct alarm *alarm, uv_loop_t *loop, void (*on_due)(void *user), void *user);

/* Due once at this time of uv_hrtime(), at once if it has passed; whatever was set before is void.
 */
void alarm_set(struct alarm *alarm, uint64_t due_ns);

void alarm_stop(struct alarm *alarm);

/* Closes; needs one more turn of the loop. */
void alarm_close(struct alarm *alarm);
