#include "service_manager.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#else
static int sd_notify(int unset_environment, const char *state)
{
        (void)unset_environment;
        (void)state;
        return 0;
}

static int sd_watchdog_enabled(int unset_environment, uint64_t *ret_usec)
{
        (void)unset_environment;
        (void)ret_usec;
        return 0;
}
#endif

const char *service_manager_feature(void)
{
#ifdef HAVE_SYSTEMD
        return "+systemd";
#else
        return "-systemd";
#endif
}

bool service_manager_is_there(void)
{
        return getenv("NOTIFY_SOCKET") != NULL;
}

void service_manager_ready(void)
{
        sd_notify(0, "READY=1");
}

void service_manager_reloading(void)
{
        struct timespec now;
        char state[64];

        clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld%06ld",
                 (long long)now.tv_sec, now.tv_nsec / 1000);
        sd_notify(0, state);
}

void service_manager_stopping(void)
{
        sd_notify(0, "STOPPING=1");
}

uint64_t service_manager_watchdog_ms(void)
{
        uint64_t interval_us;

        /* What the variables say may be nonsense: then there is none. */
        return sd_watchdog_enabled(0, &interval_us) > 0 ? MAX(interval_us / 1000, 2U) : 0;
}

void service_manager_alive(void)
{
        sd_notify(0, "WATCHDOG=1");
}

void service_manager_status(const char *format, ...)
{
        char status[256], state[300];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(status, sizeof(status), format, arguments);
        va_end(arguments);
        snprintf(state, sizeof(state), "STATUS=%s", status);
        sd_notify(0, state);
}
