/*
 * The happy path:
 *  1. load_link_open() begins to connect; on_open(). With --connect it begins only at 2.
 *  2. load_link_go() sends: as many messages as the depth allows, one byte, or without end.
 *  3. on_good() counts what came back; on_bytes() sends the next.
 *  4. load_link_stop(): once everything is back, half_close(). With --connect that is after the
 *     first byte.
 *  5. The server ends the connection: on_end(), on_closed(), on_gone(); with --connect it begins
 *     again before.
 *
 * What can go wrong:
 *  - it cannot connect, or the connection ends early: counted, and the link is not opened again;
 *  - wrong bytes: counted, the first few remembered; the connection goes on, but a message without
 *    all of its own bytes has not come back;
 *  - the server does not close, with --connect: load_link_sweep() does;
 *  - not everything comes back until load_link_quit(): the answers that are missing are counted,
 *    and the bytes are lost.
 */

#include "load_link.h"

#include <errno.h>
#include <stdlib.h>

#include "alarm.h"
#include "util.h"

/* More than can be sent. */
#define WITHOUT_END (UINT64_MAX / 2)

static void on_open(struct link *link);
static void on_fill(struct link *link, uint64_t offset, uint8_t *bytes, size_t length);
static void on_bytes(struct link *link, const uint8_t *bytes, size_t length);
static void on_good(struct verifier *verifier, uint64_t from, uint64_t to);
static void on_fault(struct verifier *verifier, const struct fault *fault);
static void on_end(struct link *link, int reason);
static void on_closed(struct link *link);
static void begin(struct load_link *link);

static const struct link_events LINK_EVENTS = {on_open, on_fill, on_bytes, on_end, on_closed};
static const struct verifier_events VERIFIER_EVENTS = {on_good, on_fault};

static void count_error(struct load_link *link, enum load_error error, uint64_t n)
{
        load_count(&link->context->counters.errors[error], n);
}

static void attempted(struct load_link *link)
{
        if (link->is_attempted)
                return;
        link->is_attempted = true;
        link->context->on_attempted(link->context);
}

static void gone(struct load_link *link)
{
        link->is_gone = true;
        link->context->on_gone(link->context);
}

static void fail_to_connect(struct load_link *link, int reason)
{
        count_error(link, LOAD_NOT_CONNECTED, 1);
        if (link->context->first_failure == 0)
                link->context->first_failure = reason;
        attempted(link);
}

/* The socket, which with --connect is one of many. */
static void connect_link(struct load_link *link)
{
        struct load_context *context = link->context;
        int r;

        link->is_started = true;
        link->is_open = link->is_half_closed = link->is_ended = link->is_well = false;
        link->began_ns = uv_hrtime();
        load_messages_reset(&link->messages);
        verifier_init(&link->verifier, context->pattern, &VERIFIER_EVENTS, link->number,
                      (uint32_t)context->arguments->n_connections);
        r = link_open(&link->link, &context->links, &LINK_EVENTS);
        if (r == 0)
                return;
        fail_to_connect(link, r);
        gone(link);
}

void load_link_init(struct load_link *link, struct load_context *context, uint32_t number,
                    struct load_message *room)
{
        const struct arguments *arguments = context->arguments;

        *link = (struct load_link){.context = context, .number = number};
        load_messages_init(&link->messages, room, room + arguments->depth,
                           arguments->is_connect ? 1 : arguments->size, arguments->depth);
}

void load_link_open(struct load_link *link)
{
        if (link->context->arguments->is_connect && !link->context->is_running)
                attempted(link);
        else
                connect_link(link);
}

static void on_open(struct link *inner)
{
        struct load_link *link = CONTAINER_OF(inner, struct load_link, link);

        link->is_open = true;
        load_count(&link->context->counters.n_opened, 1);
        attempted(link);
        if (link->context->is_stopping)
                load_link_stop(link);
        else if (link->context->is_running)
                begin(link);
}

void load_link_go(struct load_link *link)
{
        if (link->is_gone)
                return;
        if (link->context->arguments->is_connect)
                connect_link(link);
        else if (link->is_open)
                begin(link);
}

static void send_messages(struct load_link *link, uint64_t n)
{
        load_count(&link->context->counters.n_sent, n);
        if (n > 0)
                link_send(&link->link, n * link->messages.size);
}

static void fill_depth(struct load_link *link)
{
        uint64_t n = load_messages_room(&link->messages), now_ns = uv_hrtime();

        for (uint64_t i = 0; i < n; i++)
                load_messages_send(&link->messages, now_ns);
        send_messages(link, n);
}

static void send_by_rate(struct load_link *link)
{
        const struct load_schedule *schedule = &link->context->schedule;
        struct load_messages *messages = &link->messages;
        uint64_t first = messages->n_sent, end = first + load_messages_room(messages);

        end = MIN(end, load_schedule_count(schedule, link->number, uv_hrtime()));
        while (messages->n_sent < end)
                load_messages_send(messages,
                                   load_schedule_due_ns(schedule, link->number, messages->n_sent));
        send_messages(link, messages->n_sent - first);
        if (link->context->is_full && load_link_has_room(link))
                link->context->on_room(link->context);
}

bool load_link_has_room(const struct load_link *link)
{
        return link->is_open && load_messages_room(&link->messages) > 0;
}

void load_link_send_due(struct load_link *link)
{
        if (link->context->is_stopping || !link->is_open)
                return;
        if (link->context->arguments->rate > 0)
                send_by_rate(link);
        else
                fill_depth(link);
}

