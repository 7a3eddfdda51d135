#pragma once

/*
 * Admission: who may come in, and how many. Pure: it is told how many are in.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

/* The outcomes of admission_decide(); the order of the metrics and of the statistics. */
enum admission_verdict {
        ADMITTED,
        REFUSED_DENY,
        REFUSED_FULL,
        REFUSED_SOURCE_LIMIT,
        REFUSED_SOURCE_RATE,
        REFUSED_PROXY_HEADER, /* decided elsewhere: it never came to a client */
        N_ADMISSION_VERDICTS,
};

struct prefix_list {
        struct prefix *prefixes;
        size_t n_prefixes;
};

/* A view of the configuration's lists, which must outlive it. */
struct admission {
        const struct prefix_list *allow;
        const struct prefix_list *deny;
        const struct prefix_list *proxy_sources;
        uint64_t max_connections; /* at least 1 */
};

/*
 * Whether a peer may come in while `n_open` connections are open. Of the networks in `allow` and
 * `deny` that contain the peer the longest decides, and `deny` wins a tie; an empty `allow` allows
 * everybody. The lists do not concern peers on Unix sockets.
 */
enum admission_verdict admission_decide(const struct admission *admission,
                                        const struct address *peer, uint64_t n_open);

/*
 * Whether a peer is believed when it says for whom it connects: it is in `proxy_sources`, or on a
 * Unix socket, whose file's mode has let it in.
 */
bool admission_believes(const struct admission *admission, const struct address *peer);

/* "deny", "full" and so on: the value of the label `reason` of echod_connections_refused_total. */
const char *admission_verdict_name(enum admission_verdict verdict);
