#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "parcel.h"
#include "stage.h"

static unsigned n_unpacked;

static void on_unpacked(void *user, int descriptor)
{
        (void)user;
        n_unpacked++;
        close(descriptor);
}

Test(parcel, gives_back_all_that_was_put_in)
{
        struct parcels parcels;
        int *copies = calloc(900, sizeof(*copies)), pair[2];
        unsigned n_before = count_descriptors();

        unix_pair(pair);
        for (int i = 0; i < 900; i++)
                copies[i] = pair[0];
        cr_assert_eq(parcels_pack(&parcels, copies, 900), 0);
        cr_assert_eq(parcels.n_parcels, 1);
        cr_assert_not(parcel_unpack(pair[0], on_unpacked, NULL), "a stream is no parcel");
        cr_assert(parcel_unpack(parcels.descriptors[0], on_unpacked, NULL));
        cr_assert_eq(n_unpacked, 900);
        free(parcels.descriptors);
        free(copies);
        close(pair[0]);
        close(pair[1]);
        cr_assert_eq(count_descriptors(), n_before);
        expect_no_leaks();
}

Test(parcel, without_descriptors_there_is_none)
{
        struct parcels parcels;

        cr_assert_eq(parcels_pack(&parcels, NULL, 0), 0);
        cr_assert_eq(parcels.n_parcels, 0);
        parcels_close(&parcels);
}
