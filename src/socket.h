#pragma once

/*
 * What is wanted of a stream socket beside reading, writing and accepting.
 */

#include <stdbool.h>
#include <stdint.h>

/* setsockopt(2) with an int. Negative errno. */
int socket_set_option(int descriptor, int level, int option, int value);

/* Closes it so that the peer sees a reset: RST; on a Unix socket, what unread data does. */
void socket_reset(int descriptor);

/* Takes the error that is pending on it, a positive errno; 0: there is none. */
int socket_error(int descriptor);

/*
 * Whether bytes pass that its owner does not see: there is input to read, or the kernel holds
 * output, and not as much as when this was asked last; *n_unsent remembers that, and begins as 0.
 */
bool socket_is_moving(int descriptor, int *n_unsent);

/*
 * What identifies a socket for as long as anybody has it open, in whatever process (SO_COOKIE);
 * 0: it is none.
 */
uint64_t socket_cookie(int descriptor);

/* Whether the kernel holds nothing: neither unread input nor output that the peer has not got. */
bool socket_is_settled(int descriptor);

/*
 * Of an echo's connection nobody knows anything of: whether the peer has got back as much as it has
 * sent, by the kernel's own count. Nothing is under way then, nor has its owner got anything left.
 */
bool socket_is_even(int descriptor);

/* Whether accept4(2)'s error concerns one client, or passes by itself; accept(2) names them. */
bool socket_is_transient(int error);
