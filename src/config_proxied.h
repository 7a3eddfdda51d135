#pragma once

/*
 * What only the whole configuration can answer: whether anybody's PROXY header is believed where
 * one is asked for. A listener that believes nobody would refuse everybody.
 */

#include <limits.h>

#include "config_data.h"
#include "config_problem.h"
#include "config_source.h"

/* Starts zeroed. */
struct config_proxied {
        char file[PATH_MAX]; /* the place of the first listener that asks for headers */
        unsigned line;       /* 0: none does */
        size_t index;
        bool are_sources_wrong; /* which has been reported */
};

/* The `index`-th listener asks for headers, at that place. Over a Unix socket all are believed. */
void config_proxied_note(struct config_proxied *proxied, const struct config_listener *listener,
                         size_t index, const struct config_source_line *place);

/* To be called at the end. */
void config_proxied_check(const struct config_proxied *proxied, const struct config *config,
                          struct config_problems *problems);
