/*
 * Loading: the defaults of the table, then the file, then the command line's texts, each parsed by
 * libconfig and taken over setting by setting. All problems are reported before it gives up.
 */

#include "config.h"

#include <errno.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "config_clash.h"
#include "config_source.h"
#include "config_syntax.h"
#include "config_table.h"
#include "config_value.h"
#include "config_whole.h"

/* A parsed source that is being taken over. */
struct loader {
        struct config *config;
        struct config_whole *whole;
        const struct config_source *source;
        struct config_problems *problems;
};

static int take_group(struct loader *loader, const config_setting_t *group,
                      enum option_section section, const char *label, void *base);

/* Reports a problem with a setting: where it stands, its name, what is wrong. */
static void report_setting(struct loader *loader, const config_setting_t *setting,
                           const char *label, const char *name, const char *problem)
{
        unsigned line = config_setting_source_line(setting);
        const char *text = config_setting_get_string(setting);
        const struct config_source_line *place;

        /* libconfig places a list's last element where the next token stands. */
        if (text && !config_setting_name(setting)) {
                char quoted[128];

                snprintf(quoted, sizeof(quoted), "\"%.120s%s", text,
                         strlen(text) > 120 ? "" : "\"");
                line = config_source_find_back(loader->source, line, quoted);
        }
        place = config_source_line(loader->source, line);
        config_problem(loader->problems, place->file, place->number, "%s%s: %s", label, name,
                       problem);
}

static void report_unknown(struct loader *loader, const config_setting_t *setting,
                           enum option_section section, const char *label)
{
        const struct option *nearest = option_nearest(section, config_setting_name(setting));
        bool is_elsewhere = nearest->section != section;
        const char *where = SECTION_NAMES[nearest->section];
        char problem[VALUE_PROBLEM_MAX];

        if (section == SECTION_TOP && section_nearest(config_setting_name(setting)) != SECTION_TOP)
                snprintf(problem, sizeof(problem), "unknown option; the nearest is %s",
                         SECTION_NAMES[section_nearest(config_setting_name(setting))]);
        else if (is_elsewhere && nearest->section == SECTION_TOP)
                snprintf(problem, sizeof(problem),
                         "unknown option; the nearest is %s, which "
                         "stands outside of any group",
                         nearest->name);
        else if (is_elsewhere)
                snprintf(problem, sizeof(problem),
                         "unknown option; the nearest is %s, which "
                         "stands inside %s",
                         nearest->name, where);
        else
                snprintf(problem, sizeof(problem), "unknown option; the nearest is %s",
                         nearest->name);
        report_setting(loader, setting, label, config_setting_name(setting), problem);
}

/* Reports every element of a list of networks that is none. */
static void report_networks(struct loader *loader, const char *name, const config_setting_t *list)
{
        for (unsigned i = 0; i < (unsigned)config_setting_length(list); i++) {
                char problem[VALUE_PROBLEM_MAX];
                struct prefix prefix;

                if (value_read_network(list, i, &prefix, problem) < 0)
                        report_setting(loader, config_setting_get_elem(list, i), "", name, problem);
        }
}

static int take_value(struct loader *loader, const struct option *option,
                      const config_setting_t *setting, const char *label, void *base)
{
        char problem[VALUE_PROBLEM_MAX];
        const config_setting_t *culprit;
        int r = value_read(option, setting, base, problem, &culprit);

        if (r == -ENOMEM)
                return r;
        if (r < 0 && option == option_find(SECTION_TOP, "proxy_sources"))
                loader->whole->are_sources_wrong = true;
        if (r < 0 && culprit != setting)
                report_networks(loader, option->name, setting);
        else if (r < 0)
                report_setting(loader, culprit, label, option->name, problem);
        return 0;
}

static void check_clash(struct loader *loader, const config_setting_t *list, unsigned index,
                        const char *label)
{
        struct config_listener *listeners = loader->config->listeners;
        char problem[VALUE_PROBLEM_MAX];

        for (unsigned i = 0; i < index; i++) {
                const config_setting_t *other = config_setting_get_elem(list, i);

                if (!config_clash(&listeners[i], &listeners[index]))
                        continue;
                snprintf(problem, sizeof(problem),
                         "takes the same address and port as listeners[%u] in line %u; "
                         "remove one or change its port",
                         i,
                         config_source_line(loader->source, config_setting_source_line(other))
                                 ->number);
                report_setting(loader, config_setting_get_elem(list, index), label, "address",
                               problem);
                return;
        }
}

