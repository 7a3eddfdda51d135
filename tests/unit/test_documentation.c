/* The table of options against conf/echod.conf and echod.conf(5), both ways. */

#include <criterion/criterion.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"
#include "config_table.h"
#include "util.h"

TestSuite(documentation, FIXTURE);

/* A file of the source tree; the caller frees it. */
static char *read_source(const char *name)
{
        const char *root = getenv("SOURCE_ROOT");
        char path[4096], *text = NULL;
        size_t size = 0;
        FILE *file;

        cr_assert_not_null(root, "SOURCE_ROOT is not set; run this through meson test");
        snprintf(path, sizeof(path), "%s/%s", root, name);
        file = fopen(path, "re");
        cr_assert_not_null(file, "%s", path);
        cr_assert_gt(getdelim(&text, &size, '\0', file), 0, "%s is empty", path);
        fclose(file);
        return text;
}

static const char *section_name(enum option_section section)
{
        return section == SECTION_TOP ? "at the top" : SECTION_NAMES[section];
}

/* The sample with its options uncommented: without the # of lines that have only one. */
static char *uncommented(const char *sample)
{
        char *text = malloc(strlen(sample) + 1), *to = text;

        cr_assert_not_null(text);
        for (const char *line = sample; *line != '\0'; line += strcspn(line, "\n") + 1) {
                const char *from = line[0] == '#' && line[1] != '#' ? line + 1 : line;
                size_t length = (size_t)(line + strcspn(line, "\n") - from);

                memcpy(to, from, length);
                to[length] = '\n';
                to += length + 1;
                if (line[strcspn(line, "\n")] == '\0')
                        break;
        }
        *to = '\0';
        return text;
}

Test(documentation, the_sample_loads_as_it_is_and_sets_nothing)
{
        char *sample = read_source("conf/echod.conf");

        for (const char *line = sample; *line != '\0'; line = strchrnul(line, '\n')) {
                line += *line == '\n';
                cr_assert(strchr("#\n", *line), "not a comment: %.*s", (int)strcspn(line, "\n"),
                          line);
        }
        expect_good(sample);
        free(sample);
}

Test(documentation, the_sample_uncommented_is_the_defaults)
{
        char *sample = read_source("conf/echod.conf"), *text = uncommented(sample), *defaults;
        struct config config;

        expect_good(text);
        config = loading.config;
        loading.config = CONFIG_NULL;
        expect_good("");
        defaults = printed(&loading.config);
        cr_assert(config_equals(&config, &loading.config), "other than:\n%s", defaults);
        config_free(&config);
        free(defaults);
        free(sample);
        free(text);
}

/* The section that a line of the sample opens, or SECTION_TOP. */
static enum option_section section_opened(const char *line)
{
        for (enum option_section section = SECTION_TOP + 1; section < N_SECTIONS; section++) {
                size_t length = strlen(SECTION_NAMES[section]);

                if (strncmp(line, SECTION_NAMES[section], length) == 0 &&
                    strncmp(line + length, " = ", 3) == 0)
                        return section;
        }
        return SECTION_TOP;
}

/* Counts in `seen` the option that a line of the sample shows; it must be one of the table's. */
static void see_line(const char *line, enum option_section section, unsigned *seen)
{
        const char *name = line + strspn(line, " ");
        size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz_");
        char copy[64], *end;
        const struct option *option;

        if (length == 0 || strncmp(name + length, " = ", 3) != 0)
                return;
        snprintf(copy, sizeof(copy), "%.*s", (int)length, name);
        option = option_find(section, copy);
        cr_assert_not_null(option, "%s is not in the table %s", copy, section_name(section));
        seen[option - OPTIONS]++;
        snprintf(copy, sizeof(copy), "%s", name + length + 3);
        end = strchr(copy, ';');
        cr_assert(end && strcmp(end, ";") == 0, "not NAME = VALUE; : %s", line);
        *end = '\0';
        cr_assert_str_eq(copy, option->initial, "the default of %s", option->name);
}

Test(documentation, the_sample_shows_every_option_once_at_its_default_and_no_other)
{
        char *sample = read_source("conf/echod.conf"), *text = uncommented(sample), *rest = NULL;
        enum option_section section = SECTION_TOP;
        unsigned seen[128] = {0};

        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                if (line[0] == '#')
                        continue;
                if (section_opened(line) != SECTION_TOP)
                        section = section_opened(line);
                else if (line[0] == '}' || line[0] == ')')
                        section = SECTION_TOP;
                else
                        see_line(line, section, seen);
        }
        for (const struct option *option = OPTIONS; option->name; option++)
                if (option->section != SECTION_METRICS) /* absent by default */
                        cr_assert_eq(seen[option - OPTIONS], 1, "%s %s: %u times", option->name,
                                     section_name(option->section), seen[option - OPTIONS]);
        free(sample);
        free(text);
}

/* The section of the table that a heading of the manual stands for. */
static enum option_section section_of_heading(const char *heading)
{
        if (strncmp(heading, "LISTENERS", 9) == 0)
                return SECTION_LISTENERS;
        if (strncmp(heading, "TCP KEEPALIVE", 13) == 0)
                return SECTION_KEEPALIVE;
        return strncmp(heading, "METRICS", 7) == 0 ? SECTION_METRICS : SECTION_TOP;
}

/* An entry `.It Ic NAME No = Ar TYPE` of the manual, up to the next one or the list's end. */
struct entry {
        const struct option *option;
        char type[32];
        char text[4096];
};

