#pragma once

/* What the tests of restarting in place share. */

#include <signal.h>

#include "daemon.h"
#include "reload.h"

/* USR2; waits until the log says `outcome`. */
static inline void usr2(struct daemon *daemon, const char *outcome)
{
        signal_and_await(daemon, SIGUSR2, outcome);
}

/* A restart that must succeed; waits until it is over, and does not take the last line of a reload
 * that comes late for it. */
static inline void restart(struct daemon *daemon)
{
        size_t position = log_end(daemon);

        daemon_signal(daemon, SIGUSR2);
        daemon_await_log_from(daemon, &position, "handing over ");
        daemon_await_log_from(daemon, &position, " settings ");
}
