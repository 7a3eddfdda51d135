#include "config_whole.h"

#include <stdio.h>

#include "config_clash.h"

static void note(struct config_place *place, const struct config_source_line *line)
{
        snprintf(place->file, sizeof(place->file), "%s", line->file);
        place->line = line->number;
}

void config_whole_forget_listeners(struct config_whole *whole)
{
        whole->proxied.line = 0;
}

void config_whole_note_proxied(struct config_whole *whole, const struct config_listener *listener,
                               size_t index, const struct config_source_line *place)
{
        if (whole->proxied.line > 0 || listener->address[0] == '/')
                return;
        note(&whole->proxied, place);
        whole->proxied_listener = index;
}

void config_whole_note_metrics(struct config_whole *whole, const struct config_source_line *place)
{
        note(&whole->metrics, place);
}

static void check_proxied(const struct config_whole *whole, const struct config *config,
                          struct config_problems *problems)
{
        if (whole->proxied.line == 0 || whole->are_sources_wrong ||
            config->proxy_sources.n_prefixes > 0)
                return;
        config_problem(problems, whole->proxied.file, whole->proxied.line,
                       "listeners[%zu].proxy_protocol: needs proxy_sources, which is empty; say "
                       "whose headers are believed, such as proxy_sources = [ \"192.0.2.10\" ]",
                       whole->proxied_listener);
}

static void check_metrics(const struct config_whole *whole, const struct config *config,
                          struct config_problems *problems)
{
        struct config_listener metrics = {.port = config->metrics.port};

        if (whole->metrics.line == 0)
                return;
        snprintf(metrics.address, sizeof(metrics.address), "%s", config->metrics.address);
        for (size_t i = 0; i < config->n_listeners; i++) {
                if (!config_clash(&config->listeners[i], &metrics))
                        continue;
                config_problem(problems, whole->metrics.file, whole->metrics.line,
                               "metrics: take the same address and port as listeners[%zu]; "
                               "change the port of one",
                               i);
                return;
        }
}

void config_whole_check(const struct config_whole *whole, const struct config *config,
                        struct config_problems *problems)
{
        check_proxied(whole, config, problems);
        check_metrics(whole, config, problems);
}
