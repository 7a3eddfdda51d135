#pragma once

/*
 * A vestibule in a loop that the test turns itself, and the proxies at its door.
 */

#include <stddef.h>
#include <uv.h>

#include "vestibule.h"

/* A header, and how long it is. */
#define LINE      "PROXY TCP4 192.0.2.1 192.0.2.7 51000 7\r\n"
#define LENGTH(x) (sizeof(x) - 1)

/* What the vestibule said last, beside itself. */
struct hall {
        uv_loop_t loop;
        struct vestibule vestibule;
        unsigned n_announced, n_ended[N_VESTIBULE_ENDS];
        int descriptor; /* the announced one's, which the test closes */
        struct address client;
        const char *listener;
        unsigned n_descriptors;
};

/* Where all guests come in; this very pointer. */
extern const char *const HALL_LISTENER;

void hall_open(struct hall *hall);

/* Expects that there is no guest any more, and that nothing is left. */
void hall_close(struct hall *hall);

/* Lets the loop do what there is to do now. */
void hall_turn(struct hall *hall);

/* What an accepted socket is to the vestibule. */
struct guest hall_guest(int descriptor);

/* The proxy's end of a socket whose other end has entered after so many bytes have come. */
int hall_enter_after(struct hall *hall, const char *bytes, size_t length);

/* The same without any. */
int hall_enter(struct hall *hall);

/* Turns until so many bytes of the only guest's header are there: a TCP client's bytes arrive a
 * moment after they were sent. */
void hall_await_kept(struct hall *hall, size_t n);
