/*
 * The happy path:
 *  1. link_open() makes a socket and begins to connect; the socket is watched for room.
 *  2. on_event() finds it connected: on_open(). From now on it is watched for input.
 *  3. link_send() asks for the bytes and writes them at once, or after the event it is called in.
 *  4. on_event() reads once and hands on what came.
 *  5. link_half_close(); the server ends the connection: on_end(0), on_closed().
 *
 * What can go wrong:
 *  - it cannot connect: the same with the target's next address; after the last one, on_end();
 *  - the queue of a Unix socket is full: the same once more after a pause, on_pause_over();
 *  - the socket takes only a part: it is watched for room, too, and the rest asked for again;
 *  - the server resets, or closes early: what has arrived is read, then on_end().
 */

#include "link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "util.h"

/* By one connection; the next one goes on after them. */
#define SOURCES_TRIED 8

/* Between attempts at a full queue: it grows from 1 ms to 2 to the power of this. */
#define PAUSE_DOUBLINGS 6

static void on_event(uv_poll_t *poll, int status, int events);
static void on_pause_over(uv_timer_t *pause);
static void on_handle_closed(uv_handle_t *handle);

int link_context_init(struct link_context *context, uv_loop_t *loop, const struct target *target,
                      uint64_t first_index)
{
        *context = (struct link_context){
                .loop = loop,
                .target = target,
                .n_opened = first_index,
                .buffer = malloc(LINK_READ_MAX + LINK_WRITE_MAX),
        };
        return context->buffer ? 0 : -ENOMEM;
}

void link_context_free(struct link_context *context)
{
        free(context->buffer);
}

const struct target_address *link_address(const struct link *link)
{
        return &link->context->target->addresses[link->address];
}

const char *link_format_address(const struct link *link, char text[static TARGET_TEXT_MAX])
{
        return target_format(link_address(link), text);
}

static void watch(struct link *link, int events)
{
        if (link->watched == events)
                return;
        link->watched = (uint8_t)events;
        uv_poll_start(&link->poll, events, on_event); /* fails only for a closing handle */
}

/* Best effort: where it does not work, connecting says why. */
static void choose_source(int descriptor, const struct target *target,
                          const struct target_address *address, uint64_t n)
{
        struct sockaddr_in source;

        if (!target_source(target, address, n, &source))
                return;
        /* The port is chosen at connect(), so that two targets can share it. */
        setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
        (void)!bind(descriptor, (const struct sockaddr *)&source, sizeof(source));
}

/* A socket that is about to be connected, or a negative errno. */
static int connect_socket(const struct target *target, const struct target_address *address,
                          uint64_t n)
{
        int family = address->sockaddr.ss_family, r;
        int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (descriptor < 0)
                return -errno;
        if (family != AF_UNIX)
                setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        choose_source(descriptor, target, address, n);
        r = connect(descriptor, (const struct sockaddr *)&address->sockaddr, address->length);
        if (r < 0 && errno != EINPROGRESS) {
                r = -errno;
                close(descriptor);
                return r;
        }
        return descriptor;
}

/* Where the ports of a source are taken, by others or by connections that are hardly over, the next
 * ones are tried. */
static int connect_from_any_source(struct link_context *context,
                                   const struct target_address *address)
{
        int r = connect_socket(context->target, address, context->n_opened);

        for (unsigned i = 1; r == -EADDRNOTAVAIL && i < SOURCES_TRIED; i++) {
                if (!target_has_sources(address))
                        break;
                context->n_opened += context->target->n_each_source;
                r = connect_socket(context->target, address, context->n_opened);
        }
        return r;
}

/* The kernel waits for TCP's queues, but not for this one; nor can it be polled for. */
static bool is_queue_full(const struct link *link, int error)
{
        return error == -EAGAIN && link_address(link)->sockaddr.ss_family == AF_UNIX;
}

/* The same address comes next. Nothing of this can fail. */
static int begin_to_pause(struct link *link)
{
        link->n_tried--;
        link->state = LINK_CONNECTING;
        uv_timer_init(link->context->loop, &link->pause);
        uv_timer_start(&link->pause, on_pause_over, UINT64_C(1) << link->n_pauses, 0);
        if (link->n_pauses < PAUSE_DOUBLINGS)
                link->n_pauses++;
        return 0;
}

/* Goes through the addresses that are left until one can be tried. */
static int begin_to_connect(struct link *link)
{
        const struct target *target = link->context->target;
        int r = -EADDRNOTAVAIL;

        link->descriptor = -1;
        while (link->descriptor < 0) {
                if (link->n_tried == target->n_addresses)
                        return r;
                link->address = (uint32_t)((link->context->first_address + link->n_tried++) %
                                           target->n_addresses);
                r = connect_from_any_source(link->context, link_address(link));
                if (is_queue_full(link, r))
                        return begin_to_pause(link);
                link->descriptor = r;
        }
        r = uv_poll_init(link->context->loop, &link->poll, link->descriptor);
        if (r < 0) {
                close(link->descriptor);
                return r;
        }
        link->state = LINK_CONNECTING;
        link->watched = 0;
        watch(link, UV_WRITABLE);
        return 0;
}