static void note_proxied(struct loader *loader, const config_setting_t *group, size_t index)
{
        const struct config_listener *listener = &loader->config->listeners[index];
        const config_setting_t *setting = config_setting_get_member(group, "proxy_protocol");

        if (listener->proxy_protocol)
                config_whole_note_proxied(
                        loader->whole, listener, index,
                        config_source_line(loader->source, config_setting_source_line(setting)));
}

static int init_section(void *base, enum option_section section);

/* The whole list takes the place of the one before. */
static int take_listeners(struct loader *loader, const config_setting_t *setting)
{
        struct config *config = loader->config;
        int n = config_setting_length(setting), r = 0;

        if (config_setting_type(setting) != CONFIG_TYPE_LIST || n == 0) {
                report_setting(loader, setting, "", "listeners",
                               "must be a list of at least one group, "
                               "such as ( { address = \"*\"; port = 7; } )");
                return 0;
        }
        free(config->listeners);
        config->n_listeners = 0;
        config_whole_forget_listeners(loader->whole);
        config->listeners = calloc((size_t)n, sizeof(*config->listeners));
        if (!config->listeners)
                return -ENOMEM;
        for (unsigned i = 0; i < (unsigned)n && r == 0; i++) {
                const config_setting_t *group = config_setting_get_elem(setting, i);
                unsigned n_before = loader->problems->n_problems;
                char label[32];

                snprintf(label, sizeof(label), "listeners[%u].", i);
                r = init_section(&config->listeners[i], SECTION_LISTENERS);
                if (r == 0)
                        r = take_group(loader, group, SECTION_LISTENERS, label,
                                       &config->listeners[i]);
                config->n_listeners++;
                if (loader->problems->n_problems > n_before) /* so that it clashes with nothing */
                        config->listeners[i] = (struct config_listener){.address = "*"};
                if (r == 0 && loader->problems->n_problems == n_before) {
                        check_clash(loader, setting, i, label);
                        note_proxied(loader, group, i);
                }
        }
        return r;
}

static enum option_section section_of(const char *name)
{
        for (enum option_section section = SECTION_TOP + 1; section < N_SECTIONS; section++)
                if (strcmp(SECTION_NAMES[section], name) == 0)
                        return section;
        return SECTION_TOP;
}

/* A setting at the top that has options of its own inside. */
static int take_section(struct loader *loader, const config_setting_t *setting,
                        enum option_section section)
{
        unsigned n_before = loader->problems->n_problems;
        char label[32];
        int r;

        if (section == SECTION_LISTENERS)
                return take_listeners(loader, setting);
        if (section == SECTION_METRICS && !HAS_METRICS) {
                report_setting(loader, setting, "", "metrics",
                               "is not supported by this build, which has no libmicrohttpd; "
                               "leave it out");
                return 0;
        }
        loader->config->metrics.is_enabled |= section == SECTION_METRICS;
        snprintf(label, sizeof(label), "%s.", SECTION_NAMES[section]);
        r = take_group(loader, setting, section, label, loader->config);
        if (section == SECTION_METRICS && loader->problems->n_problems == n_before)
                config_whole_note_metrics(
                        loader->whole,
                        config_source_line(loader->source, config_setting_source_line(setting)));
        return r;
}

/* Takes over the settings of a group; `label` stands before their names in messages. */
static int take_group(struct loader *loader, const config_setting_t *group,
                      enum option_section section, const char *label, void *base)
{
        int r = 0;

        if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
                char name[32];

                snprintf(name, sizeof(name), "%.*s", (int)strlen(label) - 1, label);
                report_setting(loader, group, "", name, "must be a group { }");
                return 0;
        }
        for (int i = 0; i < config_setting_length(group) && r == 0; i++) {
                const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
                const char *name = config_setting_name(setting);
                const struct option *option = option_find(section, name);

                if (option)
                        r = take_value(loader, option, setting, label, base);
                else if (section == SECTION_TOP && section_of(name) != SECTION_TOP)
                        r = take_section(loader, setting, section_of(name));
                else
                        report_unknown(loader, setting, section, label);
        }
        return r;
}

