#include "poller.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "util.h"

#define EVENTS_MAX 1024
#define NS_PER_MS  UINT64_C(1000000)

static int control(const struct poller *poller, int operation, int descriptor, uint32_t events,
                   struct watch *watch)
{
        /* A hang-up is told unasked: of what is paused once, and not in every turn. */
        struct epoll_event event = {.events = events ? events : EPOLLET, .data.ptr = watch};

        return epoll_ctl(poller->descriptor, operation, descriptor, &event) < 0 ? -errno : 0;
}

int poller_init(struct poller *poller, uv_loop_t *loop)
{
        int r;

        *poller = (struct poller){.loop = loop, .clock_ns = uv_hrtime()};
        list_init(&poller->watches);
        list_init(&poller->removed);
        poller->descriptor = epoll_create1(EPOLL_CLOEXEC);
        if (poller->descriptor < 0)
                return -errno;
        r = control(poller, EPOLL_CTL_ADD, uv_backend_fd(loop), EPOLLIN, NULL);
        if (r < 0)
                close(poller->descriptor);
        return r;
}

void poller_free(struct poller *poller)
{
        poller_release(poller);
        assert(list_is_empty(&poller->watches));
        close(poller->descriptor);
}

int poller_add(struct poller *poller, struct watch *watch, int descriptor, uint32_t events)
{
        int r = control(poller, EPOLL_CTL_ADD, descriptor, events, watch);

        if (r < 0)
                return r;
        watch->events = events;
        list_init(&watch->link);
        list_append(&poller->watches, &watch->link);
        return 0;
}

int poller_change(struct poller *poller, struct watch *watch, int descriptor, uint32_t events)
{
        int r = 0;

        if (watch->events != events)
                r = control(poller, EPOLL_CTL_MOD, descriptor, events, watch);
        if (r == 0)
                watch->events = events;
        return r;
}

void poller_remove(struct poller *poller, struct watch *watch, int descriptor)
{
        control(poller, EPOLL_CTL_DEL, descriptor, 0, NULL);
        watch->events = 0;
        list_unlink(&watch->link);
        list_append(&poller->removed, &watch->link);
}

void poller_release(struct poller *poller)
{
        assert(!poller->is_dispatching);
        while (!list_is_empty(&poller->removed)) {
                struct watch *watch = CONTAINER_OF(poller->removed.next, struct watch, link);

                list_unlink(&watch->link);
                watch->on_removed(watch);
        }
}

/* Returns how long ago the look before was. */
static uint64_t look_at_clock(struct poller *poller)
{
        uint64_t before_ns = poller->clock_ns;

        poller->clock_ns = uv_hrtime();
        return poller->clock_ns - before_ns;
}

/* Milliseconds, as for epoll_wait(2). */
static int timeout_ms(const struct poller *poller)
{
        if (!list_is_empty(&poller->removed))
                return 0;
        /* libuv alone would not wait where it has nothing to wait for. */
        if (!uv_loop_alive(poller->loop))
                return list_is_empty(&poller->watches) ? 0 : -1;
        return uv_backend_timeout(poller->loop);
}

/* Returns the number of events; none if a signal came in between. */
static int wait_for_events(struct poller *poller, struct epoll_event *events, bool can_wait)
{
        int wait_ms = can_wait ? timeout_ms(poller) : 0;
        int n = epoll_wait(poller->descriptor, events, EVENTS_MAX, wait_ms);
        uint64_t elapsed_ns = look_at_clock(poller);

        poller->slept_ns = wait_ms == 0 ? 0 : elapsed_ns;
        atomic_store_explicit(&poller->idle_ns, poller->idle_ns + poller->slept_ns,
                              memory_order_relaxed);
        return n;
}

/* libuv's milliseconds come from the same clock; to have it look as well would cost as much again.
 */
static void update_time(struct poller *poller)
{
        if (poller->clock_ns / NS_PER_MS != uv_now(poller->loop))
                uv_update_time(poller->loop);
}

/* Has the events seen to, and whatever else the loop has to do now. */
static void see_to(struct poller *poller, const struct epoll_event *events, int n)
{
        bool has_loop_work = false;

        poller->n_ready = (unsigned)MAX(n, 0);
        poller->is_dispatching = true;
        for (int i = 0; i < n; i++) {
                struct watch *watch = events[i].data.ptr;

                if (!watch)
                        has_loop_work = true;
                else if (watch->events != 0)
                        watch->on_event(watch, events[i].events);
        }
        poller->is_dispatching = false;
        poller_release(poller);
        /* Where there was no room for all that is ready, the loop may have been left out. */
        if (has_loop_work || n == EVENTS_MAX || uv_backend_timeout(poller->loop) == 0) {
                uv_run(poller->loop, UV_RUN_NOWAIT);
                poller_release(poller);
        }
        atomic_store_explicit(&poller->busy_ns, poller->busy_ns + look_at_clock(poller),
                              memory_order_relaxed);
}

bool poller_turn(struct poller *poller, bool can_wait)
{
        struct epoll_event events[EVENTS_MAX];
        int n = wait_for_events(poller, events, can_wait);

        update_time(poller);
        if (n > 0 || !list_is_empty(&poller->removed) || uv_backend_timeout(poller->loop) == 0)
                see_to(poller, events, n);
        return !list_is_empty(&poller->watches) || uv_loop_alive(poller->loop);
}
