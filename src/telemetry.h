#pragma once

/*
 * What the daemon tells of itself: the statistics in the log, metrics and health over HTTP, and its
 * status to the service manager. For the main thread.
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
        uv_timer_t status_timer;
        uint64_t reported_load; /* in the last STATUS */
};

/* The acceptor must outlive it. */
void telemetry_init(struct telemetry *telemetry, const struct acceptor *acceptor);

/*
 * Tells the service manager now and then how many connections there are, if it is there. Whoever
 * ends the loop closes the timer. An error of uv_timer_init() or uv_timer_start().
 */
int telemetry_start_status(struct telemetry *telemetry, uv_loop_t *loop);

/* Serves metrics, if the configuration says so. Logs, and returns, why not: metrics_open()'s. */
int telemetry_open(struct telemetry *telemetry, uv_loop_t *loop, const struct config *config,
                   struct inherited *inherited);

/* A reload is over. */
void telemetry_count_reload(struct telemetry *telemetry, bool has_failed);

/* Logs the statistics. */
void telemetry_report(struct telemetry *telemetry);

/* Serves metrics no longer; frees them in a later callback of the loop. */
void telemetry_close(struct telemetry *telemetry);
