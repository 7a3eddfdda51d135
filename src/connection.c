/*
 * The happy path:
 *  1. connection_open() watches the socket for input. Many a client has said something by then:
 *     as long as that proves true, 2 follows at once.
 *  2. connection_on_event() reads once into the context's buffer and writes it back at once.
 *  3. The socket took everything: back to 2. Nothing was allocated or copied. After a turn that
 *     moved much, 2 is done past the buffer, see bypass.h.
 *  4. It did not: the rest is copied, and the socket is watched for room instead of input.
 *  5. connection_on_event() writes the rest; when all is written, back to 2.
 *  6. End of input: close. on_removed() frees the connection and tells the worker.
 *
 * At the end of its lifetime a connection lingers before it is closed: linger() ends the output,
 * discard() drops what still comes in, and connection_on_due() sees when the kernel has delivered
 * all.
 *
 * What can go wrong:
 *  - the descriptor cannot be watched: connection_open() fails, the caller still has it;
 *  - there is no bypass, or nothing comes of it: the turn goes through the buffer;
 *  - the peer resets, or a read or write fails: closed with a reset, reason reset or error;
 *  - no memory for the copy of 4, or the watch cannot be changed: the same, reason error;
 *  - a timeout: connection_on_due() ends the connection as the echo's table says;
 *  - connection_reset_all(): a reset, reason drain.
 *
 * There is one read for each turn of the loop, so that a busy stream cannot keep the others
 * waiting for longer than one buffer takes.
 */

#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection_private.h"
#include "pending.h"
#include "socket.h"
#include "source_table.h"
#include "util.h"

/* So many new connections, as a power of two, are not read from at once when others had nothing. */
#define FIRST_READ_BACKOFF 6

static void on_removed(struct watch *watch);
static void on_readable(struct connection *connection, int descriptor);
static void follow(struct connection *connection, enum echo_action action);

/*
 * Without having been told that there is something to read: for a client that speaks at once, that
 * spares a turn, and costs one who does not a read(2) in vain.
 */
static void read_at_once(struct connection *connection)
{
        struct connection_context *context = connection->context;

        if (!backoff_may_try(&context->first_read))
                return;
        on_readable(connection, connection->descriptor);
        if (connection->echo.received > 0 || connection->echo.state == ECHO_CLOSING) {
                backoff_succeeded(&context->first_read);
                context->n_events++;
        } else {
                backoff_failed(&context->first_read, FIRST_READ_BACKOFF);
        }
}

int connection_open(struct connection_context *context, const struct arrival *arrival)
{
        struct connection *connection = slab_allocate(&context->slab);
        enum echo_action action = ECHO_READ;
        bool is_new = !arrival->frozen;
        int r;

        if (!connection)
                return -ENOMEM;
        connection->watch.on_event = connection_on_event;
        connection->watch.on_removed = on_removed;
        r = poller_add(context->poller, &connection->watch, arrival->descriptor, EPOLLIN);
        if (r < 0) {
                slab_free(&context->slab, connection);
                return r;
        }
        connection->context = context;
        connection->descriptor = arrival->descriptor;
        echo_init(&connection->echo);
        connection->last_activity_ms = uv_now(context->loop);
        connection->opened_ms = connection->last_activity_ms;
        connection->pending = NULL;
        connection->n_unsent = 0;
        connection->n_bypasses = 0;
        timer_entry_init(&connection->timer);
        connection->listener = arrival->listener;
        connection->peer = arrival->peer;
        connection->source = arrival->source;
        stats_add(&context->stats->opened, 1);
        if (!is_new)
                action = connection_thaw(connection, arrival->frozen);
        connection_set_timer(connection);
        follow(connection, action);
        if (is_new)
                read_at_once(connection);
        return 0;
}

void connection_end(struct connection *connection, enum echo_reason reason)
{
        follow(connection, echo_end(&connection->echo, reason));
}

static enum echo_reason reason_of_error(int error)
{
        return error == ECONNRESET || error == EPIPE ? ECHO_RESET : ECHO_ERROR;
}

/* True if it only means: not now. */
static bool is_again(int error)
{
        return error == EAGAIN || error == EINTR;
}

static void drop_pending(struct connection *connection)
{
        struct stats *stats = connection->context->stats;

        if (!connection->pending)
                return;
        stats_add(&stats->pending_bytes, -(uint64_t)connection->echo.pending);
        pending_free(connection->pending);
        connection->pending = NULL;
}

