#pragma once

/*
 * What one echod leaves to the next, as bytes: the connections, and the newcomers, which have not
 * said yet whom they stand for. The sockets themselves go another way and in any order; each is
 * known by its cookie (SO_COOKIE, socket(7)), which nothing but its end changes. Listening sockets
 * need nothing more: what they are bound to tells everything.
 *
 * The bytes are a header, the records, and a checksum over both:
 *
 *    magic 8 | version 4 | records 4 | length 8 | written_ms 8 | record ... | checksum 8
 *
 * Numbers are little endian. Times are ages in ms when the state was written, by the monotonic
 * clock, which both processes share; so the time in between counts. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "echo.h"

/* To be raised with every change of what is below; no version reads another one's state. */
#define HANDOVER_VERSION 1

/* Of a listener's name, without the NUL. */
#define HANDOVER_TEXT_MAX 255

/* Times here are ms of CLOCK_MONOTONIC. Texts and bytes are the giver's; read: the state's own. */

struct handover_connection {
        uint64_t cookie;
        struct address peer;
        const char *listener; /* the name of the listener that it came in by */
        struct echo echo;     /* not CLOSING */
        uint64_t opened_ms, active_ms;
        int32_t n_unsent;         /* what the kernel held of the output when last looked: idle, */
        int32_t n_unsent_pending; /* and with output pending, or lingering */
        const char *pending;      /* echo.pending bytes */
};

struct handover_newcomer {
        uint64_t cookie;
        struct address peer; /* the proxy */
        const char *listener;
        uint64_t accepted_ms;
        const char *bytes; /* what has come of the header */
        uint32_t n_bytes;  /* less than PROXY_HEADER_MAX */
};

enum handover_kind {
        HANDOVER_END, /* there are no more */
        HANDOVER_CONNECTION,
        HANDOVER_NEWCOMER,
};

struct handover_record {
        enum handover_kind kind;
        union {
                struct handover_connection connection;
                struct handover_newcomer newcomer;
        };
};

/* Writing: begin, add, end. Owned by the caller, who frees it. */
struct handover_writer {
        uint8_t *bytes;
        size_t length, capacity;
        uint64_t now_ms;
        uint32_t n_records;
        bool has_failed; /* for lack of memory */
};

void handover_state_begin(struct handover_writer *writer, uint64_t now_ms);

void handover_state_add(struct handover_writer *writer, const struct handover_record *record);

/* `bytes` and `length` are the state then. -ENOMEM, also of what came before. */
int handover_state_end(struct handover_writer *writer);

void handover_state_free(struct handover_writer *writer);

/* Reading. What it says of the bytes as a whole: */
enum handover_verdict {
        HANDOVER_GOOD,
        HANDOVER_FOREIGN, /* not a state of echod's */
        HANDOVER_UNKNOWN, /* of another version */
        HANDOVER_CUT,     /* shorter, or longer, than it says itself */
        HANDOVER_DAMAGED, /* the checksum is wrong */
        HANDOVER_ABSURD,  /* a record that nobody can have written */
        N_HANDOVER_VERDICTS,
};

struct handover_reader {
        const uint8_t *at, *end; /* the records that are still to be read */
        uint32_t n_left;
        uint64_t written_ms;
        bool is_absurd;
};

/* Looks at all of it, every record included. The bytes must outlive the reader and its records. */
enum handover_verdict handover_state_open(struct handover_reader *reader, const void *bytes,
                                          size_t length);

/* The next record, in the order in which they were added. */
void handover_state_next(struct handover_reader *reader, struct handover_record *ret_record);

/* "is damaged" and so on. */
const char *handover_verdict_text(enum handover_verdict verdict);