/* Parses a source's text and takes it over. */
static int take_source(struct config *config, const struct config_source *source,
                       struct config_whole *whole, struct config_problems *problems)
{
        struct loader loader = {
                .config = config,
                .whole = whole,
                .source = source,
                .problems = problems,
        };
        config_t parsed;
        int r = 0;

        config_init(&parsed);
        if (config_read_string(&parsed, source->text) == CONFIG_TRUE)
                r = take_group(&loader, config_root_setting(&parsed), SECTION_TOP, "", config);
        else
                config_syntax_report(problems, source, &parsed);
        config_destroy(&parsed);
        return r;
}

static int take_text(struct config *config, const char *text, const char *file, unsigned line,
                     struct config_whole *whole, struct config_problems *problems)
{
        struct config_source source = CONFIG_SOURCE_NULL;
        int r = config_source_take(&source, text, file, line, problems);

        if (r == 0)
                r = take_source(config, &source, whole, problems);
        config_source_free(&source);
        return r == -EINVAL ? 0 : r;
}

static int take_file(struct config *config, const struct config_origin *origin,
                     struct config_whole *whole, struct config_problems *problems)
{
        struct config_source source = CONFIG_SOURCE_NULL;
        int r = config_source_read(&source, origin->path, problems);

        if (r == 0)
                r = take_source(config, &source, whole, problems);
        config_source_free(&source);
        if (r == -ENOENT) {
                if (origin->is_optional)
                        return CONFIG_FILE_ABSENT;
                config_problem(problems, origin->path, 0,
                               "does not exist; create it or name another with -c");
                return 0;
        }
        return r == -EINVAL ? 0 : r;
}

/* Sets the options of a section to the table's defaults, through the same reader as any value. */
static int init_section(void *base, enum option_section section)
{
        for (const struct option *option = OPTIONS; option->name; option++) {
                CLEANUP_FREE char *text = NULL;
                char problem[VALUE_PROBLEM_MAX];
                const config_setting_t *culprit;
                config_t parsed;
                int r = -ENOMEM;

                if (option->section != section || !option->initial)
                        continue;
                if (asprintf(&text, "%s = %s;", option->name, option->initial) < 0) {
                        text = NULL;
                        return -ENOMEM;
                }
                config_init(&parsed);
                if (config_read_string(&parsed, text) == CONFIG_TRUE)
                        r = value_read(option, config_lookup(&parsed, option->name), base, problem,
                                       &culprit);
                config_destroy(&parsed);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int init_defaults(struct config *config)
{
        int r;

        config->listeners = calloc(1, sizeof(*config->listeners));
        if (!config->listeners)
                return -ENOMEM;
        config->n_listeners = 1;
        r = init_section(&config->listeners[0], SECTION_LISTENERS);
        if (r == 0)
                r = init_section(config, SECTION_TOP);
        if (r == 0)
                r = init_section(config, SECTION_KEEPALIVE);
        if (r == 0)
                r = init_section(config, SECTION_METRICS);
        return r;
}

int config_load(struct config *ret_config, const struct config_origin *origin,
                struct config_problems *problems)
{
        struct config config = CONFIG_NULL;
        struct config_whole whole = {0};
        int outcome = CONFIG_LOADED, r = init_defaults(&config);

        *ret_config = CONFIG_NULL;
        if (r == 0)
                r = outcome = take_file(&config, origin, &whole, problems);
        for (size_t i = 0; i < origin->n_overrides && r >= 0; i++)
                r = take_text(&config, origin->overrides[i], "command line", (unsigned)i + 1,
                              &whole, problems);
        if (r >= 0)
                config_whole_check(&whole, &config, problems);
        if (r >= 0 && problems->n_problems > 0)
                r = -EINVAL;
        if (r < 0) {
                config_free(&config);
                return r;
        }
        *ret_config = config;
        return outcome;
}

void config_free(struct config *config)
{
        free(config->listeners);
        free(config->allow.prefixes);
        free(config->deny.prefixes);
        free(config->proxy_sources.prefixes);
        *config = CONFIG_NULL;
}
