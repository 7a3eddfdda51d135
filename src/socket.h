#pragma once

/*
 * What connections want of a stream socket beside reading and writing.
 */

#include <stdbool.h>

/* Closes it so that the peer sees a reset: RST; on a Unix socket, what unread data does. */
void socket_reset(int descriptor);

/* Takes the error that is pending on it, a positive errno; 0: there is none. */
int socket_error(int descriptor);

/* Whether there are bytes to read. */
bool socket_has_input(int descriptor);

/* Whether the kernel holds nothing: neither unread input nor output that the peer has not got. */
bool socket_is_settled(int descriptor);
