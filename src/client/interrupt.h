#pragma once

/* Ctrl-C and SIGTERM, which end a run in good order. */

#include <uv.h>

struct interrupt {
        uv_signal_t handles[2];
        void (*on_interrupt)(void *user);
        void *user;
};

int interrupt_start(struct interrupt *interrupt, uv_loop_t *loop, void (*on_interrupt)(void *user),
                    void *user);

/* Stops listening; needs one more turn of the loop. */
void interrupt_close(struct interrupt *interrupt);
