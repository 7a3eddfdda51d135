#pragma once

/* As many messages, bytes or connections as an echo server returns, and how long they take. */

#include "arguments.h"
#include "target.h"

/* Runs for the time that was asked for and a little longer, until what is under way is back. Prints
 * the result. Returns the exit status. */
int load_run(const struct arguments *arguments, const struct target *target);
