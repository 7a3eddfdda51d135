#pragma once

/* What becomes of connections that are held: told one by one as long as they are few, and counted.
 */

#include <stdint.h>

enum fate { FATE_GOOD, FATE_NOT_OPENED, FATE_RESET, FATE_ENDED, FATE_TIMEOUT, FATE_WRONG, N_FATES };

struct fates {
        uint64_t counts[N_FATES]; /* of all but the good */
        uint64_t n_told;
        uint64_t began_ns; /* uv_hrtime() that times are told from */
};

/*
 * The first thing that goes wrong with a connection is its fate; later ones are ignored. `what`
 * says it in words; NULL: it is not told.
 */
void fates_meet(struct fates *fates, enum fate *fate, uint32_t number, enum fate met,
                const char *what);

/* How many of the `n_opened` connections are good. */
uint64_t fates_good(const struct fates *fates, uint64_t n_opened);

/* Prints how many have met which, ": 1 reset, 2 no answer"; nothing if none has met any. */
void fates_print(const struct fates *fates);
