#include "report.h"

#include <limits.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "acceptor.h"
#include "figures.h"
#include "log.h"
#include "pool.h"
#include "settings.h"

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
        record_decimal(&record, "shutdown_delay", (uint64_t)config->shutdown_delay_ms, 3);
        record_number(&record, "read_buffer", (uint64_t)config->read_buffer);
        record_decimal(&record, "busy_poll", settings_busy_poll_ns(config) / 1000, 6);
        log_record(LOG_LEVEL_INFO, &record);
}

/* Where /proc/sys is hidden, a socket that listens knows it, see tcp_get_info() of the kernel. */
static long long ask_socket_for_somaxconn(void)
{
        const struct sockaddr_in loopback = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        struct tcp_info info = {0};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -1;
        if (bind(fd, (const struct sockaddr *)&loopback, sizeof(loopback)) < 0 ||
            listen(fd, INT_MAX) < 0 ||
            getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)}) < 0)
                info.tcpi_sacked = 0;
        close(fd);
        return info.tcpi_sacked > 0 ? (long long)info.tcpi_sacked : -1;
}

/* -1: it cannot be found out. */
static long long read_somaxconn(void)
{
        FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
        long long somaxconn;
        int n;

        if (!file)
                return ask_socket_for_somaxconn();
        n = fscanf(file, "%lld", &somaxconn);
        fclose(file);
        return n == 1 ? somaxconn : -1;
}

void report_backlogs(const struct config *config)
{
        long long somaxconn = read_somaxconn();

        for (size_t i = 0; somaxconn >= 0 && i < config->n_listeners; i++)
                if (config->listeners[i].backlog > somaxconn)
                        log_warning("listeners[%zu].backlog: the kernel lowers %lld to %lld; "
                                    "raise the sysctl net.core.somaxconn",
                                    i, (long long)config->listeners[i].backlog, somaxconn);
}

/* With a prefix before the key. */
static void add_prefixed(struct record *record, const char *prefix, const char *key, uint64_t n)
{
        char name[64];

        snprintf(name, sizeof(name), "%s_%s", prefix, key);
        record_number(record, name, n);
}

/* What could not be found out is left out. */
static void add_measured(struct record *record, const char *key, unsigned n_decimals, double value)
{
        if (!isnan(value))
                record_decimal(record, key, (uint64_t)llround(value * pow(10, n_decimals)),
                               n_decimals);
}

static void add_process(struct record *record, const struct process *process)
{
        add_measured(record, "process_cpu_seconds", 3, process->cpu_seconds);
        add_measured(record, "process_open_fds", 0, process->open_fds);
        add_measured(record, "process_max_fds", 0, process->max_fds);
        add_measured(record, "process_resident_memory_bytes", 0, process->resident_bytes);
        add_measured(record, "process_virtual_memory_bytes", 0, process->virtual_bytes);
        add_measured(record, "process_start_time_seconds", 3, process->start_time_seconds);
}

static void report_histograms(const struct stats_total *total)
{
        static const struct {
                const char *name;
                unsigned n_decimals; /* of a second, or of a byte */
        } histograms[N_STATS_HISTOGRAMS] = {
                [STATS_RTT] = {"connection_rtt_seconds", 6},
                [STATS_DURATION] = {"connection_duration_seconds", 3},
                [STATS_BYTES] = {"connection_bytes", 0},
        };

        for (unsigned i = 0; i < N_STATS_HISTOGRAMS; i++) {
                struct record record;
                char key[32];

                log_begin(&record, "histogram_figures");
                record_string(&record, "histogram", histograms[i].name);
                for (unsigned j = 0; j <= STATS_BOUNDS; j++) {
                        if (j < STATS_BOUNDS)
                                snprintf(key, sizeof(key), "le_%.15g",
                                         (double)STATS_BUCKETS[i][j] /
                                                 pow(10, histograms[i].n_decimals));
                        else
                                snprintf(key, sizeof(key), "more");
                        record_number(&record, key, total->observed[i][j]);
                }
                record_decimal(&record, "sum", total->sums[i], histograms[i].n_decimals);
                log_record(LOG_LEVEL_NOTICE, &record);
        }
}

static void report_total(const struct figures *figures)
{
        const struct stats_total *total = &figures->total;
        struct record record;

        log_begin(&record, "statistics");
        record_number(&record, "connections", figures->n_connections);
        record_number(&record, "accepted", figures_accepted(figures));
        for (unsigned verdict = ADMITTED + 1; verdict < N_ADMISSION_VERDICTS; verdict++)
                add_prefixed(&record, "refused", admission_verdict_name(verdict),
                             figures->n_refused[verdict]);
        record_number(&record, "probes", figures->n_probes);
        record_number(&record, "awaiting_header", figures->n_awaiting_header);
        for (unsigned reason = 0; reason < N_ECHO_REASONS; reason++)
                add_prefixed(&record, "closed", echo_reason_name(reason), total->closed[reason]);
        record_number(&record, "received_bytes", total->received_bytes);
        record_number(&record, "sent_bytes", total->sent_bytes);
        record_number(&record, "pending_bytes", total->pending_bytes);
        record_number(&record, "max_connections", figures->max_connections);
        record_number(&record, "reloads_success", figures->reloads.n_succeeded);
        record_number(&record, "reloads_failure", figures->reloads.n_failed);
        record_number(&record, "config_last_reload_success", !figures->reloads.has_failed);
        add_process(&record, &figures->process);
        log_record(LOG_LEVEL_NOTICE, &record);
}

static void report_listener(const struct figures_listener *listener)
{
        struct record record;

        log_begin(&record, "listener_figures");
        record_string(&record, "listener", listener->name);
        record_number(&record, "accepted", listener->n_accepted);
        if (listener->has_queue) {
                record_number(&record, "queue_length", listener->queue.length);
                record_number(&record, "queue_limit", listener->queue.limit);
                record_number(&record, "drops", listener->queue.n_drops);
        }
        log_record(LOG_LEVEL_NOTICE, &record);
}

static void report_worker(const struct figures_worker *worker, size_t index)
{
        struct record record;

        log_begin(&record, "worker_figures");
        record_number(&record, "worker", index);
        record_number(&record, "connections", worker->n_connections);
        record_decimal(&record, "busy_seconds", worker->busy_ns / 1000000, 3);
        log_record(LOG_LEVEL_NOTICE, &record);
}

void report_statistics(const struct figures *figures)
{
        for (size_t i = 0; i < figures->n_listeners; i++)
                report_listener(&figures->listeners[i]);
        for (size_t i = 0; i < figures->n_workers; i++)
                report_worker(&figures->workers[i], i);
        report_histograms(&figures->total);
        report_total(figures);
}
