/*
 * The happy path:
 *  1. vestibule_enter() looks whether the header has come already; else the socket is watched.
 *  2. on_readable() peeks at what is there, and takes off the socket what belongs to the header.
 *  3. It is whole: on_announced, and the socket is somebody else's.
 *
 * What can go wrong:
 *  - it is no header, or too long, the stream ends before it does, memory for a part of it cannot
 *    be had: on_ended;
 *  - it is not whole in time: on_due() looks a last time, and then on_ended;
 *  - the socket cannot be watched: vestibule_enter() fails.
 *
 * Peeking costs one more system call for each guest; but no byte behind the header has to be kept,
 * handed on and written before all others.
 */

#include "vestibule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "socket.h"
#include "util.h"

struct seat {
        struct list link;
        uv_poll_t poll;
        struct timer_entry timer;
        struct vestibule *vestibule;
        struct guest guest; /* waited_ms is as he came in */
};

/* What there is to do about a guest, beside the reasons to send him away. */
enum { WAITS = N_VESTIBULE_ENDS, ANNOUNCED };

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_due(struct timer_entry *entry);
static void on_poll_closed(uv_handle_t *handle);

int vestibule_init(struct vestibule *vestibule, uv_loop_t *loop,
                   const struct vestibule_events *events, void *user)
{
        *vestibule = (struct vestibule){.loop = loop, .events = events, .user = user};
        list_init(&vestibule->seats);
        return timers_init(&vestibule->timers, loop, on_due);
}

/* What it means that recv(2) gave nothing. */
static int judge_silence(const struct guest *guest, ssize_t n, int error)
{
        if (n < 0 && (error == EAGAIN || error == EINTR))
                return WAITS;
        return guest->n_bytes > 0 ? VESTIBULE_CUT_OFF : VESTIBULE_PROBE;
}

/* Has the guest keep the first `n_bytes` of the buffer. */
static int keep(struct guest *guest, const uint8_t *buffer, size_t n_bytes)
{
        uint8_t *bytes = realloc(guest->bytes, n_bytes);

        if (!bytes)
                return VESTIBULE_SHORT;
        memcpy(bytes + guest->n_bytes, buffer + guest->n_bytes, n_bytes - guest->n_bytes);
        guest->bytes = bytes;
        guest->n_bytes = n_bytes;
        return WAITS;
}

/* Takes as much of the header off the socket as there is, and nothing behind it. */
static int read_on(struct guest *guest, uint8_t *buffer, struct proxy_header *ret_header)
{
        enum proxy_header_outcome outcome;
        size_t n_wanted;
        ssize_t n;

        if (guest->n_bytes > 0)
                memcpy(buffer, guest->bytes, guest->n_bytes);
        n = recv(guest->descriptor, buffer + guest->n_bytes, PROXY_HEADER_MAX - guest->n_bytes,
                 MSG_PEEK);
        if (n <= 0)
                return judge_silence(guest, n, errno);
        outcome = proxy_header_parse(ret_header, buffer, guest->n_bytes + (size_t)n);
        if (outcome == PROXY_HEADER_MALFORMED)
                return VESTIBULE_MALFORMED;
        if (outcome == PROXY_HEADER_TOO_LONG)
                return VESTIBULE_TOO_LONG;
        n_wanted =
                outcome == PROXY_HEADER_COMPLETE ? ret_header->length - guest->n_bytes : (size_t)n;
        n = recv(guest->descriptor, buffer + guest->n_bytes, n_wanted, 0);
        if (n <= 0)
                return judge_silence(guest, n, errno);
        if (outcome == PROXY_HEADER_COMPLETE && (size_t)n == n_wanted)
                return ANNOUNCED;
        return keep(guest, buffer, guest->n_bytes + (size_t)n);
}

/* Tells what has become of a guest who has no seat any more. */
static void dismiss(struct vestibule *vestibule, const struct guest *guest, int what,
                    const struct proxy_header *header)
{
        const struct vestibule_events *events = vestibule->events;

        free(guest->bytes);
        if (what == ANNOUNCED)
                events->on_announced(vestibule->user, guest->descriptor,
                                     header->has_source ? &header->source : &guest->peer,
                                     guest->listener);
        else
                events->on_ended(vestibule->user, guest->descriptor, &guest->peer, guest->listener,
                                 (enum vestibule_end)what);
}

