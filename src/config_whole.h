#pragma once

/*
 * What only the whole configuration can answer, and so is checked at its end: whether anybody's
 * PROXY header is believed where one is asked for (a listener that believes nobody would refuse
 * everybody), and whether the metrics would take a listener's address.
 */

#include <limits.h>

#include "config_data.h"
#include "config_problem.h"
#include "config_source.h"

struct config_place {
        char file[PATH_MAX];
        unsigned line; /* 0: nowhere */
};

/* Starts zeroed. */
struct config_whole {
        struct config_place proxied; /* where the first listener asks for headers */
        size_t proxied_listener;
        bool are_sources_wrong; /* which has been reported */
        struct config_place metrics;
};

/* The listeners, which have noted this and that, are replaced. */
void config_whole_forget_listeners(struct config_whole *whole);

/* The `index`-th listener asks for headers, at that place. Over a Unix socket all are believed. */
void config_whole_note_proxied(struct config_whole *whole, const struct config_listener *listener,
                               size_t index, const struct config_source_line *place);

/* The metrics are configured there; the last place counts. */
void config_whole_note_metrics(struct config_whole *whole, const struct config_source_line *place);

/* To be called at the end. */
void config_whole_check(const struct config_whole *whole, const struct config *config,
                        struct config_problems *problems);
