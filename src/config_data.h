#pragma once

/*
 * The configuration as a struct.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admission.h"

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

struct config_metrics {
        bool is_enabled; /* the group is there */
        char address[CONFIG_ADDRESS_MAX];
        int64_t port; /* 0: any free one */
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
        int64_t idle_timeout_ms, write_timeout_ms, max_lifetime_ms, drain_timeout_ms,
                shutdown_delay_ms;
        int64_t read_buffer;
        int64_t busy_poll_us;
        bool tcp_nodelay;
        struct config_keepalive tcp_keepalive;
        int64_t log_level;  /* enum log_level */
        int64_t log_format; /* enum record_format */
        bool log_connections;
        struct config_metrics metrics;
};

#define CONFIG_NULL ((struct config){0})
