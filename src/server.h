#pragma once

/*
 * The daemon's life: start, ready, reload, drain, stop.
 */

#include "config.h"

/*
 * Serves until it is asked to stop, and logs what goes wrong. Takes over the configuration; reads
 * it anew from `origin` at each reload. `verbosity` is added to the configuration's log level.
 * `argv` is main()'s, for whoever takes over. signals_block() must have been called. 0: stopped as
 * asked. Negative errno: it could not start; -EACCES or -EPERM: not permitted; -EBADFD: a socket
 * that the service manager has handed in does not go with the configuration.
 */
int server_run(struct config *config, const struct config_origin *origin, int verbosity,
               char *const argv[]);
