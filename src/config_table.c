#include "config_table.h"

#include <string.h>

#include "config_data.h"
#include "util.h"

#define YEAR 31536000.0

static const char *const PROTOCOLS[] = {[PROTOCOL_TCP] = "tcp", NULL};
static const char *const WHEN_FULL[] = {
        [WHEN_FULL_WAIT] = "wait",
        [WHEN_FULL_REJECT] = "reject",
        NULL,
};
/* In the order of enum log_level. */
static const char *const LOG_LEVEL_NAMES[] = {"error", "warning", "notice", "info", "debug", NULL};

/* In the order of enum record_format. */
static const char *const LOG_FORMATS[] = {"logfmt", "json", NULL};

const char *const SECTION_NAMES[N_SECTIONS] = {
        [SECTION_TOP] = "",
        [SECTION_LISTENERS] = "listeners",
        [SECTION_KEEPALIVE] = "tcp_keepalive",
        [SECTION_METRICS] = "metrics",
};

/* A top-level option's name, its field's place, and whatever else is given. */
#define TOP(option_name, field, ...)                                  \
        {                                                             \
                .section = SECTION_TOP, .name = option_name,          \
                .offset = offsetof(struct config, field), __VA_ARGS__ \
        }
#define SECONDS(option_name, field, ...) \
        TOP(option_name, field, .type = OPTION_SECONDS, .scale = 1000, __VA_ARGS__)
#define LISTENER(option_name, ...)                                                   \
        {                                                                            \
                .section = SECTION_LISTENERS, .name = #option_name,                  \
                .offset = offsetof(struct config_listener, option_name), __VA_ARGS__ \
        }
#define KEEPALIVE(option_name, field, ...)                                                 \
        {                                                                                  \
                .section = SECTION_KEEPALIVE, .name = option_name, .type = OPTION_INTEGER, \
                .offset = offsetof(struct config, tcp_keepalive.field), __VA_ARGS__        \
        }

#define METRICS(field, ...)                                                              \
        {                                                                                \
                .section = SECTION_METRICS, .name = #field,                              \
                .offset = offsetof(struct config, metrics.field), .needs_restart = true, \
                __VA_ARGS__                                                              \
        }

