#include "histogram.h"

#include <math.h>
#include <stdlib.h>

#include "util.h"

#define HALF_BITS    10 /* classes of a power of two: 2^10 */
#define N_HALF       (1U << HALF_BITS)
#define N_LINEAR     (2 * N_HALF)
#define N_MAGNITUDES (64 - HALF_BITS - 1)
#define N_CLASSES    (N_LINEAR + N_MAGNITUDES * N_HALF)

struct histogram {
        uint64_t n_values;
        uint64_t min, max;
        double sum, sum_of_squares;
        uint64_t counts[N_CLASSES];
};

/* By how many bits the values of a class's magnitude are coarser than 1. */
static unsigned shift_of(uint64_t value)
{
        return value < N_LINEAR ? 0 : 63 - (unsigned)__builtin_clzll(value) - HALF_BITS;
}

static unsigned class_of(uint64_t value)
{
        unsigned shift = shift_of(value);

        return shift * N_HALF + (unsigned)(value >> shift);
}

/* The middle of the class. */
static uint64_t value_of(unsigned class)
{
        unsigned shift = class < N_LINEAR ? 0 : class / N_HALF - 1;
        uint64_t first = (uint64_t)(class - shift * N_HALF) << shift;

        return first + ((UINT64_C(1) << shift) >> 1);
}

struct histogram *histogram_new(void)
{
        struct histogram *histogram = calloc(1, sizeof(*histogram));

        if (histogram)
                histogram->min = UINT64_MAX;
        return histogram;
}

void histogram_free(struct histogram *histogram)
{
        free(histogram);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
        histogram_add_many(histogram, value, 1);
}

void histogram_add_many(struct histogram *histogram, uint64_t value, uint64_t n)
{
        double sum = (double)value * (double)n;

        if (n == 0)
                return;
        histogram->n_values += n;
        histogram->counts[class_of(value)] += n;
        histogram->min = MIN(histogram->min, value);
        histogram->max = MAX(histogram->max, value);
        histogram->sum += sum;
        histogram->sum_of_squares += sum * (double)value;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
        histogram->n_values += other->n_values;
        histogram->min = MIN(histogram->min, other->min);
        histogram->max = MAX(histogram->max, other->max);
        histogram->sum += other->sum;
        histogram->sum_of_squares += other->sum_of_squares;
        for (unsigned i = 0; i < N_CLASSES; i++)
                histogram->counts[i] += other->counts[i];
}

uint64_t histogram_count(const struct histogram *histogram)
{
        return histogram->n_values;
}

uint64_t histogram_min(const struct histogram *histogram)
{
        return histogram->n_values > 0 ? histogram->min : 0;
}

uint64_t histogram_max(const struct histogram *histogram)
{
        return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
        return histogram->n_values > 0 ? histogram->sum / (double)histogram->n_values : 0;
}

double histogram_deviation(const struct histogram *histogram)
{
        double mean = histogram_mean(histogram), variance;

        if (histogram->n_values == 0)
                return 0;
        variance = histogram->sum_of_squares / (double)histogram->n_values - mean * mean;
        return variance > 0 ? sqrt(variance) : 0; /* rounding can make it negative */
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
        uint64_t rank = (uint64_t)ceil(share * (double)histogram->n_values), n_seen = 0;

        if (histogram->n_values == 0)
                return 0;
        rank = MIN(MAX(rank, 1), histogram->n_values);
        if (rank == histogram->n_values)
                return histogram->max;
        for (unsigned class = 0;; class ++) {
                n_seen += histogram->counts[class];
                if (n_seen >= rank)
                        return MIN(MAX(value_of(class), histogram->min), histogram->max);
        }
}

uint64_t histogram_count_between(const struct histogram *histogram, uint64_t from, uint64_t to)
{
        uint64_t n = 0;

        for (unsigned class = class_of(from); class < class_of(to); class ++)
                n += histogram->counts[class];
        return n;
}
