#pragma once

/* The figures of an echod, from its metrics, as a table: once, or over and over like top(1). */

#include "arguments.h"

/* Returns the exit status. */
int status_run(const struct arguments *arguments);