/* The one byte, which counts from when the connection was begun. */
static void send_byte(struct load_link *link)
{
        load_messages_send(&link->messages, link->began_ns);
        send_messages(link, 1);
}

static void begin(struct load_link *link)
{
        const struct arguments *arguments = link->context->arguments;

        if (arguments->is_bulk)
                link_send(&link->link, WITHOUT_END);
        else if (arguments->is_connect)
                send_byte(link);
        else
                load_link_send_due(link);
}

static void on_fill(struct link *link, uint64_t offset, uint8_t *bytes, size_t length)
{
        verifier_fill(&CONTAINER_OF(link, struct load_link, link)->verifier, offset, bytes, length);
}

static void half_close(struct load_link *link)
{
        if (link->is_half_closed)
                return;
        link->is_half_closed = true;
        link->half_closed_ns = uv_hrtime();
        link_half_close(&link->link);
}

/* No message will follow the one that is under way. */
static bool is_last(const struct load_context *context)
{
        return context->is_stopping || context->arguments->is_connect;
}

static bool is_all_back(const struct load_link *link)
{
        return link->messages.n_passed == link->messages.n_sent;
}

static void on_bytes(struct link *inner, const uint8_t *bytes, size_t length)
{
        struct load_link *link = CONTAINER_OF(inner, struct load_link, link);
        const struct verifier *verifier = &link->verifier;

        verifier_feed(&link->verifier, bytes, length);
        if (link->context->arguments->is_bulk)
                return;
        load_count(&link->context->counters.n_over,
                   load_messages_pass(&link->messages, verifier->high, verifier->gap_start,
                                      verifier->gap_end));
        if (is_all_back(link) && is_last(link->context))
                half_close(link);
        else
                load_link_send_due(link);
}

static void on_good(struct verifier *verifier, uint64_t from, uint64_t to)
{
        struct load_link *link = CONTAINER_OF(verifier, struct load_link, verifier);
        struct load_context *context = link->context;

        load_count(&context->counters.n_bytes, to - from);
        if (!context->arguments->is_bulk)
                load_count(&context->counters.n_received,
                           load_messages_take(&link->messages, from, to, uv_hrtime(),
                                              context->latencies));
}

static void on_fault(struct verifier *verifier, const struct fault *fault)
{
        struct load_link *link = CONTAINER_OF(verifier, struct load_link, verifier);
        struct load_context *context = link->context;

        load_count(&context->counters.faults[fault->kind], 1);
        if (context->n_told < LOAD_FAULTS_TOLD)
                context->told[context->n_told++] = (struct load_told_fault){link->number, *fault};
}

void load_link_stop(struct load_link *link)
{
        if (link->is_gone)
                return;
        if (!link->is_started) {
                if (!link->context->arguments->is_connect && link->context->is_running)
                        count_error(link, LOAD_NOT_CONNECTED, 1);
                gone(link);
        } else if (link->context->arguments->is_bulk && link->is_open) {
                link->is_half_closed = true;
                link_stop_sending(&link->link);
        } else if (link->is_open && is_all_back(link)) {
                half_close(link);
        }
}

/* Nothing more will come. What the socket did not take has not been sent. */
static void account(struct load_link *link)
{
        struct load_context *context = link->context;
        uint64_t n_under_way = link->messages.n_sent - link->messages.n_passed;

        load_count(&context->counters.n_closed, link->is_open ? 1 : 0);
        link->verifier.n_sent = MIN(link->verifier.n_sent, link->link.n_sent);
        verifier_finish(&link->verifier);
        load_count(&context->counters.n_over, n_under_way);
        count_error(link, LOAD_UNANSWERED,
                    load_messages_give_up(&link->messages, uv_hrtime(), context->latencies));
}

void load_link_sweep(struct load_link *link)
{
        if (!link->is_open || !link->is_half_closed ||
            uv_hrtime() - link->half_closed_ns < LOAD_LINGER_NS)
                return;
        account(link);
        link->is_open = false;
        link->is_ended = link->is_well = true;
        link_close(&link->link);
}

void load_link_quit(struct load_link *link)
{
        if (link->is_gone || link->is_ended)
                return;
        link->is_ended = true;
        if (!link->is_open && link->context->is_running)
                fail_to_connect(link, -ETIMEDOUT);
        account(link);
        link_close(&link->link);
}

static void on_end(struct link *inner, int reason)
{
        struct load_link *link = CONTAINER_OF(inner, struct load_link, link);
        bool is_expected = reason == 0 && link->is_half_closed;

        if (!link->is_open)
                fail_to_connect(link, reason);
        else if (!is_expected)
                count_error(link, reason == 0 ? LOAD_ENDED : LOAD_RESET, 1);
        account(link);
        link->is_open = false;
        link->is_ended = true;
        link->is_well = is_expected;
}

static void on_closed(struct link *inner)
{
        struct load_link *link = CONTAINER_OF(inner, struct load_link, link);
        const struct load_context *context = link->context;

        link->is_open = false;
        if (context->arguments->is_connect && link->is_well && !context->is_stopping)
                connect_link(link);
        else
                gone(link);
}

void load_link_drop_due(const struct load_link *link, uint64_t now_ns, uint64_t n_values)
{
        struct load_context *context = link->context;
        const struct load_schedule *schedule = &context->schedule;
        uint64_t n_sent = link->messages.n_sent;
        uint64_t n_due = load_schedule_count(schedule, link->number, now_ns);

        if (n_due <= n_sent)
                return;
        load_count(&context->counters.n_unsent, n_due - n_sent);
        load_schedule_add_waits(schedule, link->number, n_sent, n_due, now_ns, n_values,
                                context->latencies);
}
