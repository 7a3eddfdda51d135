#pragma once

/* What a daemon tells over HTTP. What goes wrong in here fails the running Criterion test. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon.h"

/* For an -o: metrics on 127.0.0.1 and any free port. */
#define METRICS "metrics = { port = 0; };"

/* The port on which the daemon serves its metrics. */
uint16_t page_port(struct daemon *daemon);

/* The whole answer to a GET from 127.0.0.1, headers and all. Valid until eight further calls. */
const char *page_get(uint16_t port, const char *path);

/* The status of that answer. */
unsigned page_status(uint16_t port, const char *path);

/* The metrics, without headers. */
const char *page_metrics(struct daemon *daemon);

/* The number behind a sample's name and labels in such a text; NAN: there is no such sample. */
double page_value(const char *text, const char *sample);

/* The same of what the daemon tells now; there must be such a sample. */
double page_now(struct daemon *daemon, const char *sample);

/* Waits until that is this number. */
void page_await(struct daemon *daemon, const char *sample, double expected);
