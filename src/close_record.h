#pragma once

/*
 * The log's record of a closed connection.
 */

#include <stdint.h>

#include "address.h"
#include "echo.h"

struct tcp_path;

struct close_record {
        const struct address *peer;
        const char *listener;
        const struct echo *echo; /* CLOSING */
        uint64_t duration_ms;
        const struct tcp_path *path; /* NULL: it was no TCP connection */
};

/* Writes the line of the contract; the path's figures only for TCP. */
void close_record_log(const struct close_record *record);
