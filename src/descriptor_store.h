#pragma once

/*
 * systemd's descriptor store: descriptors that it keeps for the next echod over a restart of the
 * service, sd_pid_notify_with_fds(3). What it has no room for it closes without a word, so the
 * caller must know how much there is (FileDescriptorStoreMax=, systemd.service(5)).
 */

#include <stddef.h>

/*
 * Gives it copies of `n` descriptors under a name of inherited.h's. Negative errno of sendmsg(2);
 * -ENOTSUP: there is no systemd, or echod was built without it.
 */
int descriptor_store_put(const char *name, const int *descriptors, size_t n);

/* Waits, five seconds at most, until it has taken all that was put. -ETIMEDOUT. */
int descriptor_store_sync(void);

/*
 * Has it forget all that echod puts there. It keeps copies: otherwise a connection that is closed
 * stays open for its peer.
 */
void descriptor_store_clear(void);
