#pragma once

/*
 * How descriptors come through an execve(2) into the next echod. They are not renumbered, so that
 * nothing has changed if it fails; the variable ECHOD_HANDOVER says which they are:
 *
 *    HIGHEST[:NUMBER:NAME]...
 *
 * Of all descriptors from 3 to the highest those are meant that have a name there, and besides
 * them all sockets that are not close-on-exec, as everything else of echod's is.
 */

#include "inherited.h"

struct passage {
        int highest;
        char *names; /* the variable's second part, or NULL */
};

#define PASSAGE_NULL ((struct passage){0})

/*
 * Has a descriptor stay open. `name`: one of inherited.h's or a socket unit's; NULL: it is a
 * connection, or a listening socket of echod's own. -ENOMEM, or negative errno of fcntl(2).
 */
int passage_keep(struct passage *passage, int descriptor, const char *name);

/* Tells the next echod. -ENOMEM. */
int passage_announce(const struct passage *passage);

/* After an execve(2) that has failed: has none stay open any more, and tells nothing. */
void passage_undo(struct passage *passage);

/*
 * What an earlier echod has left in this process, if anything: added to `inherited`, close-on-exec.
 * -EINVAL: the variable makes no sense; -EBADF: such a descriptor is not open; -ENOMEM: not all
 * could be added, and the rest is closed.
 */
int passage_receive(struct inherited *inherited);