/* What came of one turn's reading and writing back. */
struct transfer {
        size_t n_in, n_out;
        const char *rest; /* the bytes that did not go out */
        int error;        /* positive; 0: none, or only: not now */
        bool is_end;      /* of the input */
};

/* False: nothing came of it. */
static bool use_bypass(struct connection *connection, int descriptor, struct transfer *transfer)
{
        struct connection_context *context = connection->context;
        size_t size = MIN(context->buffer_size, (size_t)BYPASS_MAX);
        int r = bypass_echo(&context->bypass, descriptor, context->buffer, size, &transfer->n_in,
                            &transfer->n_out);

        transfer->rest = context->buffer;
        transfer->error = r < 0 ? -r : 0;
        return r != BYPASS_NOTHING;
}

static void use_buffer(struct connection *connection, int descriptor, struct transfer *transfer)
{
        struct connection_context *context = connection->context;
        ssize_t n_read = read(descriptor, context->buffer, context->buffer_size), n_written = 0;

        transfer->is_end = n_read == 0;
        if (n_read > 0)
                n_written = write(descriptor, context->buffer, (size_t)n_read);
        if ((n_read < 0 || n_written < 0) && !is_again(errno))
                transfer->error = errno;
        transfer->n_in = (size_t)MAX(n_read, 0);
        transfer->n_out = (size_t)MAX(n_written, 0);
        transfer->rest = context->buffer + transfer->n_out;
}

static enum echo_action count(struct connection *connection, const struct transfer *transfer)
{
        struct connection_context *context = connection->context;

        connection->last_activity_ms = uv_now(context->loop);
        context->n_repeats += connection->echo.received > 0;
        if (transfer->n_in >= BYPASS_WORTHWHILE) {
                connection->n_bypasses = BYPASS_TURNS;
                context->n_events++;
        } else if (connection->n_bypasses > 0) {
                connection->n_bypasses--;
        }
        stats_add(&context->stats->received_bytes, transfer->n_in);
        stats_add(&context->stats->sent_bytes, transfer->n_out);
        return echo_received(&connection->echo, transfer->n_in, transfer->n_out);
}

/* Keeps what did not go out. False: there is no memory for it. */
static bool keep(struct connection *connection, const char *rest)
{
        connection->pending = pending_new(rest, connection->echo.pending);
        if (!connection->pending)
                return false;
        stats_add(&connection->context->stats->pending_bytes, connection->echo.pending);
        return true;
}

static void on_readable(struct connection *connection, int descriptor)
{
        struct transfer transfer = {0};
        enum echo_action action = ECHO_READ;

        if (connection->n_bypasses == 0 || !use_bypass(connection, descriptor, &transfer))
                use_buffer(connection, descriptor, &transfer);
        if (transfer.n_in > 0)
                action = count(connection, &transfer);
        if (transfer.is_end)
                connection_end(connection, ECHO_EOF);
        else if (transfer.error)
                connection_end(connection, reason_of_error(transfer.error));
        else if (action == ECHO_WRITE && !keep(connection, transfer.rest))
                connection_end(connection, ECHO_ERROR);
        else if (action == ECHO_WRITE)
                follow(connection, action);
}

static void on_writable(struct connection *connection, int descriptor)
{
        struct connection_context *context = connection->context;
        ssize_t n = pending_write(connection->pending, descriptor);
        enum echo_action action;

        if (n < 0) {
                if (!is_again((int)-n))
                        connection_end(connection, reason_of_error((int)-n));
                return;
        }
        connection->last_activity_ms = uv_now(context->loop);
        stats_add(&context->stats->sent_bytes, (uint64_t)n);
        stats_add(&context->stats->pending_bytes, -(uint64_t)n);
        action = echo_flushed(&connection->echo, (size_t)n);
        if (action == ECHO_WRITE)
                return;
        drop_pending(connection);
        follow(connection, action);
}

/* Drops input; the connection is in LINGERING. */
static void discard(struct connection *connection, int descriptor)
{
        struct connection_context *context = connection->context;
        ssize_t n = read(descriptor, context->buffer, context->buffer_size);

        if (n == 0)
                connection_end(connection, ECHO_EOF);
        else if (n < 0 && !is_again(errno))
                connection_end(connection, reason_of_error(errno));
}

void connection_on_event(struct watch *watch, uint32_t events)
{
        struct connection *connection = CONTAINER_OF(watch, struct connection, watch);
        int descriptor = connection->descriptor;

        connection->context->n_events++;
        if (events & EPOLLERR)
                connection_end(connection, reason_of_error(socket_error(descriptor)));
        else if (connection->echo.state == ECHO_OPEN)
                on_readable(connection, descriptor);
        else if (connection->echo.state == ECHO_LINGERING)
                discard(connection, descriptor);
        else
                on_writable(connection, descriptor);
}

