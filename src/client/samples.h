#pragma once

/*
 * What stands in a page of metrics, in the text format of Prometheus (version 0.0.4). Pure.
 */

#include <stdbool.h>
#include <stddef.h>

struct sample {
        const char *name;   /* "echod_connections" */
        const char *labels; /* as written, without the braces: worker="0"; or empty */
        double value;
        bool is_counter; /* it only grows, so that a rate makes sense */
};

/* In the order of the page. */
struct samples {
        struct sample *samples;
        size_t n_samples;
        char *page; /* what they point into */
};

#define SAMPLES_NULL ((struct samples){0})

/*
 * Takes a page apart, and over: it must come from malloc(3), and is freed in any case. -EINVAL: a
 * line is not what the format says. -ENOMEM. samples_free() frees what it gives.
 */
int samples_parse(struct samples *ret_samples, char *page);

/* The sample with that name and these labels, or NULL. */
const struct sample *samples_find(const struct samples *samples, const char *name,
                                  const char *labels);

/* Writes the value of one label, "0" of worker="0", unescaped; false: there is no such label. */
bool sample_label(const struct sample *sample, const char *label, char *ret_value, size_t size);

/* SAMPLES_NULL is allowed. */
void samples_free(struct samples *samples);
