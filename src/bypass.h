#pragma once

/*
 * The way of a stream past user space: splice(2) out of its socket into a pipe, and out of the pipe
 * back into the socket. Copying is most of what a stream costs, and this does without.
 *
 * One pipe serves all connections of a worker by turns, since it is empty between two turns: what a
 * socket does not take is read out of it, and a pipe that does not give back all that went in is
 * closed with what it holds. So no byte of one connection can reach another.
 */

#include <stddef.h>

/*
 * So many bytes in a turn show a stream, and its next BYPASS_TURNS turns may go this way, though
 * they may move less. Each spliced segment keeps its whole page until the peer has acknowledged it,
 * and of that the limits on a socket's memory count its bytes only. So many bytes in two turns, of
 * as many segments as the pipe has room for, are 256 in each on average, of a page of 4,096.
 */
#define BYPASS_WORTHWHILE 16384
#define BYPASS_TURNS      2

/* At most so many bytes go this way in a turn: more gains nothing, and others wait for it. */
#define BYPASS_MAX 65536

/* A pipe, made when it is first needed. Belongs to one thread. */
struct bypass {
        int out_of, into; /* its ends; -1: there is none */
};

#define BYPASS_NULL ((struct bypass){.out_of = -1, .into = -1})

/* An outcome: nothing was moved. Whether there is input, or its end, read(2) tells. */
#define BYPASS_NOTHING 1

/*
 * Moves at most `size` bytes of input of a non-blocking stream socket back into it. What the socket
 * did not take lies at the beginning of `buffer` then, which has room for `size` bytes.
 *
 * *ret_n_in bytes came in, and *ret_n_out of them went out; these are always set.
 * 0: at least one came in.
 * BYPASS_NOTHING: there is no input, or its end has come, or an urgent byte is next (splice(2) goes
 * no further, and tells none of these from another), or there is no pipe to be had, or the socket
 * cannot be spliced.
 * Negative errno of splice(2) or read(2): the connection has failed, and lost what did not go out.
 */
int bypass_echo(struct bypass *bypass, int descriptor, char *buffer, size_t size, size_t *ret_n_in,
                size_t *ret_n_out);

/* Closes the pipe, if there is one; whoever needs one again makes another. */
void bypass_close(struct bypass *bypass);
