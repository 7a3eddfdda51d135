#pragma once

/* A message now and then over one connection, with ping(8)'s habits. */

#include "arguments.h"
#include "target.h"

/* Runs until all have been sent and have come back or are late, or until it is interrupted; prints
 * as it goes. Returns the exit status. */
int probe_run(const struct arguments *arguments, const struct target *target);
