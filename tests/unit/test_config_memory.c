/*
 * Out of memory at every place in turn. Linked with the allocating functions wrapped; only our own
 * objects' calls come here, not libconfig's, which checks none of its own.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"
#include "config_source.h"

#define ALLOCATIONS_MAX 10000

TestSuite(config_memory, FIXTURE, .timeout = 120);

static bool is_counting;
static unsigned n_allocations, failing; /* of them the one that fails, counted from 1; 0: none */
static int n_live;                      /* allocated and not freed while counting */

/* Counts an allocation; whether it is to fail. */
static bool fails(void)
{
        if (!is_counting)
                return false;
        if (++n_allocations == failing) {
                errno = ENOMEM;
                return true;
        }
        n_live++;
        return false;
}

/* clang-format off: a line each */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
int __real_vasprintf(char **ret_text, const char *format, va_list arguments)
        __attribute__((format(printf, 2, 0)));
void __real_free(void *pointer);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **ret_text, const char *format, va_list arguments)
        __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **ret_text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap___vasprintf_chk(char **ret_text, int flag, const char *format, va_list arguments)
        __attribute__((format(printf, 3, 0)));
int __wrap___asprintf_chk(char **ret_text, int flag, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void __wrap_free(void *pointer);
/* clang-format on */

void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
        return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
        return fails() ? NULL : __real_strdup(text);
}

void *__wrap_realloc(void *pointer, size_t size)
{
        if (fails())
                return NULL;
        if (is_counting && pointer)
                n_live--; /* one has taken the place of the other */
        return __real_realloc(pointer, size);
}

int __wrap_vasprintf(char **ret_text, const char *format, va_list arguments)
{
        static char rubbish;

        if (!fails())
                return __real_vasprintf(ret_text, format, arguments);
        *ret_text = &rubbish; /* what it is then is undefined: asprintf(3) */
        return -1;
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = __wrap_vasprintf(ret_text, format, arguments);
        va_end(arguments);
        return r;
}

/* What the two above become with _FORTIFY_SOURCE. */
int __wrap___vasprintf_chk(char **ret_text, int flag, const char *format, va_list arguments)
{
        (void)flag;
        return __wrap_vasprintf(ret_text, format, arguments);
}

int __wrap___asprintf_chk(char **ret_text, int flag, const char *format, ...)
{
        va_list arguments;
        int r;

        (void)flag;
        va_start(arguments, format);
        r = __wrap_vasprintf(ret_text, format, arguments);
        va_end(arguments);
        return r;
}

void __wrap_free(void *pointer)
{
        if (is_counting && pointer)
                n_live--;
        __real_free(pointer);
}

static unsigned n_reported;

static void on_problem(void *user, const char *line)
{
        (void)user;
        cr_assert_not_null(line);
        n_reported++;
}

/* Loads f, with the one allocation failing, and frees it; returns what config_load() did. */
static int load_failing(unsigned nth)
{
        static const char *overrides[] = {"workers = 4;\n@include \"g\"", "deny = [ \"::2\" ];"};
        struct config_problems problems = {.report = on_problem};
        const struct config_origin origin = {
                .path = fixture_path("f"), .overrides = overrides, .n_overrides = 2};
        struct config config;
        int r;

        n_allocations = 0;
        n_live = 0;
        n_reported = 0;
        failing = nth;
        is_counting = true;
        r = config_load(&config, &origin, &problems);
        if (r < 0) {
                cr_assert_null(config.listeners, "allocation %u", nth);
                cr_assert_null(config.deny.prefixes, "allocation %u", nth);
        }
        config_free(&config);
        is_counting = false;
        cr_assert_eq(problems.n_problems, n_reported);
        cr_assert_eq(n_live, 0, "%d leak when allocation %u fails", n_live, nth);
        return r;
}

/* Fails each allocation of a loading that otherwise ends with `outcome`. */
static void fail_each(int outcome)
{
        unsigned n;

        cr_assert_eq(load_failing(0), outcome);
        n = n_allocations;
        cr_assert(n > 20 && n < ALLOCATIONS_MAX, "%u", n);
        for (unsigned nth = 1; nth <= n; nth++) {
                int r = load_failing(nth);

                cr_assert(r == -ENOMEM || (r == -EINVAL && n_reported > 0),
                          "%d and %u problems when allocation %u fails", r, n_reported, nth);
        }
        cr_assert_eq(load_failing(0), outcome);
        cr_assert_eq(n_allocations, n);
}

Test(config_memory, every_allocation_of_a_good_configuration_may_fail)
{
        write_text("g", "max_connections = 5;\n@include \"h\"\n");
        write_text("h", "write_timeout = 3;\n");
        write_text("elsewhere/g", "max_connections = 6;\n");
        write_text("f", "listeners = ( { port = 1; }, { address = \"/x\"; } );\n@include \"g\"\n"
                        "allow = [ \"10.0.0.0/8\" ]; deny = [ \"::1\", \"::2\" ];\n"
                        "tcp_keepalive = { idle = 3; };\n");
        fail_each(CONFIG_LOADED);
}

Test(config_memory, every_allocation_of_a_bad_configuration_may_fail)
{
        write_text("g", "max_connections = -5;\n");
        write_text("elsewhere/g", "max_connections = 0x123456789;\n");
        write_text("f", "listeners = ( { port = -1; }, { adress = \"/x\"; } );\n@include \"g\"\n"
                        "allow = [ \"10.0.0.1/8\" ]; deny = [ \"::1\", \"y\" ];\n"
                        "tcp_keepalive = { idle = -3; }; metrics = { port = -1; };\n");
        fail_each(-EINVAL);
}

Test(config_memory, every_allocation_behind_a_syntax_error_may_fail)
{
        write_text("elsewhere/g", "\"unclosed\n");
        write_text("f", "deny = [ \"::1\" ];\n@include \"g\"\nworkers 3;\n");
        write_text("g", "allow = [ \"::1\" ];\n");
        fail_each(-EINVAL);
}

Test(config_memory, every_allocation_of_a_long_file_may_fail)
{
        static char text[20000];

        memset(text, '\n', sizeof(text) - 1);
        write_text("elsewhere/g", "\n");
        write_text("f", text);
        fail_each(CONFIG_LOADED);
}
