#include "fates.h"

#include <inttypes.h>
#include <stdio.h>
#include <uv.h>

#include "alarm.h"

/* Connections that are told one by one. */
#define TOLD_MAX 10

static const char *const NAMES[N_FATES] = {
        [FATE_GOOD] = "good",         [FATE_NOT_OPENED] = "not opened",
        [FATE_RESET] = "reset",       [FATE_ENDED] = "ended by the server",
        [FATE_TIMEOUT] = "no answer", [FATE_WRONG] = "wrong bytes",
};

static void tell(struct fates *fates, uint32_t number, const char *what)
{
        fates->n_told++;
        if (fates->n_told <= TOLD_MAX)
                printf("connection %" PRIu32 ": %s after %.3f s\n", number, what,
                       ns_to_seconds(uv_hrtime() - fates->began_ns));
        else if (fates->n_told == TOLD_MAX + 1)
                printf("further ones are only counted\n");
}

void fates_meet(struct fates *fates, enum fate *fate, uint32_t number, enum fate met,
                const char *what)
{
        if (*fate != FATE_GOOD)
                return;
        *fate = met;
        fates->counts[met]++;
        if (what)
                tell(fates, number, what);
}

uint64_t fates_good(const struct fates *fates, uint64_t n_opened)
{
        for (size_t fate = FATE_NOT_OPENED + 1; fate < N_FATES; fate++)
                n_opened -= fates->counts[fate];
        return n_opened;
}

void fates_print(const struct fates *fates)
{
        const char *separator = ": ";

        for (size_t fate = FATE_NOT_OPENED; fate < N_FATES; fate++)
                if (fates->counts[fate] > 0) {
                        printf("%s%" PRIu64 " %s", separator, fates->counts[fate], NAMES[fate]);
                        separator = ", ";
                }
}
