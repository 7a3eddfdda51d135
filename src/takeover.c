/*
 * The happy path:
 *  1. The descriptors that were left are sorted by their cookies.
 *  2. Each record of the state finds its descriptor, and the connection goes to a worker.
 *
 * What can go wrong:
 *  - the state is missing, damaged, or of another version: nobody knows what was pending, so end()
 *    closes a connection whose client has got back all that it has sent, and resets another;
 *  - a record without a descriptor, as of a connection for which there was no room: dropped;
 *  - a descriptor without a record: as without a state;
 *  - no memory for one: reset.
 */

#include "handover.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acceptor.h"
#include "connection_freeze.h"
#include "descriptor_store.h"
#include "handover_state.h"
#include "inherited.h"
#include "log.h"
#include "parcel.h"
#include "passage.h"
#include "pending.h"
#include "sealed_memory.h"
#include "socket.h"
#include "util.h"

struct found {
        uint64_t cookie;
        int descriptor; /* -1: it has been taken */
};

struct takeover {
        struct acceptor *acceptor;
        struct found *found;
        size_t n_found, capacity;
        size_t n_taken, n_missing, n_failed;
};

static int compare_cookies(const void *a, const void *b)
{
        uint64_t left = ((const struct found *)a)->cookie;
        uint64_t right = ((const struct found *)b)->cookie;

        return (left > right) - (left < right);
}

/* -1: nobody has left it. */
static int take_descriptor(struct takeover *takeover, uint64_t cookie)
{
        const struct found wanted = {.cookie = cookie};
        struct found *found = NULL;
        int descriptor = -1;

        if (takeover->n_found > 0)
                found = bsearch(&wanted, takeover->found, takeover->n_found, sizeof(wanted),
                                compare_cookies);
        if (found) {
                descriptor = found->descriptor;
                found->descriptor = -1;
        }
        return descriptor;
}

/* NULL: out of memory. */
static struct frozen *restore(const struct handover_connection *connection, int descriptor)
{
        struct frozen *frozen = calloc(1, sizeof(*frozen));

        if (!frozen)
                return NULL;
        *frozen = (struct frozen){
                .arrival = {.descriptor = descriptor,
                            .peer = connection->peer,
                            .listener = connection->listener,
                            .frozen = frozen},
                .echo = connection->echo,
                .opened_ms = connection->opened_ms,
                .active_ms = connection->active_ms,
                .n_unsent = connection->n_unsent,
        };
        list_init(&frozen->link);
        if (connection->echo.state == ECHO_OPEN)
                return frozen;
        frozen->pending = pending_new(connection->pending, connection->echo.pending);
        if (!frozen->pending) {
                free(frozen);
                return NULL;
        }
        pending_set_unsent(frozen->pending, connection->n_unsent_pending);
        return frozen;
}

static void take_connection(struct takeover *takeover, const struct handover_connection *connection)
{
        int descriptor = take_descriptor(takeover, connection->cookie);
        struct frozen *frozen;

        if (descriptor < 0) {
                takeover->n_missing++;
                return;
        }
        frozen = restore(connection, descriptor);
        if (!frozen) {
                socket_reset(descriptor);
                takeover->n_failed++;
        } else if (acceptor_readmit(takeover->acceptor, frozen) < 0) {
                takeover->n_failed++;
        } else {
                takeover->n_taken++;
        }
}

static void take_newcomer(struct takeover *takeover, const struct handover_newcomer *newcomer)
{
        uint64_t now_ms = uv_hrtime() / 1000000;
        struct guest guest = {
                .descriptor = take_descriptor(takeover, newcomer->cookie),
                .peer = newcomer->peer,
                .listener = newcomer->listener,
                .waited_ms = now_ms - MIN(newcomer->accepted_ms, now_ms),
                .n_bytes = newcomer->n_bytes,
                .bytes = malloc(MAX(newcomer->n_bytes, (uint32_t)1)),
        };

        if (guest.descriptor < 0) {
                free(guest.bytes);
                takeover->n_missing++;
        } else if (!guest.bytes) {
                socket_reset(guest.descriptor);
                takeover->n_failed++;
        } else {
                memcpy(guest.bytes, newcomer->bytes, newcomer->n_bytes);
                if (acceptor_readmit_guest(takeover->acceptor, &guest) < 0)
                        takeover->n_failed++;
                else
                        takeover->n_taken++;
        }
}

static void read_records(struct takeover *takeover, struct handover_reader *reader)
{
        struct handover_record record;

        for (;;) {
                handover_state_next(reader, &record);
                if (record.kind == HANDOVER_END)
                        return;
                if (record.kind == HANDOVER_CONNECTION)
                        take_connection(takeover, &record.connection);
                else
                        take_newcomer(takeover, &record.newcomer);
        }
}

