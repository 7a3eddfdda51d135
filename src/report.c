#include "report.h"

#include <stdio.h>

#include "acceptor.h"
#include "log.h"
#include "pool.h"

void report_settings(const struct config *config, const struct pool *pool,
                     const struct acceptor *acceptor)
{
        struct record record;

        log_begin(&record, "settings");
        record_number(&record, "workers", pool->n_workers);
        record_number(&record, "max_connections", acceptor->admission.max_connections);
        record_string(&record, "when_full",
                      config->when_full == WHEN_FULL_WAIT ? "wait" : "reject");
        record_decimal(&record, "idle_timeout", (uint64_t)config->idle_timeout_ms, 3);
        record_decimal(&record, "write_timeout", (uint64_t)config->write_timeout_ms, 3);
        record_decimal(&record, "max_lifetime", (uint64_t)config->max_lifetime_ms, 3);
        record_decimal(&record, "drain_timeout", (uint64_t)config->drain_timeout_ms, 3);
        record_number(&record, "read_buffer", (uint64_t)config->read_buffer);
        log_record(LOG_LEVEL_INFO, &record);
}

void report_backlogs(const struct config *config)
{
        FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
        long long somaxconn;
        int n;

        if (!file)
                return;
        n = fscanf(file, "%lld", &somaxconn);
        fclose(file);
        for (size_t i = 0; n == 1 && i < config->n_listeners; i++)
                if (config->listeners[i].backlog > somaxconn)
                        log_warning("listeners[%zu].backlog: the kernel lowers %lld to %lld; "
                                    "raise the sysctl net.core.somaxconn",
                                    i, (long long)config->listeners[i].backlog, somaxconn);
}

void report_statistics(const struct pool *pool, const struct acceptor *acceptor)
{
        struct stats_total total;
        struct record record;
        char key[32];

        pool_stats(pool, &total);
        log_begin(&record, "statistics");
        record_number(&record, "connections", pool_load(pool));
        record_number(&record, "accepted", acceptor->n_accepted);
        record_number(&record, "refused_deny", acceptor->n_refused[REFUSED_DENY]);
        record_number(&record, "refused_full", acceptor->n_refused[REFUSED_FULL]);
        for (unsigned reason = 0; reason < N_ECHO_REASONS; reason++) {
                snprintf(key, sizeof(key), "closed_%s", echo_reason_name(reason));
                record_number(&record, key, total.closed[reason]);
        }
        record_number(&record, "received_bytes", total.received_bytes);
        record_number(&record, "sent_bytes", total.sent_bytes);
        record_number(&record, "pending_bytes", total.pending_bytes);
        log_record(LOG_LEVEL_NOTICE, &record);
}