/* Finds the next entry at or behind `*position`, and moves that into it; false: there is none. */
static bool next_entry(const char **position, enum option_section *section, struct entry *entry)
{
        for (const char *line = *position; *line != '\0';) {
                char name[64];
                const char *end = strchrnul(line, '\n'), *stop;

                if (strncmp(line, ".Sh ", 4) == 0)
                        *section = section_of_heading(line + 4);
                line = *end ? end + 1 : end;
                if (sscanf(*position, ".It Ic %63s No = Ar %31s", name, entry->type) == 2) {
                        entry->option = option_find(*section, name);
                        cr_assert_not_null(entry->option, "%s is not in the table %s", name,
                                           section_name(*section));
                        stop = strstr(line, "\n.It ");
                        stop = stop ? stop : line + strlen(line);
                        if (strstr(line, "\n.El") && strstr(line, "\n.El") < stop)
                                stop = strstr(line, "\n.El");
                        snprintf(entry->text, sizeof(entry->text), "%.*s\n", (int)(stop - line),
                                 line);
                        *position = line;
                        return true;
                }
                *position = line;
        }
        return false;
}

/* Calls the function for every entry of the manual; returns how many there are. */
static unsigned for_each_entry(void (*check)(const struct entry *entry))
{
        char *manual = read_source("man/echod.conf.5");
        const char *position = manual;
        enum option_section section = SECTION_TOP;
        struct entry entry;
        unsigned n = 0;

        while (next_entry(&position, &section, &entry)) {
                check(&entry);
                n++;
        }
        free(manual);
        cr_assert_gt(n, 10, "are entries written as .It Ic NAME No = Ar TYPE?");
        return n;
}

static unsigned described[128];

static void count(const struct entry *entry)
{
        described[entry->option - OPTIONS]++;
}

Test(documentation, the_manual_describes_every_option_once_and_no_other)
{
        for_each_entry(count);
        for (const struct option *option = OPTIONS; option->name; option++)
                cr_assert_eq(described[option - OPTIONS], 1, "%s %s: %u times", option->name,
                             section_name(option->section), described[option - OPTIONS]);
}

static void check_type(const struct entry *entry)
{
        static const char *const types[] = {
                [OPTION_BOOL] = "boolean",  [OPTION_INTEGER] = "integer",
                [OPTION_NUMBER] = "number", [OPTION_SECONDS] = "seconds",
                [OPTION_CHOICE] = "string", [OPTION_ADDRESS] = "string",
                [OPTION_MODE] = "string",   [OPTION_NETWORKS] = "networks",
                [OPTION_HOST] = "string",
        };

        cr_assert_str_eq(entry->type, types[entry->option->type], "%s", entry->option->name);
}

Test(documentation, the_manual_gives_the_types_of_the_table)
{
        for_each_entry(check_type);
}

/* Whether the entry has this line, made of two parts. */
static bool has_line(const struct entry *entry, const char *start, const char *end)
{
        char line[512];

        snprintf(line, sizeof(line), "\n%s%s\n", start, end);
        return strstr(entry->text, line);
}

static void check_default(const struct entry *entry)
{
        if (entry->option->initial)
                cr_assert(has_line(entry, "Default: ", entry->option->initial),
                          "%s: no line \"Default: %s\"", entry->option->name,
                          entry->option->initial);
}

Test(documentation, the_manual_gives_the_defaults_of_the_table)
{
        for_each_entry(check_default);
}

static void check_restart(const struct entry *entry)
{
        bool restart = has_line(entry, "Needs a restart.", "");

        cr_assert_neq(restart, has_line(entry, "Applied at reload.", ""), "%s: one of the two",
                      entry->option->name);
        cr_assert_eq(restart, entry->option->needs_restart, "%s", entry->option->name);
}

Test(documentation, the_manual_says_what_needs_a_restart)
{
        for_each_entry(check_restart);
}

static void check_range(const struct entry *entry)
{
        const struct option *option = entry->option;
        char range[256] = "";

        if (option->type == OPTION_INTEGER)
                snprintf(range, sizeof(range), "%.0f to %.0f", option->min, option->max);
        else if (option->type == OPTION_MODE)
                snprintf(range, sizeof(range), "\"0000\" to \"%04o\"", (unsigned)option->max);
        else if (option->type == OPTION_BOOL)
                strcpy(range, "true or false");
        if (range[0] != '\0')
                cr_assert(has_line(entry, "Range: ", range), "%s: no line \"Range: %s\"",
                          option->name, range);
        for (const char *const *choice = option->choices; choice && *choice; choice++) {
                snprintf(range, sizeof(range), "\"%s\"", *choice);
                cr_assert_not_null(strstr(entry->text, range), "%s: no %s", option->name, range);
        }
}

Test(documentation, the_manual_gives_the_ranges_of_the_table)
{
        for_each_entry(check_range);
}

/* An example that leaves the group around it out is put into one. */
static void check_example(const struct entry *entry)
{
        const char *found = strstr(entry->text, "\nExample: ");
        bool has_group;
        char text[1024], example[512];

        if (!is_supported(entry->option))
                return;
        cr_assert_not_null(found, "%s has none", entry->option->name);
        found += strlen("\nExample: ");
        snprintf(example, sizeof(example), "%.*s", (int)strcspn(found, "\n"), found);
        cr_assert_not_null(strstr(example, entry->option->name), "%s", example);
        has_group = section_opened(example) != SECTION_TOP;
        if (!has_group && entry->option->section == SECTION_LISTENERS)
                snprintf(text, sizeof(text), "listeners = ( { %s } );", example);
        else if (!has_group && entry->option->section == SECTION_KEEPALIVE)
                snprintf(text, sizeof(text), "tcp_keepalive = { %s };", example);
        else
                snprintf(text, sizeof(text), "%s", example);
        expect_good(text);
}

Test(documentation, the_examples_of_the_manual_load)
{
        for_each_entry(check_example);
}
