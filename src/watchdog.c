/*
 * The happy path:
 *  1. The first turn of the main loop pings all workers: a mail, whose answer is a counter.
 *  2. A little later all have answered: it is fed, and they are pinged again. The first food comes
 *     soon, for the interval does not begin anew when one echod takes the place of another in the
 *     same process.
 *  3. Half the watchdog's interval later: the same again.
 *
 * What can go wrong:
 *  - one has not answered: it is looked for again a little later, and again, and the watchdog fed
 *    as soon as all have. If it takes the rest of the interval, the service manager kills echod.
 *  - the main loop hangs: nobody feeds.
 */

#include "watchdog.h"

#include "pool.h"
#include "service_manager.h"
#include "util.h"

/* In half an interval so many looks for those who are late. */
#define N_LOOKS 8

static void on_tick(uv_timer_t *timer)
{
        struct watchdog *watchdog = CONTAINER_OF(timer, struct watchdog, timer);
        uint64_t next_ms = MAX(watchdog->half_interval_ms / N_LOOKS, 1U);

        if (!watchdog->has_pinged) {
                pool_ping(watchdog->pool);
                watchdog->has_pinged = true;
        } else if (pool_has_answered(watchdog->pool)) {
                service_manager_alive();
                pool_ping(watchdog->pool);
                next_ms = watchdog->half_interval_ms;
        }
        uv_timer_start(timer, on_tick, next_ms, 0);
}

int watchdog_start(struct watchdog *watchdog, uv_loop_t *loop, struct pool *pool)
{
        int r;

        *watchdog = (struct watchdog){
                .pool = pool,
                .half_interval_ms = service_manager_watchdog_ms() / 2,
        };
        r = uv_timer_init(loop, &watchdog->timer);
        if (r < 0 || watchdog->half_interval_ms == 0)
                return r;
        return uv_timer_start(&watchdog->timer, on_tick, 0, 0);
}
