#pragma once

/*
 * The echo: what a connection does next. Pure: no libuv, no I/O, no clock. The caller reads,
 * writes at once what it read, tells what came of it, and does as the action returned says.
 *
 *            short write                max_lifetime
 *    OPEN ───────────────▶ PAUSED ──────────────────▶ FLUSHING
 *     │ │ ◀─────────────── │                           │ │ flushed
 *     │ │     flushed      │                           │ ▼
 *     │ └──────────────────┼─── max_lifetime ────▶ LINGERING
 *     ▼                    ▼                           ▼ │ delivered
 *  CLOSING ◀──────────── stuck, failed ──────────────────┘
 *
 * It reads in OPEN only, and only once everything before has been written; so it never holds more
 * than one read's worth of bytes, and the end of input is always found with nothing pending.
 *
 * A close with unread input makes the kernel reset the connection and drop what it has not
 * delivered yet. The end of a lifetime can come in the middle of a stream; hence LINGERING.
 */

#include <stddef.h>
#include <stdint.h>

enum echo_state {
        ECHO_OPEN,      /* nothing is pending; reads */
        ECHO_PAUSED,    /* the socket did not take everything; writes, does not read */
        ECHO_FLUSHING,  /* the same, and ends after it */
        ECHO_LINGERING, /* has said that it ends; drops input until the kernel has delivered all */
        ECHO_CLOSING,   /* nothing more happens */
        N_ECHO_STATES,
};

/* Why a connection was closed; the order of the metrics and of the statistics. */
enum echo_reason {
        ECHO_EOF,
        ECHO_RESET,
        ECHO_IDLE_TIMEOUT,
        ECHO_WRITE_TIMEOUT,
        ECHO_MAX_LIFETIME,
        ECHO_DRAIN,
        ECHO_ERROR,
        N_ECHO_REASONS,
};

enum echo_action {
        ECHO_READ,   /* wait until it is readable */
        ECHO_WRITE,  /* wait until it is writable, then write what is pending */
        ECHO_LINGER, /* end the output; drop what comes in; tell of delivery, echo_delivered() */
        ECHO_CLOSE,  /* close; everything received has been sent */
        ECHO_ABORT,  /* reset, so that the peer cannot mistake it for the end */
};

/* 16 bytes. Owned by its connection. */
struct echo {
        uint64_t received; /* bytes; what was sent is this less what is pending */
        uint32_t pending;  /* bytes received and not yet sent */
        uint8_t state;     /* enum echo_state */
        uint8_t reason;    /* enum echo_reason, set with FLUSHING, LINGERING and CLOSING */
};

/* A fresh connection, OPEN. The first action is ECHO_READ. */
void echo_init(struct echo *echo);

/* In OPEN: `n_read` bytes (1 to 2^32-1) were read, and the first `n_written` of them written. */
enum echo_action echo_received(struct echo *echo, size_t n_read, size_t n_written);

/* In PAUSED or FLUSHING: the next `n_written` of the pending bytes were written. */
enum echo_action echo_flushed(struct echo *echo, size_t n_written);

/* In LINGERING: the peer's kernel has everything. */
enum echo_action echo_delivered(struct echo *echo);

/* The connection is to end, for this reason. In CLOSING it may not come. */
enum echo_action echo_end(struct echo *echo, enum echo_reason reason);

/* Bytes sent back so far. */
static inline uint64_t echo_sent(const struct echo *echo)
{
        return echo->received - echo->pending;
}

/* "eof", "reset" and so on: a word of the log's and the metrics' contract. */
const char *echo_reason_name(enum echo_reason reason);
