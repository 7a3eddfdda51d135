#include "pending.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* More than the kernel can hold: nobody has looked since something was written. */
#define UNSENT_UNKNOWN INT_MAX

struct pending {
        size_t offset; /* how many of the bytes have been written */
        size_t length;
        int n_unsent; /* what the kernel held at the last look: TCP: unacknowledged; Unix: unread */
        char bytes[];
};

struct pending *pending_new(const char *bytes, size_t length)
{
        struct pending *pending = malloc(sizeof(*pending) + length);

        if (!pending)
                return NULL;
        *pending = (struct pending){.length = length, .n_unsent = UNSENT_UNKNOWN};
        if (length > 0)
                memcpy(pending->bytes, bytes, length);
        return pending;
}

ssize_t pending_write(struct pending *pending, int descriptor)
{
        ssize_t n = write(descriptor, pending->bytes + pending->offset,
                          pending->length - pending->offset);

        if (n < 0)
                return -errno;
        pending->offset += (size_t)n;
        pending->n_unsent = UNSENT_UNKNOWN;
        return n;
}

bool pending_has_moved(struct pending *pending, int descriptor)
{
        int n_before = pending->n_unsent;

        if (ioctl(descriptor, SIOCOUTQ, &pending->n_unsent) < 0)
                return false;
        return pending->n_unsent < n_before;
}

bool pending_is_delivered(const struct pending *pending)
{
        return pending->n_unsent == 0;
}

const char *pending_bytes(const struct pending *pending, size_t *ret_length)
{
        *ret_length = pending->length - pending->offset;
        return pending->bytes + pending->offset;
}

int pending_unsent(const struct pending *pending)
{
        return pending->n_unsent;
}

void pending_set_unsent(struct pending *pending, int n_unsent)
{
        pending->n_unsent = n_unsent;
}

void pending_free(struct pending *pending)
{
        free(pending);
}
