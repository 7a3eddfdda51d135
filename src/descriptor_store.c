#include "descriptor_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "inherited.h"
#include "util.h"

#ifdef HAVE_SYSTEMD

#include <systemd/sd-daemon.h>

/* The kernel takes 253 in one message (SCM_MAX_FD, unix(7)). */
#define EACH_MESSAGE ((size_t)250)

#define SYNC_TIMEOUT_US 5000000

int descriptor_store_put(const char *name, const int *descriptors, size_t n)
{
        char message[64];
        int r = getenv("NOTIFY_SOCKET") ? 0 : -ENOTSUP;

        snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
        for (size_t i = 0; r >= 0 && i < n; i += EACH_MESSAGE)
                r = sd_pid_notify_with_fds(0, 0, message, descriptors + i,
                                           (unsigned)MIN(n - i, EACH_MESSAGE));
        return MIN(r, 0);
}

int descriptor_store_sync(void)
{
        int r = sd_notify_barrier(0, SYNC_TIMEOUT_US);

        return MIN(r, 0);
}

static void forget(const char *name)
{
        char message[64];

        snprintf(message, sizeof(message), "FDSTOREREMOVE=1\nFDNAME=%s", name);
        sd_notify(0, message);
}

void descriptor_store_clear(void)
{
        forget(INHERITED_STATE);
        forget(INHERITED_LISTENER);
        forget(INHERITED_CONNECTION);
}

#else

int descriptor_store_put(const char *name, const int *descriptors, size_t n)
{
        (void)name;
        (void)descriptors;
        (void)n;
        return -ENOTSUP;
}

int descriptor_store_sync(void)
{
        return -ENOTSUP;
}

void descriptor_store_clear(void)
{
}

#endif
