#pragma once

/*
 * Bytes that were not expected on a connection, and where they may come from. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pattern.h"

/* Enough to have a whole word in it, wherever it begins. */
#define EVIDENCE_MAX (2 * PATTERN_WORD)

struct evidence {
        uint8_t n;
        uint8_t bytes[EVIDENCE_MAX];
};

/* What has been sent, and by whom. */
struct suspects {
        const struct pattern *pattern;
        uint32_t connection;    /* our own */
        uint32_t n_connections; /* how many there are */
        uint64_t n_sent;        /* bytes, on our own */
};

/*
 * Looks for a word in the evidence. `ret_place`: where the bytes that lead up to it come from;
 * returns the index of the first of these, or -1.
 */
int evidence_find_word(const struct evidence *evidence, const struct suspects *suspects,
                       struct pattern_place *ret_place);

/*
 * Where evidence that is too short to be inverted may come from: the very end of what was sent, the
 * expected place, `next`, but for its first bytes, or somewhere near. True: `*ret_offset` and
 * `*ret_index`.
 */
bool evidence_find_fragment(const struct evidence *evidence, const struct suspects *suspects,
                            uint64_t next, uint64_t *ret_offset, size_t *ret_index);
