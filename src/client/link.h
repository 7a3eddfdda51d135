#pragma once

/*
 * One connection to the target, on the loop of one thread. It knows no pattern: what it sends it
 * asks for, and what comes it hands on. Nothing is allocated: what the socket does not take is
 * asked for once more.
 *
 *  link_open() ──▶ CONNECTING ──▶ OPEN ──▶ ENDED ──▶ on_closed()
 *                   │  ▲   │               ▲
 *                   └──┘   └───────────────┘
 *         next address, or     refused
 *         after a pause
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "target.h"

/* Of the read buffer, and how much of a stream is sent at once. */
#define LINK_READ_MAX  131072
#define LINK_WRITE_MAX 65536

/* Shared by the links of one thread. */
struct link_context {
        uv_loop_t *loop;
        const struct target *target;
        size_t first_address; /* the one that has answered before */
        uint64_t n_opened;    /* links so far, which decides where the next one comes from; sources
                                 without ports count as if all theirs were opened */
        uint8_t *buffer;      /* for reading, and for writing behind it */
};

struct link;

struct link_events {
        /* The connection is up. */
        void (*on_open)(struct link *link);
        /* Writes so many bytes of the link's stream from an offset on. They may be asked for twice.
         */
        void (*on_fill)(struct link *link, uint64_t offset, uint8_t *bytes, size_t length);
        void (*on_bytes)(struct link *link, const uint8_t *bytes, size_t length);
        /*
         * There is no connection, or no more: 0, the server has ended it; else a negative errno.
         * The link closes by itself.
         */
        void (*on_end)(struct link *link, int reason);
        /* The link's memory is its owner's again. */
        void (*on_closed)(struct link *link);
};

enum link_state { LINK_CONNECTING, LINK_OPEN, LINK_ENDED };

struct link {
        union {
                uv_handle_t handle;
                uv_poll_t poll;   /* of the socket */
                uv_timer_t pause; /* while there is none: a Unix socket's queue is full */
        };
        struct link_context *context;
        const struct link_events *events;
        uint64_t n_wanted, n_sent; /* bytes of the stream */
        int descriptor;            /* -1: none */
        int send_error;   /* negative errno; sending has found out first that there is an end */
        uint32_t address; /* index in the target's */
        uint32_t n_tried; /* addresses */
        uint8_t state;    /* enum link_state */
        uint8_t watched;  /* what the socket is polled for */
        bool is_in_event; /* sending waits for its end */
        bool is_ending;   /* half-close once all is sent */
        uint8_t n_pauses; /* so far, as long as they grow */
        bool is_retrying; /* when this one is closed: the next address, or the same after a pause */
};

/* `first_index`: the number of the first link among those of all threads. */
int link_context_init(struct link_context *context, uv_loop_t *loop, const struct target *target,
                      uint64_t first_index);
void link_context_free(struct link_context *context);

/*
 * Begins to connect. On failure there is no link, and no event will come. Where the queue of a Unix
 * socket is full it is tried again, without end, as the kernel does it for TCP: who does not want
 * to wait closes the link.
 */
int link_open(struct link *link, struct link_context *context, const struct link_events *events);

/* Sends so many further bytes of the stream, as soon as the socket takes them. */
void link_send(struct link *link, uint64_t length);

/* Drops what has been asked for and not been sent; then half-closes. */
void link_stop_sending(struct link *link);

/* Half-closes once everything has been sent. */
void link_half_close(struct link *link);

/* Closes; on_closed() follows and on_end() does not. Nothing happens if it has ended already. */
void link_close(struct link *link);

/* The address it is connected to, or tries to. */
const struct target_address *link_address(const struct link *link);

/* "127.0.0.1". Returns `text`. */
const char *link_format_address(const struct link *link, char text[static TARGET_TEXT_MAX]);
