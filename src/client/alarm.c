#include "alarm.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util.h"

static void on_poll(uv_poll_t *poll, int status, int events)
{
        struct alarm *alarm = CONTAINER_OF(poll, struct alarm, poll);
        uint64_t n_expired;

        (void)status;
        (void)events;
        if (read(alarm->descriptor, &n_expired, sizeof(n_expired)) == sizeof(n_expired))
                alarm->on_due(alarm->user);
}

int alarm_init(struct alarm *alarm, uv_loop_t *loop, void (*on_due)(void *user), void *user)
{
        int r;

        *alarm = (struct alarm){.on_due = on_due, .user = user};
        alarm->descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (alarm->descriptor < 0)
                return -errno;
        r = uv_poll_init(loop, &alarm->poll, alarm->descriptor);
        if (r < 0) {
                close(alarm->descriptor);
                return r;
        }
        return uv_poll_start(&alarm->poll, UV_READABLE, on_poll);
}

static void set(struct alarm *alarm, uint64_t due_ns)
{
        const struct itimerspec when = {
                .it_value.tv_sec = (time_t)(due_ns / NS_PER_S),
                .it_value.tv_nsec = (long)(due_ns % NS_PER_S),
        };

        timerfd_settime(alarm->descriptor, TFD_TIMER_ABSTIME, &when, NULL);
}

void alarm_set(struct alarm *alarm, uint64_t due_ns)
{
        set(alarm, MAX(due_ns, 1)); /* 0 would disarm it */
}

void alarm_stop(struct alarm *alarm)
{
        set(alarm, 0);
}

void alarm_close(struct alarm *alarm)
{
        uv_close((uv_handle_t *)&alarm->poll, NULL);
        close(alarm->descriptor);
}
