/*
 * What drives the other way: from the struct, along the table, back to text; and along the table
 * from one configuration to the next.
 */

#include <string.h>

#include "config.h"
#include "config_table.h"
#include "config_value.h"

static void print_section(enum option_section section, const char *indent, const void *base,
                          FILE *stream)
{
        for (const struct option *option = OPTIONS; option->name; option++) {
                if (option->section != section)
                        continue;
                fprintf(stream, "%s%s = ", indent, option->name);
                value_print(option, base, stream);
                fputs(";\n", stream);
        }
}

void config_print(const struct config *config, FILE *stream)
{
        fputs("listeners = (\n", stream);
        for (size_t i = 0; i < config->n_listeners; i++) {
                fputs("  {\n", stream);
                print_section(SECTION_LISTENERS, "    ", &config->listeners[i], stream);
                fputs(i + 1 < config->n_listeners ? "  },\n" : "  }\n", stream);
        }
        fputs(");\n", stream);
        print_section(SECTION_TOP, "", config, stream);
        fputs("tcp_keepalive = {\n", stream);
        print_section(SECTION_KEEPALIVE, "  ", config, stream);
        fputs("};\n", stream);
        if (!config->metrics.is_enabled)
                return;
        fputs("metrics = {\n", stream);
        print_section(SECTION_METRICS, "  ", config, stream);
        fputs("};\n", stream);
}

static bool is_same_metrics(const struct config_metrics *a, const struct config_metrics *b)
{
        if (!a->is_enabled && !b->is_enabled)
                return true;
        return a->is_enabled == b->is_enabled && a->port == b->port &&
               strcmp(a->address, b->address) == 0;
}

void config_keep_restart_only(struct config *next, const struct config *current,
                              void (*report)(void *user, const char *option), void *user)
{
        for (const struct option *option = OPTIONS; option->name; option++) {
                if (!option->needs_restart || option->section == SECTION_METRICS ||
                    value_equals(option, next, current))
                        continue;
                value_copy(option, next, current);
                report(user, option->name);
        }
        /* A group that can be absent: as a whole. */
        if (!is_same_metrics(&next->metrics, &current->metrics)) {
                next->metrics = current->metrics;
                report(user, SECTION_NAMES[SECTION_METRICS]);
        }
}