static uint64_t next_deadline(const struct connection *connection, enum echo_reason *ret_reason)
{
        return deadline_next(&connection->context->limits, &connection->echo, connection->opened_ms,
                             connection->last_activity_ms, ret_reason);
}

/* When to look at the connection again: at its deadline, or at what the kernel holds of it. */
static uint64_t next_look(const struct connection *connection)
{
        enum echo_reason reason;
        uint64_t deadline_ms = next_deadline(connection, &reason);

        if (!connection->pending)
                return deadline_ms;
        if (deadline_ms == NO_DEADLINE && connection->echo.state != ECHO_LINGERING)
                return NO_DEADLINE;
        return MIN(deadline_ms, deadline_next_look(uv_now(connection->context->loop),
                                                   connection->last_activity_ms));
}

void connection_set_timer(struct connection *connection)
{
        uint64_t look_ms = next_look(connection);

        if (look_ms < connection->timer.deadline_ms)
                timers_schedule(&connection->context->timers, &connection->timer, look_ms);
}

static void end_at(struct connection *connection, enum echo_reason reason, uint64_t now_ms)
{
        if (reason == ECHO_IDLE_TIMEOUT && connection->echo.state == ECHO_OPEN &&
            socket_is_moving(connection->descriptor, &connection->n_unsent))
                connection->last_activity_ms = now_ms;
        else
                connection_end(connection, reason);
}

void connection_on_due(struct timer_entry *entry)
{
        struct connection *connection = CONTAINER_OF(entry, struct connection, timer);
        struct pending *pending = connection->pending;
        uint64_t now_ms = uv_now(connection->context->loop);
        enum echo_reason reason;

        if (pending && pending_has_moved(pending, connection->descriptor))
                connection->last_activity_ms = now_ms;
        if (connection->echo.state == ECHO_LINGERING && pending_is_delivered(pending))
                follow(connection, echo_delivered(&connection->echo));
        else if (next_deadline(connection, &reason) <= now_ms)
                end_at(connection, reason, now_ms);
        if (connection->echo.state != ECHO_CLOSING)
                connection_set_timer(connection);
}

void connection_leave(struct connection *connection)
{
        drop_pending(connection);
        timer_wheel_cancel(&connection->timer);
        poller_remove(connection->context->poller, &connection->watch, connection->descriptor);
        /* Before the socket is closed: a client that sees the end may come again at once. */
        source_release(connection->source);
}

static void close_connection(struct connection *connection, bool is_reset)
{
        int descriptor = connection->descriptor;

        connection_observe_end(connection);
        connection_leave(connection);
        if (is_reset)
                socket_reset(descriptor);
        else
                close(descriptor);
}

static void on_removed(struct watch *watch)
{
        struct connection *connection = CONTAINER_OF(watch, struct connection, watch);
        struct connection_context *context = connection->context;

        slab_free(&context->slab, connection);
        context->on_closed(context->user);
}

static int watch_for(struct connection *connection, uint32_t events)
{
        return poller_change(connection->context->poller, &connection->watch,
                             connection->descriptor, events);
}

/* Ends the output. Where nothing is under way there is nothing to wait for. */
static void linger(struct connection *connection)
{
        if (socket_is_settled(connection->descriptor)) {
                follow(connection, echo_delivered(&connection->echo));
                return;
        }
        connection->pending = pending_new(NULL, 0);
        if (!connection->pending || shutdown(connection->descriptor, SHUT_WR) < 0 ||
            watch_for(connection, EPOLLIN) < 0)
                connection_end(connection, ECHO_ERROR);
        else
                connection_set_timer(connection);
}

/* Does what the echo says comes next. */
static void follow(struct connection *connection, enum echo_action action)
{
        switch (action) {
        case ECHO_LINGER:
                linger(connection);
                break;
        case ECHO_READ:
        case ECHO_WRITE:
                /* The socket is watched already, so this can fail only by a mistake of ours. */
                if (watch_for(connection, action == ECHO_READ ? EPOLLIN : EPOLLOUT) < 0)
                        connection_end(connection, ECHO_ERROR);
                else if (action == ECHO_WRITE)
                        connection_set_timer(connection);
                break;
        case ECHO_CLOSE:
        case ECHO_ABORT:
                close_connection(connection, action == ECHO_ABORT);
                break;
        }
}
