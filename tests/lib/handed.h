#pragma once

/*
 * An echod that is handed descriptors as systemd does it, sd_listen_fds(3). What goes wrong in here
 * fails the running Criterion test with a message.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon.h"

/*
 * Starts echod with copies of these `n` descriptors from 3 on, blocking, and with LISTEN_FDNAMES =
 * `names` (NULL: unset), as daemon_spawn() does.
 */
struct daemon *handed_spawn(size_t n, const int descriptors[], const char *names,
                            const char *const arguments[]);

/* HANDED(1, &socket, "name", "-c", path) */
#define HANDED(n, descriptors, names, ...) \
        handed_spawn(n, descriptors, names, (const char *const[]){__VA_ARGS__, NULL})

/* A socket of this type that is bound to the literal address, `*port` 0 being any, which is then
 * filled in. SOCK_STREAM listens. `is_v6_only` is for IPv6. */
int handed_socket(int type, const char *address, bool is_v6_only, uint16_t *port);

/* The same of the Unix kind, SOCK_STREAM. */
int handed_unix_socket(const char *path);
