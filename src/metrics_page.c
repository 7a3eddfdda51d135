#include "metrics_page.h"

#include <math.h>
#include <stdio.h>
#include <uv.h>

#include "echo.h"
#include "exposition.h"
#include "figures.h"
#include "util.h"

static void write_one(struct exposition *exposition, const char *name, const char *type,
                      const char *help, double value)
{
        exposition_family(exposition, name, type, help);
        exposition_value(exposition, value);
}

static void write_build(struct exposition *exposition)
{
        const struct exposition_label labels[] = {
                {"version", ECHOD_VERSION},
                {"libuv", uv_version_string()},
        };

        exposition_family(exposition, "echod_build_info", "gauge",
                          "Always 1; the versions are in the labels.");
        exposition_sample(exposition, labels, ARRAY_SIZE(labels), 1);
}

static void write_listeners(struct exposition *exposition, const struct figures *figures)
{
        exposition_family(exposition, "echod_connections_accepted_total", "counter",
                          "Connections that were accepted, by listener.");
        for (size_t i = 0; i < figures->n_listeners; i++)
                exposition_labelled(exposition, "listener", figures->listeners[i].name,
                                    (double)figures->listeners[i].n_accepted);
}

static void write_queues(struct exposition *exposition, const struct figures *figures)
{
        static const struct {
                const char *name, *type, *help;
                size_t offset;
        } families[] = {
                {"echod_listener_queue_length", "gauge", "Clients that wait to be accepted.",
                 offsetof(struct listener_queue, length)},
                {"echod_listener_queue_limit", "gauge",
                 "Clients that may wait to be accepted; further ones are dropped.",
                 offsetof(struct listener_queue, limit)},
                {"echod_listener_drops_total", "counter",
                 "Attempts to connect that the kernel dropped.",
                 offsetof(struct listener_queue, n_drops)},
        };

        for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
                exposition_family(exposition, families[i].name, families[i].type, families[i].help);
                for (size_t j = 0; j < figures->n_listeners; j++) {
                        const struct figures_listener *listener = &figures->listeners[j];
                        const char *queue = (const char *)&listener->queue;

                        if (listener->has_queue)
                                exposition_labelled(
                                        exposition, "listener", listener->name,
                                        (double)*(const uint64_t *)(queue + families[i].offset));
                }
        }
}

static void write_connections(struct exposition *exposition, const struct figures *figures)
{
        write_one(exposition, "echod_connections", "gauge", "Connections that are open.",
                  (double)figures->n_connections);
        write_one(exposition, "echod_connections_awaiting_header", "gauge",
                  "Connections whose PROXY header has not come yet.",
                  (double)figures->n_awaiting_header);
        write_one(exposition, "echod_proxy_probes_total", "counter",
                  "Connections that ended before the first byte of a PROXY header.",
                  (double)figures->n_probes);
        write_one(exposition, "echod_max_connections", "gauge",
                  "Connections that may be open at once.", (double)figures->max_connections);
        exposition_family(exposition, "echod_connections_refused_total", "counter",
                          "Connections that were reset at once, by reason.");
        for (unsigned verdict = ADMITTED + 1; verdict < N_ADMISSION_VERDICTS; verdict++)
                exposition_labelled(exposition, "reason", admission_verdict_name(verdict),
                                    (double)figures->n_refused[verdict]);
        exposition_family(exposition, "echod_connections_closed_total", "counter",
                          "Connections that have ended, by reason.");
        for (unsigned reason = 0; reason < N_ECHO_REASONS; reason++)
                exposition_labelled(exposition, "reason", echo_reason_name(reason),
                                    (double)figures->total.closed[reason]);
}

static void write_bytes(struct exposition *exposition, const struct stats_total *total)
{
        write_one(exposition, "echod_received_bytes_total", "counter",
                  "Bytes read from connections.", (double)total->received_bytes);
        write_one(exposition, "echod_sent_bytes_total", "counter", "Bytes written to connections.",
                  (double)total->sent_bytes);
        write_one(exposition, "echod_pending_bytes", "gauge",
                  "Bytes held for clients that are slow to read.", (double)total->pending_bytes);
}