/* One that was left. */
static void add_descriptor(void *user, int descriptor)
{
        struct takeover *takeover = user;
        struct found *found = takeover->found;

        if (takeover->n_found == takeover->capacity) {
                takeover->capacity = MAX(2 * takeover->capacity, (size_t)64);
                found = realloc(found, takeover->capacity * sizeof(*found));
        }
        if (!found) {
                takeover->capacity = takeover->n_found;
                takeover->n_failed++;
                socket_reset(descriptor);
                return;
        }
        takeover->found = found;
        found[takeover->n_found++] = (struct found){socket_cookie(descriptor), descriptor};
}

/* All connections that were left, those in parcels, too, as take_descriptor() wants them. */
static int find(struct takeover *takeover, struct inherited *inherited)
{
        int *descriptors;
        size_t n;
        int r = inherited_take_all(inherited, INHERITED_CONNECTION, &descriptors, &n);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (!parcel_unpack(descriptors[i], add_descriptor, takeover))
                        add_descriptor(takeover, descriptors[i]);
        free(descriptors);
        if (takeover->n_found > 0)
                qsort(takeover->found, takeover->n_found, sizeof(*takeover->found),
                      compare_cookies);
        return 0;
}

/* The memory with the state, the last one if there are several; -1: none. Negative errno. */
static int find_state(struct inherited *inherited, int *ret_memory)
{
        size_t n;
        int *descriptors;
        int r = inherited_take_all(inherited, INHERITED_STATE, &descriptors, &n);

        if (r < 0)
                return r;
        *ret_memory = n > 0 ? descriptors[n - 1] : -1;
        for (size_t i = 0; i + 1 < n; i++)
                close(descriptors[i]);
        free(descriptors);
        return 0;
}

static void read_state(struct takeover *takeover, int memory)
{
        struct handover_reader reader;
        enum handover_verdict verdict;
        const void *bytes;
        size_t length;
        int r = sealed_memory_map(memory, &bytes, &length);

        if (r < 0) {
                log_error("the state that the earlier echod has left cannot be read: %s",
                          strerror(-r));
                return;
        }
        verdict = handover_state_open(&reader, bytes, length);
        if (verdict == HANDOVER_GOOD)
                read_records(takeover, &reader);
        else
                log_error("the state that the earlier echod has left %s",
                          handover_verdict_text(verdict));
        sealed_memory_unmap(bytes, length);
}

/* Ends a connection that nobody knows anything of. True: by a reset, as something may be lost. */
static bool end(int descriptor)
{
        bool is_even = socket_is_even(descriptor);

        if (is_even)
                close(descriptor);
        else
                socket_reset(descriptor);
        return !is_even;
}

/* Ends those that no record was for, and says so. */
static void end_rest(const struct takeover *takeover)
{
        size_t n_ended = 0, n_reset = 0;

        for (size_t i = 0; i < takeover->n_found; i++) {
                if (takeover->found[i].descriptor < 0)
                        continue;
                n_ended++;
                n_reset += end(takeover->found[i].descriptor);
        }
        if (n_ended > 0)
                log_error("ended %zu connections that were left without a state, %zu of them with "
                          "a reset",
                          n_ended, n_reset);
}

static void report(const struct takeover *takeover)
{
        log_notice("took over %zu connections", takeover->n_taken);
        if (takeover->n_failed > 0)
                log_error("reset %zu connections that were left: out of memory",
                          takeover->n_failed);
        if (takeover->n_missing > 0)
                log_warning("%zu connections did not come through", takeover->n_missing);
}

int handover_receive(struct inherited *inherited)
{
        int r = inherited_open(inherited);

        if (r < 0) {
                log_error("the descriptors that LISTEN_FDS announces: %s", strerror(-r));
                return r;
        }
        r = passage_receive(inherited);
        if (r < 0)
                log_error("the descriptors that ECHOD_HANDOVER announces: %s", strerror(-r));
        return 0;
}

void handover_take_up(const struct handover *handover)
{
        struct takeover takeover = {.acceptor = handover->acceptor};
        int memory = -1, r;

        if (!inherited_is_legacy(handover->inherited))
                return;
        r = find_state(handover->inherited, &memory);
        if (r == 0)
                r = find(&takeover, handover->inherited);
        if (r < 0)
                log_error("cannot take over what the earlier echod has left: %s", strerror(-r));
        if (r == 0 && memory >= 0)
                read_state(&takeover, memory);
        if (memory >= 0 || takeover.n_found > 0)
                report(&takeover);
        end_rest(&takeover);
        if (memory >= 0)
                close(memory);
        free(takeover.found);
        descriptor_store_clear();
}
