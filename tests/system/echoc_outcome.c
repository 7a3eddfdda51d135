#include "echoc_outcome.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "scratch.h"

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

void expect_json(const char *condition)
{
        const char *path = scratch_write("result.json", "%s", outcome.out);
        struct outcome *python = malloc(sizeof(*python));
        char program[512];

        snprintf(program, sizeof(program),
                 "import json, sys; r = json.load(open(sys.argv[1])); e = r['errors']; "
                 "l = r['latency_ns']; sys.exit(0 if %s else 1)",
                 condition);
        command_run(python, NULL, (const char *const[]){"python3", "-c", program, path, NULL});
        cr_assert_eq(python->status, 0, "not %s:\n%s%s%s", condition, outcome.out, outcome.err,
                     python->err);
        free(python);
}
