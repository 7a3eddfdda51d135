#include "connection.h"

#include <errno.h>
#include <stdlib.h>

#include "connection_private.h"
#include "util.h"

int connection_context_init(struct connection_context *context, uv_loop_t *loop, size_t buffer_size,
                            struct stats *stats)
{
        int r;

        *context = (struct connection_context){
                .loop = loop,
                .buffer_size = buffer_size,
                .stats = stats,
        };
        context->buffer = malloc(buffer_size);
        if (!context->buffer)
                return -ENOMEM;
        r = timers_init(&context->timers, loop, connection_on_due);
        if (r < 0) {
                free(context->buffer);
                return r;
        }
        slab_init(&context->slab, sizeof(struct connection));
        return 0;
}

void connection_context_close(struct connection_context *context)
{
        timers_close(&context->timers);
}

void connection_context_free(struct connection_context *context)
{
        slab_destroy(&context->slab);
        free(context->buffer);
}

/* Whether a handle that uv_walk() came by is an open connection. Workers poll nothing else. */
static bool is_open(const uv_handle_t *handle)
{
        return handle->type == UV_POLL && !uv_is_closing(handle);
}

static void visit_limits(uv_handle_t *handle, void *user)
{
        (void)user;
        if (is_open(handle))
                connection_set_timer(CONTAINER_OF(handle, struct connection, poll));
}

void connection_set_limits(struct connection_context *context,
                           const struct connection_limits *limits)
{
        context->limits = *limits;
        uv_walk(context->loop, visit_limits, NULL);
}

static void visit_reset(uv_handle_t *handle, void *user)
{
        (void)user;
        if (is_open(handle))
                connection_end(CONTAINER_OF(handle, struct connection, poll), ECHO_DRAIN);
}

void connection_reset_all(struct connection_context *context)
{
        uv_walk(context->loop, visit_reset, NULL);
}
