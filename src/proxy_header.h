#pragma once

/*
 * The header of the PROXY protocol, versions 1 (a line of text) and 2 (binary), in which a proxy
 * says for whom it connects. Source: HAProxy's doc/proxy-protocol.txt, whose sections are named in
 * proxy_header.c. Pure: it is given the bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

/* A line with its CRLF, section 2.1. */
#define PROXY_HEADER_V1_MAX 107

/*
 * Of version 2, which could announce 65,551 bytes. It is to fit into one segment (section 2.2); the
 * longest that is known to be sent has a client's certificate in it, some 2 KiB.
 */
#define PROXY_HEADER_MAX 4096

enum proxy_header_outcome {
        PROXY_HEADER_COMPLETE,
        PROXY_HEADER_INCOMPLETE, /* what is there may be the beginning of one */
        PROXY_HEADER_MALFORMED,  /* no byte that follows could make it one */
        PROXY_HEADER_TOO_LONG,
};

struct proxy_header {
        size_t length;         /* in bytes; what follows is the client's */
        bool has_source;       /* false: the socket's own address counts (UNKNOWN, LOCAL) */
        struct address source; /* the client; AF_UNIX: it has no further name */
};

/*
 * Reads a header at the beginning of `length` bytes; what stands behind it is not looked at. Fills
 * *ret_header if it is complete. PROXY_HEADER_INCOMPLETE comes only for less than PROXY_HEADER_MAX
 * bytes.
 */
enum proxy_header_outcome proxy_header_parse(struct proxy_header *ret_header, const uint8_t *bytes,
                                             size_t length);
