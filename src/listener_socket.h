#pragma once

/*
 * The socket of a listener: made and bound, and given the options that its connections inherit.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "address.h"

#define LISTENER_PATH_MAX 108 /* of sun_path, unix(7), with its NUL */

/* What to listen on, and what its connections inherit. */
struct listener_options {
        struct address address; /* AF_UNIX: `path` is the address */
        bool is_dual_stack;     /* of ::, for IPv4, too; only an inherited socket can be that */
        char path[LISTENER_PATH_MAX];
        int backlog;
        mode_t mode; /* of a Unix socket */
        bool tcp_nodelay;
        int keepalive_idle_s; /* 0: off */
        int keepalive_interval_s;
        int keepalive_count;
        bool proxy_protocol; /* the listener's owner expects a PROXY header first */
};

/*
 * Makes a socket, non-blocking and close-on-exec, and binds it; it does not listen yet. Negative
 * errno of socket(2), setsockopt(2), bind(2), chmod(2). A Unix socket's file that nobody listens on
 * is replaced. `is_shared`: an overlapping address is still bound by a listener that shares it.
 */
int listener_socket_open(const struct listener_options *options, bool is_shared,
                         int *ret_descriptor);

/*
 * Makes an inherited socket that is bound to this address what listener_socket_open() would have
 * made. `is_own`: echod has bound it, so the mode of a Unix socket's file is echod's to set.
 * Negative errno of fcntl(2), setsockopt(2), chmod(2).
 */
int listener_socket_adopt(int descriptor, const struct listener_options *options, bool is_own);

/* Removes a socket's file that nobody listens on, as a daemon that was killed leaves it. */
void listener_socket_remove_stale(const char *path);

/* Sets what accepted sockets inherit. Negative errno of setsockopt(2). */
int listener_socket_set_options(int descriptor, const struct listener_options *options);
