#pragma once

/*
 * Many descriptors in few: a parcel is a socket in whose queue others lie (SCM_RIGHTS, unix(7)).
 * The kernel keeps them open for as long as anybody has the parcel.
 *
 * systemd compares each descriptor that it stores with all that it has: a few thousand take it
 * seconds, in which it does nothing else; and it gives them all names in one environment variable,
 * which has room for 60,000. Parcels spare it both.
 */

#include <stdbool.h>
#include <stddef.h>

/* What is not a parcel yet, or no longer. */
struct parcels {
        int *descriptors; /* the parcels */
        size_t n_parcels;
};

#define PARCELS_NULL ((struct parcels){0})

/*
 * Packs copies of `n` descriptors. Negative errno of socketpair(2), sendmsg(2): -EMFILE,
 * -ETOOMANYREFS; -ENOMEM; then there is no parcel. To be freed with parcels_close().
 */
int parcels_pack(struct parcels *ret_parcels, const int descriptors[], size_t n);

void parcels_close(struct parcels *parcels);

/*
 * Whether a descriptor is a parcel. If so, calls `on_descriptor` for each that was in it, which is
 * the callee's from then on, and closes it. What this process may not have open is lost.
 */
bool parcel_unpack(int descriptor, void (*on_descriptor)(void *user, int descriptor), void *user);
