#include "settings.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "config.h"
#include "descriptors.h"
#include "log.h"
#include "metrics.h"
#include "util.h"

/* Of the reserve that descriptors.h keeps, what listeners may take. */
#define SOCKETS_IN_RESERVE 32

struct connection_limits settings_limits(const struct config *config)
{
        return (struct connection_limits){
                .idle_timeout_ms = (uint64_t)config->idle_timeout_ms,
                .write_timeout_ms = (uint64_t)config->write_timeout_ms,
                .max_lifetime_ms = (uint64_t)config->max_lifetime_ms,
                .log_connections = config->log_connections,
        };
}

/*
 * How many connections there are descriptors for, with this many listeners: two sockets for each
 * that may be "*", and the same again, since at a reload the old ones are open together with the
 * new ones. The reserve has room for some. For the metrics it has none.
 */
static int64_t connections_possible(const struct config *config, int64_t n_descriptors)
{
        int64_t n_sockets = 2 * 2 * (int64_t)config->n_listeners;

        if (config->metrics.is_enabled)
                n_descriptors -= METRICS_DESCRIPTORS;
        return MAX(n_descriptors - MAX(n_sockets - SOCKETS_IN_RESERVE, 0), 1);
}

int64_t settings_descriptors(const struct config *config)
{
        int64_t n = descriptors_for_connections(settings_n_workers(config));

        if (n < 0)
                log_error("the limit on open files: %s",
                          n == -EMFILE ? "it is too low to serve anybody" : strerror((int)-n));
        return n;
}

uint64_t settings_max_connections(const struct config *config, int64_t n_descriptors)
{
        int64_t possible = connections_possible(config, n_descriptors);

        if (config->max_connections == 0)
                return (uint64_t)possible;
        if (config->max_connections > possible)
                log_warning("max_connections is lowered from %lld to %lld: "
                            "the limit on open files allows no more",
                            (long long)config->max_connections, (long long)possible);
        return (uint64_t)MIN(config->max_connections, possible);
}

unsigned settings_n_workers(const struct config *config)
{
        return config->workers > 0 ? (unsigned)config->workers : uv_available_parallelism();
}

uint64_t settings_busy_poll_ns(const struct config *config)
{
        return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? (uint64_t)config->busy_poll_us * 1000 : 0;
}

void settings_set_log_level(const struct config *config, int verbosity)
{
        log_set_level((enum log_level)MIN(config->log_level + verbosity, LOG_LEVEL_DEBUG));
}

void settings_set_log(const struct config *config, int verbosity)
{
        settings_set_log_level(config, verbosity);
        log_set_format((enum record_format)config->log_format);
}
