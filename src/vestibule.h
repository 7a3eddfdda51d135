#pragma once

/*
 * Where the clients of a listener with proxy_protocol wait until their proxy has said who they are:
 * accepted, but nobody can decide about them yet. Exactly the header is taken off the socket, so
 * that what follows it, in the same segment perhaps, is read by whoever gets the socket next.
 * Belongs to the main loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "address.h"
#include "list.h"
#include "proxy_header.h"
#include "timers.h"

/* The header must be whole so long after accept(2). The specification asks for at least 3 s, since
 * a segment may be lost. */
#define VESTIBULE_PATIENCE_MS 5000

/* Why a guest left without a whole header. */
enum vestibule_end {
        VESTIBULE_MALFORMED,
        VESTIBULE_TOO_LONG,
        VESTIBULE_LATE,
        VESTIBULE_CUT_OFF, /* the stream ended, or failed, in the middle of it */
        VESTIBULE_PROBE,   /* or before it, as it does when a load balancer just looks */
        VESTIBULE_SHORT,   /* echod lacks memory */
        N_VESTIBULE_ENDS,
};

/* One who waits. */
struct guest {
        int descriptor;      /* non-blocking */
        struct address peer; /* the socket's own: the proxy */
        const char *listener;
        uint64_t waited_ms; /* since accept(2) */
        size_t n_bytes;     /* of the header, taken off the socket so far */
        uint8_t *bytes;     /* malloc(3); NULL while there are none */
};

/* In both the descriptor is the callee's. The guest is no longer counted. */
struct vestibule_events {
        /* `client`: whom the header names, or else the peer. */
        void (*on_announced)(void *user, int descriptor, const struct address *client,
                             const char *listener);
        void (*on_ended)(void *user, int descriptor, const struct address *peer,
                         const char *listener, enum vestibule_end end);
};

struct vestibule {
        uv_loop_t *loop;
        struct timers timers;
        struct list seats;
        size_t n_guests;
        const struct vestibule_events *events;
        void *user;
        uint8_t buffer[PROXY_HEADER_MAX]; /* every read goes into it */
};

/* `events` and `user` must outlive it. An error of uv_timer_init(). */
int vestibule_init(struct vestibule *vestibule, uv_loop_t *loop,
                   const struct vestibule_events *events, void *user);

/*
 * Lets a guest in; if his header is there already, or never will be, the event comes at once.
 * `listener` must outlive him. On failure (-ENOMEM, or what uv_poll_init() says) the descriptor is
 * still the caller's; his bytes are taken over in any case.
 */
int vestibule_enter(struct vestibule *vestibule, const struct guest *guest);

/*
 * Takes out the one who came first, as he is, for vestibule_enter() elsewhere: descriptor and bytes
 * are the caller's. False: nobody waits.
 */
bool vestibule_take(struct vestibule *vestibule, struct guest *ret_guest);

/* Resets everybody, without a word. */
void vestibule_clear(struct vestibule *vestibule);

/* The same, and closes the timer. */
void vestibule_close(struct vestibule *vestibule);

/* "malformed", "late" and so on, for the log. */
const char *vestibule_end_name(enum vestibule_end end);
