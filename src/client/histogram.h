#pragma once

/*
 * How often each value came, in log-linear classes as HdrHistogram has them: below 2,048 each value
 * is a class, above that every power of two has 1,024. So whatever the magnitude, a value is known
 * to three significant digits. Pure; the values are nanoseconds, but need not be.
 */

#include <stdint.h>

struct histogram;

/* An empty one, or NULL when there is no memory. It takes 450 KiB once all of it has been used. */
struct histogram *histogram_new(void);

void histogram_free(struct histogram *histogram);

void histogram_add(struct histogram *histogram, uint64_t value);

/* The same value so many times. */
void histogram_add_many(struct histogram *histogram, uint64_t value, uint64_t n);

/* Adds what is in another one. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

uint64_t histogram_count(const struct histogram *histogram);

/* Of an empty one all of these are 0. The first two and the mean are exact. */
uint64_t histogram_min(const struct histogram *histogram);
uint64_t histogram_max(const struct histogram *histogram);
double histogram_mean(const struct histogram *histogram);

/* The standard deviation, which ping(8) calls mdev. */
double histogram_deviation(const struct histogram *histogram);

/* The least value that at least `share` (0-1) of all do not exceed. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

/* How many values are in the classes from `from` to below `to`. */
uint64_t histogram_count_between(const struct histogram *histogram, uint64_t from, uint64_t to);
