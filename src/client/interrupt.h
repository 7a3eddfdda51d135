#pragma once

/* Ctrl-C and SIGTERM, which end a run in good order. */

#include <stdbool.h>
#include <uv.h>

struct interrupt {
        uv_signal_t handles[2];
        void (*on_interrupt)(void *user);
        void *user;
        bool is_mute; /* has been noticed */
};

int interrupt_start(struct interrupt *interrupt, uv_loop_t *loop, void (*on_interrupt)(void *user),
                    void *user);

/*
 * For who has printed a line: if the standard output cannot be written any more, as with SIGPIPE
 * ignored when the reader has gone, an interrupt follows, once.
 */
void interrupt_if_mute(struct interrupt *interrupt);

/* Stops listening; needs one more turn of the loop. */
void interrupt_close(struct interrupt *interrupt);
