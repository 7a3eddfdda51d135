#pragma once

/*
 * Admission: who may come in, how many, and how fast. Pure: it is told how many are in, and the
 * time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

struct source;
struct source_table;

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

/* A view of the configuration's lists and of the table, which must outlive it. */
struct admission {
        const struct prefix_list *allow;
        const struct prefix_list *deny;
        const struct prefix_list *proxy_sources;
        uint64_t max_connections; /* at least 1 */
        struct source_table *sources;
};

/*
 * Whether a peer may come in while `n_open` connections are open; an enum admission_verdict. What
 * is asked comes in the order of the verdicts, and the first refusal decides.
 *  - Of the networks in `allow` and `deny` that contain the peer the longest decides, and `deny`
 *    wins a tie; an empty `allow` allows everybody.
 *  - The limits of its source: see source_table.h. Who is refused, for whatever reason, counts
 *    for nothing there.
 * Neither concerns peers on Unix sockets. The peer need not be who is at the socket's other end: a
 * proxy may speak for it.
 *
 * If it is ADMITTED, *ret_source counts the connection, or is NULL; it is to be handed to the
 * connection, or to be released. -ENOMEM: nothing is decided, nothing counted.
 */
int admission_decide(const struct admission *admission, const struct address *peer, uint64_t n_open,
                     uint64_t now_ns, struct source **ret_source);

/*
 * Whether a peer is believed when it says for whom it connects: it is in `proxy_sources`, or on a
 * Unix socket, whose file's mode has let it in.
 */
bool admission_believes(const struct admission *admission, const struct address *peer);

/* "deny", "source_rate" and so on: the value of the label `reason` of
 * echod_connections_refused_total. */
const char *admission_verdict_name(enum admission_verdict verdict);
