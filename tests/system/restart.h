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

/* A restart that must succeed; waits until it is over. */
static inline void restart(struct daemon *daemon)
{
        usr2(daemon, " settings ");
}
