#pragma once

/* Connections that are held open, to see what comes between them and the server meanwhile. */

#include "arguments.h"
#include "target.h"

/* Opens them, echoes on each, holds them for the time that was asked for, and echoes again. Prints
 * what became of them. Returns the exit status. */
int hold_run(const struct arguments *arguments, const struct target *target);