int link_open(struct link *link, struct link_context *context, const struct link_events *events)
{
        int r;

        *link = (struct link){.context = context, .events = events, .state = LINK_ENDED};
        r = begin_to_connect(link);
        context->n_opened++;
        return r;
}

/* Every way out. */
static void close_handle(struct link *link)
{
        link->state = LINK_ENDED;
        uv_close(&link->handle, on_handle_closed);
}

static void on_pause_over(uv_timer_t *pause)
{
        struct link *link = CONTAINER_OF(pause, struct link, pause);

        link->is_retrying = true;
        close_handle(link);
}

static void on_handle_closed(uv_handle_t *handle)
{
        struct link *link = CONTAINER_OF(handle, struct link, handle);
        int r;

        if (link->descriptor >= 0)
                close(link->descriptor);
        if (!link->is_retrying) {
                link->events->on_closed(link);
                return;
        }
        link->is_retrying = false;
        r = begin_to_connect(link);
        if (r < 0) {
                link->events->on_end(link, r);
                link->events->on_closed(link);
        }
}

static void end(struct link *link, int reason)
{
        close_handle(link);
        link->events->on_end(link, reason);
}

/* Writes once, what fits into the buffer; watches for room if there is more to do. */
static void pump(struct link *link)
{
        uint8_t *bytes = link->context->buffer + LINK_READ_MAX;
        size_t length = (size_t)MIN(link->n_wanted - link->n_sent, LINK_WRITE_MAX);

        if (length > 0) {
                ssize_t n;

                link->events->on_fill(link, link->n_sent, bytes, length);
                n = send(link->descriptor, bytes, length, MSG_NOSIGNAL);
                if (n < 0 && errno != EAGAIN && errno != EINTR) {
                        link->send_error = -errno;
                        watch(link, UV_READABLE); /* what has arrived is read before */
                        return;
                }
                link->n_sent += n > 0 ? (uint64_t)n : 0;
        }
        if (link->is_ending && link->n_sent == link->n_wanted) {
                link->is_ending = false;
                shutdown(link->descriptor, SHUT_WR);
        }
        watch(link, UV_READABLE | (link->n_sent < link->n_wanted ? UV_WRITABLE : 0));
}

static void pump_if_open(struct link *link)
{
        if (link->state == LINK_OPEN && !link->is_in_event)
                pump(link);
}

void link_send(struct link *link, uint64_t length)
{
        link->n_wanted += length;
        pump_if_open(link);
}

void link_stop_sending(struct link *link)
{
        link->n_wanted = link->n_sent;
        link_half_close(link);
}

void link_half_close(struct link *link)
{
        link->is_ending = true;
        pump_if_open(link);
}

void link_close(struct link *link)
{
        if (link->is_retrying)
                link->is_retrying = false;
        else if (link->state != LINK_ENDED)
                close_handle(link);
}

static void finish_connecting(struct link *link)
{
        socklen_t length = sizeof(int);
        int error = 0;

        getsockopt(link->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error == 0) {
                link->state = LINK_OPEN;
                link->context->first_address = link->address;
                watch(link, UV_READABLE);
                link->events->on_open(link);
        } else if (link->n_tried < link->context->target->n_addresses) {
                link->is_retrying = true;
                close_handle(link);
        } else {
                end(link, -error);
        }
}

/* Reads once; false if there was nothing, or an end. */
static bool read_once(struct link *link)
{
        ssize_t n = recv(link->descriptor, link->context->buffer, LINK_READ_MAX, 0);

        if (n > 0)
                link->events->on_bytes(link, link->context->buffer, (size_t)n);
        else if (n == 0)
                end(link, link->send_error);
        else if (errno != EAGAIN && errno != EINTR)
                end(link, -errno);
        return n > 0;
}

/* libuv has seen an error and watches no more: what has arrived before it is there still. */
static void read_to_the_end(struct link *link)
{
        while (link->state == LINK_OPEN && read_once(link))
                ;
        if (link->state == LINK_OPEN)
                end(link, -EIO);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
        struct link *link = CONTAINER_OF(poll, struct link, poll);

        link->is_in_event = true;
        if (link->state == LINK_CONNECTING)
                finish_connecting(link);
        else if (status < 0)
                read_to_the_end(link);
        else if (events & UV_READABLE)
                read_once(link);
        link->is_in_event = false;
        pump_if_open(link);
}