const struct option OPTIONS[] = {
        LISTENER(
                address, .type = OPTION_ADDRESS, .initial = "\"*\"",
                .help = "where to listen: \"*\", an IPv4 or IPv6 address, or the path of a socket"),
        LISTENER(port, .type = OPTION_INTEGER, .min = 0, .max = 65535, .initial = "7",
                 .help = "TCP port; 0: any free one, logged"),
        LISTENER(protocol, .type = OPTION_CHOICE, .choices = PROTOCOLS, .initial = "\"tcp\"",
                 .help = "transport protocol"),
        LISTENER(backlog, .type = OPTION_INTEGER, .min = 1, .max = 65535, .initial = "1024",
                 .help = "connections the kernel queues for echod, listen(2)"),
        LISTENER(mode, .type = OPTION_MODE, .min = 0, .max = 0777, .initial = "\"0660\"",
                 .help = "permissions of a Unix socket, octal"),
        LISTENER(proxy_protocol, .type = OPTION_BOOL, .initial = "false",
                 .help = "a PROXY header must come first, from one of proxy_sources"),
        TOP("workers", workers, .type = OPTION_INTEGER, .min = 0, .max = 1024, .initial = "0",
            .needs_restart = true, .help = "worker threads; 0: one for each usable CPU"),
        TOP("max_connections", max_connections, .type = OPTION_INTEGER, .min = 0, .max = INT32_MAX,
            .initial = "0", .help = "connections at once; 0: what the limit on open files allows"),
        TOP("max_connections_per_source", max_connections_per_source, .type = OPTION_INTEGER,
            .min = 0, .max = INT32_MAX, .initial = "0",
            .help = "connections at once from one source; 0: no limit"),
        TOP("connection_rate_per_source", connection_rate_per_source, .type = OPTION_NUMBER,
            .min = 0, .max = 1e9, .initial = "0.0",
            .help = "new connections a second from one source; 0: no limit"),
        TOP("when_full", when_full, .type = OPTION_CHOICE, .choices = WHEN_FULL,
            .initial = "\"wait\"",
            .help = "at max_connections: leave clients in the backlog, or reset them"),
        TOP("allow", allow, .type = OPTION_NETWORKS, .initial = "[]",
            .help = "networks that may connect; empty: all"),
        TOP("deny", deny, .type = OPTION_NETWORKS, .initial = "[]",
            .help = "networks that may not connect"),
        TOP("proxy_sources", proxy_sources, .type = OPTION_NETWORKS, .initial = "[]",
            .help = "networks whose PROXY header is believed; others are refused there"),
        SECONDS("idle_timeout", idle_timeout_ms, .min = 0, .max = YEAR, .initial = "0",
                .help = "close when no byte passes for so long; 0: never"),
        SECONDS("write_timeout", write_timeout_ms, .min = 0, .max = YEAR, .initial = "30",
                .help = "reset a client that takes no byte for so long; 0: never"),
        SECONDS("max_lifetime", max_lifetime_ms, .min = 0, .max = YEAR, .initial = "0",
                .help = "close a connection after so long; 0: never"),
        SECONDS("drain_timeout", drain_timeout_ms, .min = 0, .max = YEAR, .initial = "30",
                .help = "how long a stop waits for open connections"),
        SECONDS("shutdown_delay", shutdown_delay_ms, .min = 0, .max = YEAR, .initial = "0",
                .help = "how long a stop still accepts, for load balancers to see /readyz"),
        TOP("read_buffer", read_buffer, .type = OPTION_INTEGER, .min = 4096, .max = 16777216,
            .initial = "131072", .needs_restart = true,
            .help = "bytes read at once; one buffer for each worker"),
        TOP("busy_poll", busy_poll_us, .type = OPTION_SECONDS, .scale = 1e6, .min = 0, .max = 0.001,
            .initial = "0.00005",
            .help = "how long a busy worker polls before it sleeps, adaptively; 0: never"),
        TOP("tcp_nodelay", tcp_nodelay, .type = OPTION_BOOL, .initial = "true",
            .help = "send small answers at once (TCP_NODELAY)"),
        KEEPALIVE("idle", idle_s, .min = 0, .max = 32767, .initial = "0",
                  .help = "seconds of silence before the first probe; 0: no probes"),
        KEEPALIVE("interval", interval_s, .min = 1, .max = 32767, .initial = "75",
                  .help = "seconds between probes"),
        KEEPALIVE("count", count, .min = 1, .max = 127, .initial = "9",
                  .help = "unanswered probes after which the connection is dead"),
        TOP("log_level", log_level, .type = OPTION_CHOICE, .choices = LOG_LEVEL_NAMES,
            .initial = "\"info\"", .help = "the least important level that is logged"),
        TOP("log_format", log_format, .type = OPTION_CHOICE, .choices = LOG_FORMATS,
            .initial = "\"logfmt\"", .help = "how lines of the log are written"),
        TOP("log_connections", log_connections, .type = OPTION_BOOL, .initial = "false",
            .help = "one line for each closed connection"),
        METRICS(address, .type = OPTION_HOST, .initial = "\"127.0.0.1\"",
                .help = "where to serve metrics: \"*\", an IPv4 or an IPv6 address"),
        METRICS(port, .type = OPTION_INTEGER, .min = 0, .max = 65535, .initial = "9007",
                .help = "port to serve metrics on; 0: any free one, logged"),
        {.name = NULL},
};

const struct option *option_find(enum option_section section, const char *name)
{
        for (const struct option *option = OPTIONS; option->name; option++)
                if (option->section == section && strcmp(option->name, name) == 0)
                        return option;
        return NULL;
}

/* The number of letters to insert, delete or replace to make one word of the other (Levenshtein).
 */
static unsigned distance(const char *a, const char *b)
{
        unsigned row[64];
        size_t length = strnlen(b, ARRAY_SIZE(row) - 1);

        for (unsigned j = 0; j <= length; j++)
                row[j] = j;
        for (unsigned i = 1; a[i - 1] != '\0'; i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= length; j++) {
                        unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);

                        diagonal = row[j];
                        row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
                }
        }
        return row[length];
}

const struct option *option_nearest(enum option_section section, const char *name)
{
        const struct option *nearest = NULL;
        unsigned least = 0;

        for (const struct option *option = OPTIONS; option->name; option++) {
                unsigned d = 2 * distance(name, option->name) + (option->section != section);

                if (nearest && d >= least)
                        continue;
                nearest = option;
                least = d;
        }
        return nearest;
}

enum option_section section_nearest(const char *name)
{
        enum option_section nearest = SECTION_TOP;
        unsigned least = distance(name, option_nearest(SECTION_TOP, name)->name);

        for (enum option_section section = SECTION_TOP + 1; section < N_SECTIONS; section++) {
                unsigned d = distance(name, SECTION_NAMES[section]);

                if (d >= least)
                        continue;
                nearest = section;
                least = d;
        }
        return nearest;
}