/* Has a guest watched; his bytes and descriptor are the seat's then. */
static int seat(struct vestibule *vestibule, const struct guest *guest)
{
        uint64_t patience_ms =
                VESTIBULE_PATIENCE_MS - MIN(guest->waited_ms, (uint64_t)VESTIBULE_PATIENCE_MS);
        struct seat *seat = calloc(1, sizeof(*seat));
        int r;

        if (!seat)
                return -ENOMEM;
        r = uv_poll_init(vestibule->loop, &seat->poll, guest->descriptor);
        if (r < 0) {
                free(seat);
                return r;
        }
        r = uv_poll_start(&seat->poll, UV_READABLE, on_readable);
        if (r < 0) {
                uv_close((uv_handle_t *)&seat->poll, on_poll_closed);
                return r;
        }
        seat->vestibule = vestibule;
        seat->guest = *guest;
        timer_entry_init(&seat->timer);
        timers_schedule(&vestibule->timers, &seat->timer, uv_now(vestibule->loop) + patience_ms);
        list_init(&seat->link);
        list_append(&vestibule->seats, &seat->link);
        vestibule->n_guests++;
        return 0;
}

int vestibule_enter(struct vestibule *vestibule, const struct guest *guest)
{
        struct guest entering = *guest;
        struct proxy_header header;
        int what = read_on(&entering, vestibule->buffer, &header), r;

        if (what != WAITS) {
                dismiss(vestibule, &entering, what, &header);
                return 0;
        }
        r = seat(vestibule, &entering);
        if (r < 0)
                free(entering.bytes);
        return r;
}

/* Ends the watch; what the guest has is the caller's. */
static struct guest unseat(struct seat *seat)
{
        struct guest guest = seat->guest;

        list_unlink(&seat->link);
        seat->vestibule->n_guests--;
        timer_wheel_cancel(&seat->timer);
        uv_close((uv_handle_t *)&seat->poll, on_poll_closed);
        return guest;
}

static void on_poll_closed(uv_handle_t *handle)
{
        free(CONTAINER_OF(handle, struct seat, poll));
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
        struct seat *seat = CONTAINER_OF(poll, struct seat, poll);
        struct vestibule *vestibule = seat->vestibule;
        struct proxy_header header;
        struct guest guest;
        int what;

        (void)status; /* an error on the socket shows in recv(2) too */
        (void)events;
        what = read_on(&seat->guest, vestibule->buffer, &header);
        if (what == WAITS)
                return;
        guest = unseat(seat);
        dismiss(vestibule, &guest, what, &header);
}

/* Timers come before sockets: if echod was held up for long, the header may be there all the same.
 */
static void on_due(struct timer_entry *entry)
{
        struct seat *seat = CONTAINER_OF(entry, struct seat, timer);
        struct vestibule *vestibule = seat->vestibule;
        struct proxy_header header;
        int what = read_on(&seat->guest, vestibule->buffer, &header);
        struct guest guest = unseat(seat);

        dismiss(vestibule, &guest, what == WAITS ? VESTIBULE_LATE : what, &header);
}

static struct seat *first(const struct vestibule *vestibule)
{
        struct list *node = vestibule->seats.next;

        return node == &vestibule->seats ? NULL : CONTAINER_OF(node, struct seat, link);
}

bool vestibule_take(struct vestibule *vestibule, struct guest *ret_guest)
{
        struct seat *seat = first(vestibule);
        uint64_t now_ms = uv_now(vestibule->loop), deadline_ms;

        if (!seat)
                return false;
        deadline_ms = MAX(seat->timer.deadline_ms, now_ms);
        *ret_guest = unseat(seat);
        ret_guest->waited_ms = VESTIBULE_PATIENCE_MS - (deadline_ms - now_ms);
        return true;
}

void vestibule_clear(struct vestibule *vestibule)
{
        struct guest guest;

        while (vestibule_take(vestibule, &guest)) {
                socket_reset(guest.descriptor);
                free(guest.bytes);
        }
}

void vestibule_close(struct vestibule *vestibule)
{
        vestibule_clear(vestibule);
        timers_close(&vestibule->timers);
}

const char *vestibule_end_name(enum vestibule_end end)
{
        static const char *const names[N_VESTIBULE_ENDS] = {
                [VESTIBULE_MALFORMED] = "malformed", [VESTIBULE_TOO_LONG] = "too_long",
                [VESTIBULE_LATE] = "late",           [VESTIBULE_CUT_OFF] = "cut_off",
                [VESTIBULE_PROBE] = "probe",         [VESTIBULE_SHORT] = "no_memory",
        };

        return names[end];
}