static void write_worker(struct exposition *exposition, size_t index, double value)
{
        char text[24];

        snprintf(text, sizeof(text), "%zu", index);
        exposition_labelled(exposition, "worker", text, value);
}

static void write_workers(struct exposition *exposition, const struct figures *figures)
{
        exposition_family(exposition, "echod_worker_connections", "gauge",
                          "Connections that are open, by worker.");
        for (size_t i = 0; i < figures->n_workers; i++)
                write_worker(exposition, i, (double)figures->workers[i].n_connections);
        exposition_family(exposition, "echod_worker_busy_seconds_total", "counter",
                          "Time in which a worker was not idle.");
        for (size_t i = 0; i < figures->n_workers; i++)
                write_worker(exposition, i, (double)figures->workers[i].busy_ns / 1e9);
}

static void write_histograms(struct exposition *exposition, const struct stats_total *total)
{
        static const struct {
                const char *name, *help;
                double units; /* of stats.h, in one of Prometheus' */
        } families[N_STATS_HISTOGRAMS] = {
                [STATS_RTT] = {"echod_connection_rtt_seconds",
                               "Round-trip times of connections that have ended, smoothed.", 1e6},
                [STATS_DURATION] = {"echod_connection_duration_seconds",
                                    "Durations of connections that have ended.", 1e3},
                [STATS_BYTES] = {"echod_connection_bytes",
                                 "Bytes read from connections that have ended.", 1},
        };
        double bounds[STATS_BOUNDS];
        const struct exposition_buckets buckets = {bounds, STATS_BOUNDS};

        for (unsigned i = 0; i < N_STATS_HISTOGRAMS; i++) {
                for (unsigned j = 0; j < STATS_BOUNDS; j++)
                        bounds[j] = (double)STATS_BUCKETS[i][j] / families[i].units;
                exposition_family(exposition, families[i].name, "histogram", families[i].help);
                exposition_histogram(exposition, &buckets, total->observed[i],
                                     (double)total->sums[i] / families[i].units);
        }
}

static void write_reloads(struct exposition *exposition, const struct figures_reloads *reloads)
{
        exposition_family(exposition, "echod_reloads_total", "counter",
                          "Reloads of the configuration, by result.");
        exposition_labelled(exposition, "result", "success", (double)reloads->n_succeeded);
        exposition_labelled(exposition, "result", "failure", (double)reloads->n_failed);
        write_one(exposition, "echod_config_last_reload_success", "gauge",
                  "0 after a reload that failed, else 1.", !reloads->has_failed);
}

static void write_process(struct exposition *exposition, const struct process *process)
{
        const struct {
                const char *name, *type, *help;
                double value;
        } families[] = {
                {"process_cpu_seconds_total", "counter", "CPU time used, user and system.",
                 process->cpu_seconds},
                {"process_open_fds", "gauge", "Open file descriptors.", process->open_fds},
                {"process_max_fds", "gauge", "File descriptors that may be open.",
                 process->max_fds},
                {"process_resident_memory_bytes", "gauge", "Resident memory.",
                 process->resident_bytes},
                {"process_virtual_memory_bytes", "gauge", "Virtual memory.",
                 process->virtual_bytes},
                {"process_start_time_seconds", "gauge", "Start of the process, since the epoch.",
                 process->start_time_seconds},
        };

        for (size_t i = 0; i < ARRAY_SIZE(families); i++)
                if (!isnan(families[i].value))
                        write_one(exposition, families[i].name, families[i].type, families[i].help,
                                  families[i].value);
}

void metrics_page_write(struct exposition *exposition, const struct figures *figures)
{
        write_build(exposition);
        write_connections(exposition, figures);
        write_listeners(exposition, figures);
        write_queues(exposition, figures);
        write_bytes(exposition, &figures->total);
        write_histograms(exposition, &figures->total);
        write_workers(exposition, figures);
        write_reloads(exposition, &figures->reloads);
        write_process(exposition, &figures->process);
}
