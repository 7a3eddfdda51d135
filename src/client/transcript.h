#pragma once

/* Several clients at once, and what happens to whom and when. */

#include "arguments.h"
#include "target.h"

/*
 * Each client connects, waits for the interval, sends a text, waits until it is back and for the
 * interval, and so on; after the last it closes. Prints as it goes. Returns the exit status.
 */
int transcript_run(const struct arguments *arguments, const struct target *target);
