#include "main_loop.h"

#include <assert.h>
#include <stddef.h>

static void close_handle(uv_handle_t *handle, void *user)
{
        (void)user;
        if (!uv_is_closing(handle))
                uv_close(handle, NULL);
}

void main_loop_close_handles(uv_loop_t *loop)
{
        uv_walk(loop, close_handle, NULL);
}

void main_loop_end(uv_loop_t *loop)
{
        int r;

        main_loop_close_handles(loop);
        uv_run(loop, UV_RUN_DEFAULT);
        r = uv_loop_close(loop);
        assert(r == 0);
        (void)r;
}
