#pragma once

/*
 * What is logged of clients that come. They can cause as many lines as they like, so each kind is
 * limited by itself, and once its window is over a summary says how many lines were suppressed.
 * For the main thread.
 */

#include <stdint.h>
#include <uv.h>

#include "admission.h"
#include "log.h"

struct arrival;

enum arrival_event { ARRIVAL_REFUSED, ARRIVAL_FULL, ARRIVAL_SHORTAGE, N_ARRIVAL_EVENTS };

struct arrival_log {
        uv_timer_t summary;
        struct log_limit limits[N_ARRIVAL_EVENTS];
};

/* An error of uv_timer_init(). */
int arrival_log_init(struct arrival_log *log, uv_loop_t *loop);

/* `problem`: what is wrong with the PROXY header, or NULL. */
void arrival_log_refused(struct arrival_log *log, const struct arrival *arrival,
                         enum admission_verdict verdict, const char *problem);

/* So many connections are open that further clients wait. */
void arrival_log_full(struct arrival_log *log, uint64_t max_connections);

/* Nobody can be accepted; it is tried again in so many ms. */
void arrival_log_shortage(struct arrival_log *log, const char *listener, int error,
                          unsigned retry_ms);

/* A load balancer, perhaps, has looked whether anybody listens. It may look often, so it is only
 * for who debugs. */
void arrival_log_probe(const struct arrival *arrival);

/* Says what is still to be said. */
void arrival_log_flush(struct arrival_log *log);

/* The same, and closes the timer. */
void arrival_log_close(struct arrival_log *log);
