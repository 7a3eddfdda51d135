#include "connection_freeze.h"

#include <errno.h>
#include <stdlib.h>

#include "connection_private.h"
#include "pending.h"
#include "util.h"

/* The struct in which a connection will lie. False: out of memory. */
static bool prepare(struct list *prepared)
{
        struct frozen *frozen = calloc(1, sizeof(*frozen));

        if (!frozen)
                return false;
        list_init(&frozen->link);
        list_append(prepared, &frozen->link);
        return true;
}

static void freeze(struct connection *connection, struct frozen *frozen)
{
        frozen->arrival = (struct arrival){
                .descriptor = connection->descriptor,
                .peer = connection->peer,
                .listener = connection->listener,
                .frozen = frozen,
        };
        frozen->echo = connection->echo;
        frozen->opened_ms = connection->opened_ms;
        frozen->active_ms = connection->last_activity_ms;
        frozen->n_unsent = connection->n_unsent;
        frozen->pending = connection->pending;
        connection->pending = NULL;
        stats_add(&connection->context->stats->pending_bytes, -(uint64_t)connection->echo.pending);
        connection_leave(connection);
}

struct freezing {
        struct list
                prepared; /* struct frozen, one for each connection, as far as there is memory */
        struct list *frozen;
        bool is_short;
};

static void visit_prepare(struct connection *connection, void *user)
{
        struct freezing *freezing = user;

        (void)connection;
        freezing->is_short = freezing->is_short || !prepare(&freezing->prepared);
}

static void visit_freeze(struct connection *connection, void *user)
{
        struct freezing *freezing = user;
        struct list *node = freezing->prepared.next;

        list_unlink(node);
        freeze(connection, CONTAINER_OF(node, struct frozen, link));
        list_append(freezing->frozen, node);
}

int connection_freeze_all(struct connection_context *context, struct list *frozen)
{
        struct freezing freezing = {.frozen = frozen};

        list_init(&freezing.prepared);
        connection_for_each(context, visit_prepare, &freezing);
        if (!freezing.is_short)
                connection_for_each(context, visit_freeze, &freezing);
        LIST_FOR_EACH_SAFE (node, following, &freezing.prepared)
                free(CONTAINER_OF(node, struct frozen, link));
        return freezing.is_short ? -ENOMEM : 0;
}

/* Another loop's clock may have been read a moment later than this one's. */
static uint64_t not_after(uint64_t time_ms, uint64_t now_ms)
{
        return MIN(time_ms, now_ms);
}

enum echo_action connection_thaw(struct connection *connection, struct frozen *frozen)
{
        uint64_t now_ms = uv_now(connection->context->loop);
        enum echo_action action =
                frozen->echo.pending > 0 ? ECHO_WRITE : ECHO_READ; /* LINGERING reads, too */

        connection->echo = frozen->echo;
        connection->opened_ms = not_after(frozen->opened_ms, now_ms);
        connection->last_activity_ms = not_after(frozen->active_ms, now_ms);
        connection->n_unsent = frozen->n_unsent;
        connection->pending = frozen->pending;
        frozen->pending = NULL;
        stats_add(&connection->context->stats->pending_bytes, connection->echo.pending);
        connection_free_frozen(frozen);
        return action;
}

void connection_free_frozen(struct frozen *frozen)
{
        if (!frozen)
                return;
        pending_free(frozen->pending);
        free(frozen);
}
