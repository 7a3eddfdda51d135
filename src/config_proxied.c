#include "config_proxied.h"

#include <stdio.h>

void config_proxied_note(struct config_proxied *proxied, const struct config_listener *listener,
                         size_t index, const struct config_source_line *place)
{
        if (proxied->line > 0 || listener->address[0] == '/')
                return;
        snprintf(proxied->file, sizeof(proxied->file), "%s", place->file);
        proxied->line = place->number;
        proxied->index = index;
}

void config_proxied_check(const struct config_proxied *proxied, const struct config *config,
                          struct config_problems *problems)
{
        if (proxied->line == 0 || proxied->are_sources_wrong ||
            config->proxy_sources.n_prefixes > 0)
                return;
        config_problem(problems, proxied->file, proxied->line,
                       "listeners[%zu].proxy_protocol: needs proxy_sources, which is empty; say "
                       "whose headers are believed, such as proxy_sources = [ \"192.0.2.10\" ]",
                       proxied->index);
}
