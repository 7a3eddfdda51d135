#include "interrupt.h"

#include <signal.h>
#include <stdio.h>

#include "util.h"

static void on_signal(uv_signal_t *handle, int number)
{
        struct interrupt *interrupt = handle->data;

        (void)number;
        interrupt->on_interrupt(interrupt->user);
}

int interrupt_start(struct interrupt *interrupt, uv_loop_t *loop, void (*on_interrupt)(void *user),
                    void *user)
{
        static const int signals[] = {SIGINT, SIGTERM};

        interrupt->on_interrupt = on_interrupt;
        interrupt->user = user;
        interrupt->is_mute = false;
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
                uv_signal_t *handle = &interrupt->handles[i];
                int r = uv_signal_init(loop, handle);

                if (r < 0)
                        return r;
                handle->data = interrupt;
                r = uv_signal_start(handle, on_signal, signals[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* By way of the loop, as whoever prints is in the middle of something. */
void interrupt_if_mute(struct interrupt *interrupt)
{
        if (interrupt->is_mute || !ferror(stdout))
                return;
        interrupt->is_mute = true;
        raise(SIGINT);
}

void interrupt_close(struct interrupt *interrupt)
{
        for (size_t i = 0; i < ARRAY_SIZE(interrupt->handles); i++) {
                int number = interrupt->handles[i].signum;

                uv_close((uv_handle_t *)&interrupt->handles[i], NULL);
                /* libuv has it end the process again, and the result is still to be printed. */
                if (number != 0)
                        signal(number, SIG_IGN);
        }
}
