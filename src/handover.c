/*
 * The happy path:
 *  1. gather() freezes the connections of all workers and empties the vestibule: nobody reads or
 *     writes any more. Who comes now waits in the listeners' queues.
 *  2. write_state() puts what is known of them into sealed memory.
 *  3. handover_exec() has sockets and memory stay open, and becomes the successor; or
 *     handover_store() puts them into systemd's descriptor store, and the process ends.
 *
 * What can go wrong:
 *  - anything in 1 or 2, for lack of memory or descriptors, or the execve(2): go_on() gives the
 *    connections back to the workers, and all is as before;
 *  - the descriptor store has no room, or systemd does not answer: the same.
 */

#include "handover.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "acceptor.h"
#include "connection_freeze.h"
#include "descriptor_store.h"
#include "handover_state.h"
#include "inherited.h"
#include "log.h"
#include "parcel.h"
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
        struct guest *guests; /* of the vestibule; luggage_free() frees what is left of them */
        size_t n_guests;
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

static struct handover_record describe_guest(const struct guest *guest, uint64_t now_ms)
{
        return (struct handover_record){.kind = HANDOVER_NEWCOMER,
                                        .newcomer = {
                                                .cookie = socket_cookie(guest->descriptor),
                                                .peer = guest->peer,
                                                .listener = guest->listener,
                                                .accepted_ms = now_ms - guest->waited_ms,
                                                .bytes = (const char *)guest->bytes,
                                                .n_bytes = (uint32_t)guest->n_bytes,
                                        }};
}

