#pragma once

/*
 * A connection's path through the network, as the kernel's TCP has seen it: tcp(7), TCP_INFO.
 */

#include <stdbool.h>
#include <stdint.h>

/* Microseconds; what an old kernel does not tell is 0. */
struct tcp_path {
        uint32_t rtt_us;            /* smoothed */
        uint32_t rttvar_us;         /* its mean deviation */
        uint32_t n_retransmits;     /* segments sent more than once */
        uint32_t mss;               /* bytes of a segment that is sent */
        uint64_t busy_us;           /* in which there was something to send */
        uint64_t rwnd_limited_us;   /* of those, held up by the peer's receive window */
        uint64_t sndbuf_limited_us; /* of those, held up by the send buffer here */
};

/* False: it is no TCP socket. */
bool tcp_path_look(int descriptor, struct tcp_path *ret_path);
