#pragma once

/*
 * A token bucket, kept as one number: the time at which it is full again. Pure: it is told the
 * time. A bucket that was never used is full since 0.
 */

#include <stdbool.h>
#include <stdint.h>

/* How fast a bucket fills, and how much it holds: one second's worth, and at least one token. */
struct token_rate {
        uint64_t interval_ns; /* from one token to the next, rounded down; 0: no limit */
        uint64_t fill_ns;     /* from empty to full */
};

/* So many tokens a second; 0 is no limit. Slower than one in about 30 years is as slow as that. */
struct token_rate token_rate(double per_second);

/* Takes a token, unless there is none: false. Always true without a limit. */
bool token_bucket_take(uint64_t *full_at_ns, const struct token_rate *rate, uint64_t now_ns);

/* For a bucket that was used under another rate: it is empty at worst. */
void token_bucket_adapt(uint64_t *full_at_ns, const struct token_rate *rate, uint64_t now_ns);
