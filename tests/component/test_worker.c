#include <criterion/criterion.h>

#include "worker.h"

static void ignore(void *user)
{
        (void)user;
}

Test(worker, starts_and_ends)
{
        const struct worker_options options = {.read_buffer = 4096, .on_released = ignore};
        struct worker *worker = NULL;

        cr_assert_eq(worker_start(&worker, &options), 0);
        cr_assert_eq(worker_load(worker), 0);
        worker_join(worker);
}
