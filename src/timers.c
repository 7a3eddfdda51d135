#include "timers.h"

#include "util.h"

static void on_timer(uv_timer_t *timer);

int timers_init(struct timers *timers, uv_loop_t *loop, void (*on_due)(struct timer_entry *entry))
{
        timers->on_due = on_due;
        timer_wheel_init(&timers->wheel, uv_now(loop));
        return uv_timer_init(loop, &timers->timer);
}

void timers_close(struct timers *timers)
{
        uv_close((uv_handle_t *)&timers->timer, NULL);
}

/* Sets the timer, unless it fires early enough as it is: the wheel is looked at again then. */
static void wind(struct timers *timers)
{
        uint64_t next_ms = timer_wheel_next(&timers->wheel), now_ms = uv_now(timers->timer.loop);

        if (uv_is_closing((uv_handle_t *)&timers->timer))
                return;
        if (next_ms == NO_DEADLINE)
                uv_timer_stop(&timers->timer);
        else if (!uv_is_active((uv_handle_t *)&timers->timer) ||
                 next_ms < now_ms + uv_timer_get_due_in(&timers->timer))
                uv_timer_start(&timers->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0,
                               0);
}

void timers_schedule(struct timers *timers, struct timer_entry *entry, uint64_t deadline_ms)
{
        timer_wheel_schedule(&timers->wheel, entry, deadline_ms);
        wind(timers);
}

static void on_timer(uv_timer_t *timer)
{
        struct timers *timers = CONTAINER_OF(timer, struct timers, timer);
        struct timer_entry *entry;

        while ((entry = timer_wheel_pop(&timers->wheel, uv_now(timer->loop))))
                timers->on_due(entry);
        wind(timers);
}
