#pragma once

/*
 * What of sd-daemon(3) concerns descriptors: libsystemd's, or, built without it, the same in a few
 * lines, since socket activation and a re-execution need nothing else of systemd.
 */

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#else

#define SD_LISTEN_FDS_START 3

/* See sd_listen_fds_with_names(3) and sd_is_socket(3). */
int sd_listen_fds_with_names(int unset_environment, char ***ret_names);
int sd_is_socket(int descriptor, int family, int type, int listening);

#endif
