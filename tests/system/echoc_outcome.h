#pragma once

/* What the last run of echoc came to, and what a test expects of it. */

#include "echoc.h"

extern struct outcome outcome;

void expect_status(int status);

/* The standard output, or standard error, has a match for this regular expression. */
void expect_out(const char *pattern);
void expect_err(const char *pattern);

/*
 * What another program than ours reads in the JSON of a load: the condition holds, in Python, of
 * the result `r`, its errors `e` and its latencies `l`. Needs a scratch directory.
 */
void expect_json(const char *condition);
