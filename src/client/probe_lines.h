#pragma once

/* What a probe prints while it goes on: a heading, and then, unless it is quiet, line by line. */

#include <stdbool.h>
#include <stdint.h>

#include "arguments.h"
#include "fault.h"
#include "target.h"

/* "ECHO localhost (127.0.0.1) port 7: 64 bytes of data." `address`: as text. */
void probe_line_heading(const struct arguments *arguments, const struct target *target,
                        const char *address);

/* All of a message, the index-th from 0 on, has come back after that time. */
void probe_line_answer(const struct arguments *arguments, const char *address, uint64_t index,
                       uint64_t time_ns, bool is_late);

/* The same, but when it was sent is forgotten: it stays lost. */
void probe_line_forgotten(const struct arguments *arguments, uint64_t index);

/* Its time is over, and only so many bytes of it have come back. */
void probe_line_missing(const struct arguments *arguments, uint64_t index, uint64_t n_good);

/* What is wrong behind the last message is part of none. */
void probe_line_fault(const struct arguments *arguments, const struct fault *fault);
