/*
 * The happy path:
 *  1. gather() freezes the connections of all workers: nobody reads or writes any more. Who comes
 *     now waits in the listeners' queues.
 *  2. write_state() puts what is known of them into sealed memory.
 *  3. handover_exec() has sockets and memory stay open, and becomes the successor.
 *
 * What can go wrong:
 *  - anything in 1 or 2, for lack of memory or descriptors, or the execve(2): go_on() gives the
 *    connections back to the workers, and all is as before.
 */

#include "handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "acceptor.h"
#include "connection_freeze.h"
#include "handover_state.h"
#include "inherited.h"
#include "log.h"
#include "passage.h"
#include "pending.h"
#include "pool.h"
#include "sealed_memory.h"
#include "socket.h"
#include "successor.h"
#include "util.h"

/* What is on its way. */
struct luggage {
        struct list connections; /* struct frozen */
        size_t n_connections;
        int memory; /* with the state; -1: there is none */
};

static struct frozen *frozen_of(struct list *node)
{
        return CONTAINER_OF(node, struct frozen, link);
}

static struct handover_record describe(const struct frozen *frozen)
{
        const struct echo *echo = &frozen->echo;
        size_t n_pending = 0;
        struct handover_record record = {
                .kind = HANDOVER_CONNECTION,
                .connection = {
                        .cookie = socket_cookie(frozen->arrival.descriptor),
                        .peer = frozen->arrival.peer,
                        .listener = frozen->arrival.listener,
                        .echo = *echo,
                        .opened_ms = frozen->opened_ms,
                        .active_ms = frozen->active_ms,
                        .n_unsent = frozen->n_unsent,
                }};

        if (frozen->pending) {
                record.connection.pending = pending_bytes(frozen->pending, &n_pending);
                record.connection.n_unsent_pending = pending_unsent(frozen->pending);
        }
        return record;
}

/* The state of all that are on their way. Negative errno. */
static int write_state(struct luggage *luggage)
{
        struct handover_writer writer;
        int r;

        handover_state_begin(&writer, uv_hrtime() / 1000000);
        LIST_FOR_EACH_SAFE (node, following, &luggage->connections) {
                const struct handover_record record = describe(frozen_of(node));

                handover_state_add(&writer, &record);
        }
        r = handover_state_end(&writer);
        if (r == 0)
                r = sealed_memory_new(writer.bytes, writer.length);
        handover_state_free(&writer);
        if (r < 0)
                return r;
        luggage->memory = r;
        return 0;
}

/* Gives the connections back to the workers. */
static void go_on(const struct handover *handover, struct luggage *luggage)
{
        LIST_FOR_EACH_SAFE (node, following, &luggage->connections) {
                list_unlink(node);
                acceptor_readmit(handover->acceptor, frozen_of(node));
        }
        if (luggage->memory >= 0)
                close(luggage->memory);
}

/* All connections, and their state. On failure everything has gone on. */
static int gather(const struct handover *handover, struct luggage *luggage)
{
        int r;

        list_init(&luggage->connections);
        luggage->n_connections = 0;
        luggage->memory = -1;
        r = pool_freeze(handover->pool, &luggage->connections);
        LIST_FOR_EACH_SAFE (node, following, &luggage->connections)
                luggage->n_connections++;
        if (r == 0)
                r = write_state(luggage);
        if (r < 0)
                go_on(handover, luggage);
        return r;
}

struct keeping {
        struct passage passage;
        int error;
};

static void keep(struct keeping *keeping, int descriptor, const char *name)
{
        int r = passage_keep(&keeping->passage, descriptor, name);

        keeping->error = MIN(keeping->error, r);
}

static void keep_listener(void *user, struct listener *listener)
{
        /* The others' originals are kept below. */
        if (listener->origin != LISTENER_EXTERNAL)
                keep(user, listener->descriptor, NULL);
}

static void keep_external(void *user, int descriptor, const char *name)
{
        keep(user, descriptor, name);
}

int handover_exec(const struct handover *handover, const struct successor *successor)
{
        struct keeping keeping = {.passage = PASSAGE_NULL};
        struct luggage luggage;
        int r = gather(handover, &luggage);

        if (r < 0)
                return r;
        LIST_FOR_EACH_SAFE (node, following, &luggage.connections)
                keep(&keeping, frozen_of(node)->arrival.descriptor, NULL);
        listener_set_for_each(&handover->acceptor->listeners, keep_listener, &keeping);
        inherited_for_each_external(handover->inherited, keep_external, &keeping);
        keep(&keeping, luggage.memory, INHERITED_STATE);
        r = keeping.error < 0 ? keeping.error : passage_announce(&keeping.passage);
        if (r == 0) {
                log_notice("handing over %zu connections to %s", luggage.n_connections,
                           successor->path);
                r = successor_exec(successor);
        }
        passage_undo(&keeping.passage);
        go_on(handover, &luggage);
        return r;
}
