#pragma once

/*
 * A restart while connections are open, as handover.h describes it: whether it can be, and when.
 */

#include <stdbool.h>
#include <uv.h>

#include "handover.h"
#include "successor.h"

struct restart {
        uv_loop_t *loop;
        struct handover handover;
        struct successor successor;
        bool is_possible; /* until restart_cancel() */
        int n_places;     /* in systemd's store, as was said last */
};

/* `argv`: main()'s. What `handover` names, and `argv`, must outlive it. */
void restart_init(struct restart *restart, uv_loop_t *loop, const struct handover *handover,
                  char *const argv[]);

/*
 * Has the successor check the configuration, and if it is valid gives way to it, in this process.
 * Whatever goes wrong is logged, and nothing has changed.
 */
void restart_in_place(struct restart *restart);

/*
 * Leaves everything to systemd, which has room for so many descriptors; negative: for as many as
 * was said last, or as there is in echod's own units. True: done, the process is to end. Whatever
 * goes wrong is logged, and nothing has changed.
 */
bool restart_by_systemd(struct restart *restart, int n_places);

/* There is to be no restart any more: one that is being prepared is given up. */
void restart_cancel(struct restart *restart);
