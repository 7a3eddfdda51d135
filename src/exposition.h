#pragma once

/*
 * The Prometheus text format 0.0.4, written into a buffer that grows. Pure. Families come one
 * after another: exposition_family(), and then its samples. Once memory has run out nothing more is
 * written, and exposition_take() says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Freed by whoever takes the text. */
struct exposition {
        char *text;
        size_t length, capacity;
        const char *family; /* of the samples that come next */
        bool has_failed;
};

#define EXPOSITION_NULL ((struct exposition){0})

/* A label's value is escaped; its name is not, and must match [a-zA-Z_][a-zA-Z0-9_]*. */
struct exposition_label {
        const char *name;
        const char *value;
};

/* Upper bounds of a histogram's buckets, ascending; one more bucket has what lies beyond. */
struct exposition_buckets {
        const double *bounds;
        size_t n_bounds;
};

/*
 * Begins a family. `type` is "counter", "gauge" or "histogram"; `help` is one sentence, escaped
 * here; `name` must outlive the samples.
 */
void exposition_family(struct exposition *exposition, const char *name, const char *type,
                       const char *help);

/* A sample with labels. */
void exposition_sample(struct exposition *exposition, const struct exposition_label *labels,
                       size_t n_labels, double value);

/* A sample without labels. */
void exposition_value(struct exposition *exposition, double value);

/* A sample with one label. */
void exposition_labelled(struct exposition *exposition, const char *name, const char *value,
                         double number);

/*
 * A whole histogram without labels: `counts` has n_bounds + 1 numbers, each of the observations
 * in that bucket alone; the format's cumulative ones are made here.
 */
void exposition_histogram(struct exposition *exposition, const struct exposition_buckets *buckets,
                          const uint64_t *counts, double sum);

/* The text, which the caller frees, and its length; NULL: memory ran out. */
char *exposition_take(struct exposition *exposition, size_t *ret_length);
