#include "connection.h"

#include <errno.h>
#include <stdlib.h>

#include "connection_private.h"
#include "util.h"

int connection_context_init(struct connection_context *context, struct poller *poller,
                            size_t buffer_size, struct stats *stats)
{
        int r;

        *context = (struct connection_context){
                .loop = poller->loop,
                .poller = poller,
                .buffer_size = buffer_size,
                .stats = stats,
                .bypass = BYPASS_NULL,
        };
        context->buffer = malloc(buffer_size);
        if (!context->buffer)
                return -ENOMEM;
        r = timers_init(&context->timers, poller->loop, connection_on_due);
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
        bypass_close(&context->bypass);
        slab_destroy(&context->slab);
        free(context->buffer);
}

void connection_for_each(struct connection_context *context,
                         void (*visit)(struct connection *connection, void *user), void *user)
{
        LIST_FOR_EACH_SAFE (link, following, &context->poller->watches) {
                struct watch *watch = CONTAINER_OF(link, struct watch, link);

                /* The main loop's poller has listeners as well. */
                if (watch->on_event == connection_on_event)
                        visit(CONTAINER_OF(watch, struct connection, watch), user);
        }
}

static void visit_count(struct connection *connection, void *user)
{
        const struct census *census = user;

        if (!connection->source)
                connection->source = census->count(census->user, &connection->peer);
}

void connection_take_census(struct connection_context *context, const struct census *census)
{
        struct census copy = *census;

        connection_for_each(context, visit_count, &copy);
}

static void visit_limits(struct connection *connection, void *user)
{
        (void)user;
        connection_set_timer(connection);
}

void connection_set_limits(struct connection_context *context,
                           const struct connection_limits *limits)
{
        context->limits = *limits;
        connection_for_each(context, visit_limits, NULL);
}

static void visit_reset(struct connection *connection, void *user)
{
        (void)user;
        connection_end(connection, ECHO_DRAIN);
}

void connection_reset_all(struct connection_context *context)
{
        connection_for_each(context, visit_reset, NULL);
}
