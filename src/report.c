#include "report.h"

#include <stdio.h>
#include <string.h>

#include "acceptor.h"
#include "log.h"
#include "pool.h"

void report_settings(const struct config *config, const struct pool *pool,
                     const struct acceptor *acceptor)
{
        log_info("workers=%zu max_connections=%llu when_full=%s idle_timeout=%.3f "
                 "write_timeout=%.3f max_lifetime=%.3f drain_timeout=%.3f read_buffer=%lld",
                 pool->n_workers, (unsigned long long)acceptor->admission.max_connections,
                 config->when_full == WHEN_FULL_WAIT ? "wait" : "reject",
                 (double)config->idle_timeout_ms / 1e3, (double)config->write_timeout_ms / 1e3,
                 (double)config->max_lifetime_ms / 1e3, (double)config->drain_timeout_ms / 1e3,
                 (long long)config->read_buffer);
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
        char closed[256] = "";

        pool_stats(pool, &total);
        for (unsigned reason = 0; reason < N_ECHO_REASONS; reason++) {
                size_t length = strlen(closed);

                snprintf(closed + length, sizeof(closed) - length, " closed_%s=%llu",
                         echo_reason_name(reason), (unsigned long long)total.closed[reason]);
        }
        log_notice("statistics connections=%llu accepted=%llu refused_deny=%llu refused_full=%llu"
                   "%s received_bytes=%llu sent_bytes=%llu pending_bytes=%llu",
                   (unsigned long long)pool_load(pool), (unsigned long long)acceptor->n_accepted,
                   (unsigned long long)acceptor->n_refused[REFUSED_DENY],
                   (unsigned long long)acceptor->n_refused[REFUSED_FULL], closed,
                   (unsigned long long)total.received_bytes, (unsigned long long)total.sent_bytes,
                   (unsigned long long)total.pending_bytes);
}
