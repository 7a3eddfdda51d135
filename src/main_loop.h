#pragma once

/*
 * How the main loop ends: whoever owns a handle in it closes that first, if it has more to release.
 */

#include <uv.h>

/* Closes every handle that is still open, without a callback; the loop then runs out. */
void main_loop_close_handles(uv_loop_t *loop);

/* The same, runs the callbacks, and ends the loop. */
void main_loop_end(uv_loop_t *loop);
