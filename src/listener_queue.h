#pragma once

/*
 * What the kernel holds for a listening socket.
 */

#include <stdbool.h>
#include <stdint.h>

struct listener_queue {
        uint64_t length;  /* clients that wait to be accepted */
        uint64_t limit;   /* how many may: the backlog, as far as the kernel allows it */
        uint64_t n_drops; /* attempts to connect that were dropped, most since the queue was full */
};

/*
 * Looks at the queue, tcp(7): TCP_INFO, whose `unacked` and `sacked` mean that for a listening
 * socket, and SO_MEMINFO. False: the socket does not tell, as a Unix one, or it does not listen.
 */
bool listener_queue_look(int descriptor, struct listener_queue *ret_queue);
