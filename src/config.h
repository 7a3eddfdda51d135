#pragma once

/*
 * The configuration: echod.conf(5) read, checked, compared and printed. Every option stands once,
 * in the table of config_table.c, from which all of that is driven.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "admission.h"
#include "util.h"

/* A path in sun_path of sockaddr_un(7), with its NUL. */
#define CONFIG_ADDRESS_MAX 108

enum config_protocol { PROTOCOL_TCP };

enum config_when_full { WHEN_FULL_WAIT, WHEN_FULL_REJECT };

/* Integers are int64_t throughout, as the table's setters write them. */
struct config_listener {
        char address[CONFIG_ADDRESS_MAX]; /* "*", a literal, or an absolute path */
        int64_t port;                     /* 0: any free one */
        int64_t protocol;                 /* enum config_protocol */
        int64_t backlog;
        int64_t mode; /* permissions of a Unix socket */
        bool proxy_protocol;
};

struct config_keepalive {
        int64_t idle_s; /* 0: off */
        int64_t interval_s;
        int64_t count;
};

/* Owned by whoever loaded it; config_free() releases it. */
struct config {
        struct config_listener *listeners;
        size_t n_listeners;
        int64_t workers;         /* 0: one for each usable CPU */
        int64_t max_connections; /* 0: what the limit on open files allows */
        int64_t max_connections_per_source;
        double connection_rate_per_source;
        int64_t when_full; /* enum config_when_full */
        struct prefix_list allow, deny, proxy_sources;
        int64_t idle_timeout_ms, write_timeout_ms, max_lifetime_ms, drain_timeout_ms;
        int64_t read_buffer;
        int64_t busy_poll_us;
        bool tcp_nodelay;
        struct config_keepalive tcp_keepalive;
        int64_t log_level; /* enum log_level */
        bool log_connections;
};

#define CONFIG_NULL ((struct config){0})

/* Where a configuration comes from; later ones override earlier ones. */
struct config_origin {
        const char *path;
        bool is_optional;       /* the file need not exist */
        const char **overrides; /* texts in the file's syntax, from the command line */
        size_t n_overrides;
};

/* Is told of each problem, a line `FILE:LINE: OPTION: what is wrong; what would be right`. */
struct config_problems {
        void (*report)(void *user, const char *line);
        void *user;
        unsigned n_problems;
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
