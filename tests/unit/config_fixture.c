#include "config_fixture.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_table.h"
#include "directory.h"

struct loading loading;

/*
 * For LeakSanitizer, where it is built in: libconfig 1.5 forgets a string that it has read when the
 * next token is a syntax error. What it holds for a configuration is still looked at.
 */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
        return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static char directory[] = "/tmp/echod-config-XXXXXX";

void fixture_begin(void)
{
        cr_assert_not_null(mkdtemp(directory));
        cr_assert_eq(mkdir(fixture_path("elsewhere"), 0755), 0);
        cr_assert_eq(chdir(fixture_path("elsewhere")), 0);
}

static void loading_free(void)
{
        for (size_t i = 0; i < loading.n_lines; i++)
                free(loading.lines[i]);
        loading.n_lines = 0;
        config_free(&loading.config);
}

void fixture_end(void)
{
        loading_free();
        if (chdir("/") == 0)
                directory_remove(directory);
}

const char *fixture_path(const char *name)
{
        return directory_path(directory, name);
}

void write_bytes(const char *name, const void *bytes, size_t length)
{
        FILE *file = fopen(fixture_path(name), "we");

        cr_assert_not_null(file, "%s", name);
        cr_assert_eq(fwrite(bytes, 1, length, file), length);
        cr_assert_eq(fclose(file), 0);
}

void write_text(const char *name, const char *text)
{
        write_bytes(name, text, strlen(text));
}

/* `FILE:LINE: WORD…`, or `FILE: WORD…` where it concerns the whole file. */
static bool is_well_formed(const char *line)
{
        regex_t regex;
        int r;

        cr_assert_eq(regcomp(&regex, "^[^:]+(:[1-9][0-9]*)?: [^ :]", REG_EXTENDED | REG_NOSUB), 0);
        r = regexec(&regex, line, 0, NULL, 0);
        regfree(&regex);
        return r == 0;
}

static void on_problem(void *user, const char *line)
{
        size_t length = strlen(directory);

        (void)user;
        loading.is_malformed = loading.is_malformed || !is_well_formed(line);
        if (strncmp(line, directory, length) == 0 && line[length] == '/')
                line += length + 1;
        if (loading.n_lines == LINES_MAX)
                abort();
        loading.lines[loading.n_lines++] = strdup(line);
}

int load_file(const char *name, const char **overrides, size_t n_overrides)
{
        struct config_problems problems = {.report = on_problem};
        const struct config_origin origin = {
                .path = fixture_path(name), .overrides = overrides, .n_overrides = n_overrides};

        loading_free();
        loading.is_malformed = false;
        loading.result = config_load(&loading.config, &origin, &problems);
        cr_assert_eq(problems.n_problems, loading.n_lines);
        cr_assert(loading.is_malformed_allowed || !loading.is_malformed,
                  "not FILE:LINE: OPTION: ...:%s", problems_text());
        if (loading.n_lines > 0)
                cr_assert_lt(loading.result, 0, "problems, and yet it loads");
        return loading.result;
}

int load_with(const char *text, const char *const overrides[])
{
        const char *copies[8];
        size_t n = 0;

        for (; overrides[n]; n++)
                copies[n] = overrides[n];
        write_text("f", text);
        return load_file("f", copies, n);
}

int load_text(const char *text)
{
        return load_with(text, (const char *const[]){NULL});
}

const char *problems_text(void)
{
        static char text[16384];

        text[0] = '\0';
        for (size_t i = 0; i < loading.n_lines; i++) {
                size_t length = strlen(text);

                snprintf(text + length, sizeof(text) - length, "\n  %s", loading.lines[i]);
        }
        return text;
}

void expect_good(const char *text)
{
        cr_assert_eq(load_text(text), CONFIG_LOADED, "%.500s%s", text, problems_text());
}

void expect_problems(size_t n)
{
        cr_assert_lt(loading.result, 0);
        cr_assert_eq(loading.n_lines, n, "%zu expected:%s", n, problems_text());
        cr_assert_null(loading.config.listeners);
}

void expect_problem(const char *start, const char *fragment)
{
        for (size_t i = 0; i < loading.n_lines; i++)
                if (strncmp(loading.lines[i], start, strlen(start)) == 0 &&
                    strstr(loading.lines[i], fragment))
                        return;
        cr_assert(false, "no problem \"%s … %s\" in:%s", start, fragment, problems_text());
}

void expect_only_problem(const char *text, const char *start, const char *fragment)
{
        load_text(text);
        cr_assert_lt(loading.result, 0, "loads: %.500s", text);
        expect_problem(start, fragment);
        expect_problems(1);
}

char *printed(const struct config *config)
{
        char *text = NULL;
        size_t length;
        FILE *stream = open_memstream(&text, &length);

        cr_assert_not_null(stream);
        config_print(config, stream);
        cr_assert_eq(fclose(stream), 0);
        return text;
}

static bool networks_equal(const struct prefix_list *a, const struct prefix_list *b)
{
        return a->n_prefixes == b->n_prefixes &&
               (a->n_prefixes == 0 ||
                memcmp(a->prefixes, b->prefixes, a->n_prefixes * sizeof(*a->prefixes)) == 0);
}

static bool option_equals(const struct option *option, const void *base_a, const void *base_b)
{
        const void *a = (const char *)base_a + option->offset;
        const void *b = (const char *)base_b + option->offset;

        switch (option->type) {
        case OPTION_BOOL:
                return *(const bool *)a == *(const bool *)b;
        case OPTION_NUMBER:
                return memcmp(a, b, sizeof(double)) == 0;
        case OPTION_ADDRESS:
        case OPTION_HOST:
                return strcmp(a, b) == 0;
        case OPTION_NETWORKS:
                return networks_equal(a, b);
        default:
                return *(const int64_t *)a == *(const int64_t *)b;
        }
}

static bool listeners_equal(const struct option *option, const struct config *a,
                            const struct config *b)
{
        for (size_t i = 0; i < a->n_listeners; i++)
                if (!option_equals(option, &a->listeners[i], &b->listeners[i]))
                        return false;
        return true;
}

bool config_equals(const struct config *a, const struct config *b)
{
        if (a->n_listeners != b->n_listeners)
                return false;
        for (const struct option *option = OPTIONS; option->name; option++) {
                bool is_same = true;

                if (option->section == SECTION_LISTENERS)
                        is_same = listeners_equal(option, a, b);
                else
                        is_same = option_equals(option, a, b);
                if (!is_same)
                        return false;
        }
        return a->metrics.is_enabled == b->metrics.is_enabled;
}

bool is_supported(const struct option *option)
{
#ifdef HAVE_MICROHTTPD
        (void)option;
        return true;
#else
        return option->section != SECTION_METRICS;
#endif
}
