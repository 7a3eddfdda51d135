#pragma once

/* Where the client connects to, and from. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Loopback addresses to connect from. Then it begins anew: by that time the kernel has forgotten
 * the first connections. */
#define TARGET_SOURCES 250

/* Room for "fe80::1%interface" or the path of a Unix socket; and for a name of DNS with a port. */
#define TARGET_TEXT_MAX 128
#define TARGET_NAME_MAX 280

struct target_address {
        struct sockaddr_storage sockaddr;
        socklen_t length;
};

struct target {
        const char *host; /* as given */
        uint16_t port;
        char name[TARGET_NAME_MAX];       /* "HOST port PORT", or the path */
        struct target_address *addresses; /* in the order to try them */
        size_t n_addresses;
        uint64_t n_each_source; /* connections from one loopback address; fewer than its ports */
};

/*
 * Finds the addresses of a name, a literal address, or a path (with a slash in it), which is a Unix
 * socket. `family`: AF_INET, AF_INET6 or AF_UNSPEC for both. Blocks. Keeps `host`. Fails as
 * uv_getaddrinfo() does, or with -ENAMETOOLONG; -ENOMEM. target_free() frees what it has found.
 */
int target_resolve(struct target *ret_target, const char *host, uint16_t port, int family);

/* Also if it has failed. */
void target_free(struct target *target);

bool target_is_path(const struct target *target);

/* "127.0.0.1", "fe80::1%eth0" or a path. Returns `text`. */
const char *target_format(const struct target_address *address, char text[static TARGET_TEXT_MAX]);

/* Whether there is more than one address to connect from: the target is one in 127.0.0.0/8. */
bool target_has_sources(const struct target_address *address);

/*
 * The address to bind the socket of the n-th connection to, so that ports do not run out: one
 * loopback address after the other if the target is one in 127.0.0.0/8. False: leave it to the
 * kernel.
 */
bool target_source(const struct target *target, const struct target_address *address, uint64_t n,
                   struct sockaddr_in *ret_source);