/* The state of all that are on their way. Negative errno. */
static int write_state(struct luggage *luggage)
{
        struct handover_writer writer;
        uint64_t now_ms = uv_hrtime() / 1000000;
        int r;

        handover_state_begin(&writer, now_ms);
        LIST_FOR_EACH_SAFE (node, following, &luggage->connections) {
                const struct handover_record record = describe(frozen_of(node));

                handover_state_add(&writer, &record);
        }
        for (size_t i = 0; i < luggage->n_guests; i++) {
                const struct handover_record record = describe_guest(&luggage->guests[i], now_ms);

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

static void luggage_free(struct luggage *luggage)
{
        if (luggage->memory >= 0)
                close(luggage->memory);
        free(luggage->guests);
}

/* Gives the connections back to the workers, and the guests to the vestibule. */
static void go_on(const struct handover *handover, struct luggage *luggage)
{
        size_t n_lost = 0;

        LIST_FOR_EACH_SAFE (node, following, &luggage->connections) {
                list_unlink(node);
                n_lost += acceptor_readmit(handover->acceptor, frozen_of(node)) < 0;
        }
        for (size_t i = 0; i < luggage->n_guests; i++)
                n_lost += acceptor_readmit_guest(handover->acceptor, &luggage->guests[i]) < 0;
        if (n_lost > 0)
                log_error("reset %zu connections: out of memory", n_lost);
        luggage_free(luggage);
}

/* Everybody who waits in the vestibule. -ENOMEM: they wait on. */
static int gather_guests(struct vestibule *vestibule, struct luggage *luggage)
{
        size_t n = vestibule->n_guests;

        luggage->guests = calloc(MAX(n, (size_t)1), sizeof(*luggage->guests));
        if (!luggage->guests)
                return -ENOMEM;
        while (luggage->n_guests < n &&
               vestibule_take(vestibule, &luggage->guests[luggage->n_guests]))
                luggage->n_guests++;
        return 0;
}

/* All connections, and their state. On failure all go on. */
static int gather(const struct handover *handover, struct luggage *luggage)
{
        int r;

        *luggage = (struct luggage){.memory = -1};
        list_init(&luggage->connections);
        r = gather_guests(&handover->acceptor->vestibule, luggage);
        if (r == 0)
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
        for (size_t i = 0; i < luggage.n_guests; i++)
                keep(&keeping, luggage.guests[i].descriptor, NULL);
        listener_set_for_each(&handover->acceptor->listeners, keep_listener, &keeping);
        inherited_for_each_external(handover->inherited, keep_external, &keeping);
        keep(&keeping, luggage.memory, INHERITED_STATE);
        r = keeping.error < 0 ? keeping.error : passage_announce(&keeping.passage);
        if (r == 0) {
                arrival_log_flush(&handover->acceptor->log);
                log_notice("handing over %zu connections to %s",
                           luggage.n_connections + luggage.n_guests, successor->path);
                r = successor_exec(successor);
        }
        passage_undo(&keeping.passage);
        go_on(handover, &luggage);
        return r;
}

static void count_own(void *user, struct listener *listener)
{
        *(size_t *)user += listener->origin != LISTENER_EXTERNAL;
}

static void put_listener(void *user, struct listener *listener)
{
        int *r = user;

        if (*r == 0 && listener->origin != LISTENER_EXTERNAL)
                *r = descriptor_store_put(INHERITED_LISTENER, &listener->descriptor, 1);
}

/* Into as few descriptors as can be, see parcel.h. */
static int pack_connections(const struct luggage *luggage, struct parcels *ret_parcels)
{
        size_t n = luggage->n_connections + luggage->n_guests;
        int *descriptors = calloc(MAX(n, (size_t)1), sizeof(*descriptors));
        int r;

        *ret_parcels = PARCELS_NULL;
        if (!descriptors)
                return -ENOMEM;
        n = 0;
        LIST_FOR_EACH_SAFE (node, following, &luggage->connections)
                descriptors[n++] = frozen_of(node)->arrival.descriptor;
        for (size_t i = 0; i < luggage->n_guests; i++)
                descriptors[n++] = luggage->guests[i].descriptor;
        r = parcels_pack(ret_parcels, descriptors, n);
        free(descriptors);
        return r;
}

/* The state first: without it the others are of no use. */
static int put_all(const struct handover *handover, const struct luggage *luggage,
                   const struct parcels *parcels)
{
        int r = descriptor_store_put(INHERITED_STATE, &luggage->memory, 1);

        listener_set_for_each(&handover->acceptor->listeners, put_listener, &r);
        if (r == 0)
                r = descriptor_store_put(INHERITED_CONNECTION, parcels->descriptors,
                                         parcels->n_parcels);
        if (r == 0)
                r = descriptor_store_sync();
        if (r < 0)
                descriptor_store_clear();
        return r;
}

/* -ENOSPC: there is no room for all. */
static int pack_and_put(const struct handover *handover, const struct luggage *luggage,
                        size_t n_places)
{
        size_t n_listeners = 0;
        struct parcels parcels;
        int r = pack_connections(luggage, &parcels);

        listener_set_for_each(&handover->acceptor->listeners, count_own, &n_listeners);
        if (r == 0 && 1 + n_listeners + parcels.n_parcels > n_places)
                r = -ENOSPC;
        if (r == 0)
                r = put_all(handover, luggage, &parcels);
        parcels_close(&parcels);
        if (r == 0)
                log_notice("left %zu connections and %zu listening sockets to systemd",
                           luggage->n_connections + luggage->n_guests, n_listeners);
        return r;
}

static void leave_listener(void *user, struct listener *listener)
{
        (void)user;
        listener_leave(listener);
}

/* This process's part in what others have now. */
static void let_go(const struct handover *handover, struct luggage *luggage)
{
        listener_set_for_each(&handover->acceptor->listeners, leave_listener, NULL);
        LIST_FOR_EACH_SAFE (node, following, &luggage->connections) {
                close(frozen_of(node)->arrival.descriptor);
                connection_free_frozen(frozen_of(node));
        }
        for (size_t i = 0; i < luggage->n_guests; i++) {
                close(luggage->guests[i].descriptor);
                free(luggage->guests[i].bytes);
        }
        luggage_free(luggage);
}

int handover_store(const struct handover *handover, size_t n_places)
{
        struct luggage luggage;
        int r = gather(handover, &luggage);

        if (r < 0)
                return r;
        r = pack_and_put(handover, &luggage, n_places);
        if (r < 0)
                go_on(handover, &luggage);
        else
                let_go(handover, &luggage);
        return r;
}
