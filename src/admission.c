#include "admission.h"

#include "source_table.h"

/* The length of the longest prefix in the list that contains the address; -1: none does. */
static int longest_match(const struct prefix_list *list, const struct address *address)
{
        int longest = -1;

        for (size_t i = 0; i < list->n_prefixes; i++) {
                const struct prefix *prefix = &list->prefixes[i];

                if (prefix->length > longest && prefix_contains(prefix, address))
                        longest = prefix->length;
        }
        return longest;
}

static bool is_allowed(const struct admission *admission, const struct address *peer)
{
        int allowed, denied;

        if (peer->family == AF_UNIX)
                return true;
        denied = longest_match(admission->deny, peer);
        if (admission->allow->n_prefixes == 0)
                return denied < 0;
        allowed = longest_match(admission->allow, peer);
        return allowed > denied;
}

static const enum admission_verdict VERDICTS[] = {
        [SOURCE_ADMITTED] = ADMITTED,
        [SOURCE_OVER_LIMIT] = REFUSED_SOURCE_LIMIT,
        [SOURCE_OVER_RATE] = REFUSED_SOURCE_RATE,
};

int admission_decide(const struct admission *admission, const struct address *peer, uint64_t n_open,
                     uint64_t now_ns, struct source **ret_source)
{
        int r;

        *ret_source = NULL;
        if (!is_allowed(admission, peer))
                return REFUSED_DENY;
        if (n_open >= admission->max_connections)
                return REFUSED_FULL;
        r = source_table_admit(admission->sources, peer, now_ns, ret_source);
        return r < 0 ? r : (int)VERDICTS[r];
}

bool admission_believes(const struct admission *admission, const struct address *peer)
{
        return peer->family == AF_UNIX || longest_match(admission->proxy_sources, peer) >= 0;
}

const char *admission_verdict_name(enum admission_verdict verdict)
{
        static const char *const names[N_ADMISSION_VERDICTS] = {
                [ADMITTED] = "admitted",
                [REFUSED_DENY] = "deny",
                [REFUSED_FULL] = "full",
                [REFUSED_SOURCE_LIMIT] = "source_limit",
                [REFUSED_SOURCE_RATE] = "source_rate",
                [REFUSED_PROXY_HEADER] = "proxy_header",
        };

        return names[verdict];
}
