#pragma once

/*
 * Compares what comes back on a connection with what it sent, and tells what has happened to it.
 * Pure. What is wrong is known by where the bytes come from, which `pattern` can tell of any whole
 * word: so up to 16 bytes from the first wrong one on are collected before a fault is named.
 * Shorter fragments of another place count as corrupted bytes.
 */

#include <stddef.h>
#include <stdint.h>

#include "evidence.h"
#include "fault.h"
#include "pattern.h"

struct verifier;

struct verifier_events {
        /*
         * The bytes of the stream from `from` to below `to` have come back, for the first time.
         * Where streams part, bytes of both places can be the same by chance: both have come then.
         */
        void (*on_good)(struct verifier *verifier, uint64_t from, uint64_t to);
        void (*on_fault)(struct verifier *verifier, const struct fault *fault);
};

struct verifier {
        struct pattern *pattern;
        const struct verifier_events *events;
        uint32_t connection;
        uint32_t n_connections;          /* how many there are: others' bytes are theirs */
        uint64_t n_sent;                 /* bytes */
        struct pattern_place cursor;     /* where the next byte ought to come from */
        uint64_t high;                   /* all before has come back or been found lost, but for: */
        uint64_t gap_start, gap_end;     /* what was left out and may still come; equal: nothing */
        uint64_t fresh_start, fresh_end; /* what of the gap has not been told as good */
        uint64_t n_junk;                 /* bytes since the cursor that belong nowhere */
        uint8_t n_blurred;        /* of the last ones before `high`: they may have been others */
        uint8_t n_gap_blurred;    /* so much further back the gap may be */
        struct evidence evidence; /* bytes from the first wrong one on */
};

void verifier_init(struct verifier *verifier, struct pattern *pattern,
                   const struct verifier_events *events, uint32_t connection,
                   uint32_t n_connections);

/* Writes the bytes of the stream from `offset` on, which will be sent now. */
void verifier_fill(struct verifier *verifier, uint64_t offset, uint8_t *bytes, size_t length);

/* All bytes before that offset have come back or never will. */
uint64_t verifier_decided(const struct verifier *verifier);

/* Takes what has come back. */
void verifier_feed(struct verifier *verifier, const uint8_t *bytes, size_t length);

/* No more has come for some time: names what is wrong so far, from what evidence there is. */
void verifier_settle(struct verifier *verifier);

/* No more will come: the same, and what has not come back is lost. */
void verifier_finish(struct verifier *verifier);
