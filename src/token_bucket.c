#include "token_bucket.h"

#include "util.h"

#define NS_PER_SECOND   1000000000
#define INTERVAL_MAX_NS 1e18

struct token_rate token_rate(double per_second)
{
        uint64_t interval_ns;

        if (per_second <= 0)
                return (struct token_rate){0};
        interval_ns = (uint64_t)MIN(NS_PER_SECOND / per_second, INTERVAL_MAX_NS);
        return (struct token_rate){
                .interval_ns = MAX(interval_ns, 1),
                .fill_ns = MAX(interval_ns, NS_PER_SECOND),
        };
}

void token_bucket_adapt(uint64_t *full_at_ns, const struct token_rate *rate, uint64_t now_ns)
{
        *full_at_ns = MIN(*full_at_ns, now_ns + rate->fill_ns);
}

bool token_bucket_take(uint64_t *full_at_ns, const struct token_rate *rate, uint64_t now_ns)
{
        uint64_t full_at;

        if (rate->interval_ns == 0)
                return true;
        token_bucket_adapt(full_at_ns, rate, now_ns);
        full_at = MAX(*full_at_ns, now_ns) + rate->interval_ns;
        if (full_at > now_ns + rate->fill_ns)
                return false;
        *full_at_ns = full_at;
        return true;
}
