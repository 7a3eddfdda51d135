#include "config_problem.h"

#include <stdarg.h>
#include <stdio.h>

void config_problem(struct config_problems *problems, const char *file, unsigned line,
                    const char *format, ...)
{
        CLEANUP_FREE char *what = NULL, *message = NULL;
        va_list arguments;
        int r;

        problems->n_problems++;
        va_start(arguments, format);
        r = vasprintf(&what, format, arguments);
        va_end(arguments);
        if (r < 0)
                what = NULL;
        else if (line > 0)
                r = asprintf(&message, "%s:%u: %s", file, line, what);
        else
                r = asprintf(&message, "%s: %s", file, what);
        if (r < 0)
                message = NULL;
        problems->report(problems->user, message ? message : "out of memory");
}
