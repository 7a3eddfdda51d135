#pragma once

/*
 * What the daemon tells of itself: the statistics in the log, and metrics and health over HTTP. For
 * the main thread.
 */

#include <stdbool.h>
#include <uv.h>

#include "figures.h"

struct acceptor;
struct config;
struct inherited;
struct metrics;

/* Owned by the server. */
struct telemetry {
        struct figures_sources sources;
        struct metrics *metrics; /* NULL: not configured */
        bool is_ready;           /* clients are accepted, and will be for some time */
};

/* The acceptor must outlive it. */
void telemetry_init(struct telemetry *telemetry, const struct acceptor *acceptor);

/* Serves metrics, if the configuration says so. Logs, and returns, why not: metrics_open()'s. */
int telemetry_open(struct telemetry *telemetry, uv_loop_t *loop, const struct config *config,
                   struct inherited *inherited);

/* A reload is over. */
void telemetry_count_reload(struct telemetry *telemetry, bool has_failed);

/* Logs the statistics. */
void telemetry_report(struct telemetry *telemetry);

/* Serves metrics no longer; frees them in a later callback of the loop. */
void telemetry_close(struct telemetry *telemetry);
