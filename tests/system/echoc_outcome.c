#include "echoc_outcome.h"

#include <criterion/criterion.h>

struct outcome outcome;

void expect_status(int status)
{
        cr_assert_eq(outcome.status, status, "exit status %d\n%s%s", outcome.status, outcome.out,
                     outcome.err);
}

void expect_out(const char *pattern)
{
        cr_assert(command_matches(outcome.out, pattern), "no %s in:\n%s%s", pattern, outcome.out,
                  outcome.err);
}

void expect_err(const char *pattern)
{
        cr_assert(command_matches(outcome.err, pattern), "no %s in:\n%s", pattern, outcome.err);
}
