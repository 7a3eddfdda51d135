#pragma once

/*
 * The listening socket of the metrics.
 */

#include "address.h"

struct inherited;

/* Where it metrics are told. */
struct metrics_options {
        const char *address;         /* a literal address, or "*" for both families */
        uint16_t port;               /* 0: any free one */
        struct inherited *inherited; /* may have a socket for it; NULL: nothing was */
};

/*
 * Takes the inherited socket of that address, or binds one and listens; non-blocking,
 * close-on-exec. Negative errno of socket(2), bind(2) or listen(2), or inherited_take()'s but
 * -ENOENT. `name` becomes the address with the real port, or on failure the one asked for.
 */
int metrics_socket_open(const struct metrics_options *options, int *ret_descriptor,
                        char name[static ADDRESS_TEXT_MAX]);
