#pragma once

/*
 * The configuration: echod.conf(5) read, checked, compared and printed. Every option stands once,
 * in the table of config_table.c, from which all of that is driven.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config_data.h"
#include "config_problem.h"

/* Where a configuration comes from; later ones override earlier ones. */
struct config_origin {
        const char *path;
        bool is_optional;       /* the file need not exist */
        const char **overrides; /* texts in the file's syntax, from the command line */
        size_t n_overrides;
};

enum { CONFIG_LOADED, CONFIG_FILE_ABSENT };

/*
 * Reads and checks a whole configuration and reports every problem of it. CONFIG_LOADED; or
 * CONFIG_FILE_ABSENT, when an optional file does not exist and the rest is good. -EINVAL: there
 * were problems, and *ret_config is CONFIG_NULL. -ENOMEM.
 */
int config_load(struct config *ret_config, const struct config_origin *origin,
                struct config_problems *problems);

/* Releases what the configuration holds. CONFIG_NULL is allowed. */
void config_free(struct config *config);

/* Writes it in the file's syntax: read again, it gives the same configuration. */
void config_print(const struct config *config, FILE *stream);

/*
 * For a reload: sets each option of `next` that needs a restart back to what `current` has, and
 * names those that differed to `report`.
 */
void config_keep_restart_only(struct config *next, const struct config *current,
                              void (*report)(void *user, const char *option), void *user);
