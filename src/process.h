#pragma once

/*
 * What the kernel says of this process: what Prometheus' own client libraries tell of one.
 */

#include <stdint.h>

/* What could not be found out is NAN. Starts zeroed; process_look() fills it in. */
struct process {
        double cpu_seconds; /* user and system, of all threads */
        double open_fds, max_fds;
        double resident_bytes, virtual_bytes;
        double start_time_seconds; /* since the epoch */
        uint64_t counted_until_ns; /* so long open_fds is good enough */
};

/*
 * Looks again. Counting the open descriptors takes a time that grows with their number; where the
 * kernel does not tell it otherwise (before 6.2), it is not done again for a thousand times as long
 * as it has taken.
 */
void process_look(struct process *process);
