/*
 * The happy path:
 *  1. probe_run() begins to connect; on_open() says to whom.
 *  2. on_send_due() sends a message, on_good() prints a line once all of it has come back.
 *  3. After the last, or at an interrupt: end_well() half-closes, to see that no more comes.
 *  4. The server ends the connection, or does not for END_WAIT: on_closed(), and the summary.
 *
 * What can go wrong:
 *  - no connection, or not in time: exit status 2;
 *  - no answer in time: on_late() says so, unless the answer is read first; it counts as received,
 *    but late, if it comes;
 *  - wrong bytes: on_fault() says so; what of the message is right counts, so it is lost;
 *  - the connection ends: said, and the summary follows;
 *  - a line cannot be written: as an interrupt.
 */

#include "probe.h"

#include <errno.h>

#include "alarm.h"
#include "exit_status.h"
#include "histogram.h"
#include "interrupt.h"
#include "link.h"
#include "log.h"
#include "probe_lines.h"
#include "probe_summary.h"
#include "sent_messages.h"
#include "util.h"
#include "verifier.h"

/* Messages that can be remembered; a power of two. More are not under way: at the least interval
 * and the longest time for an answer it would be 3,600,000. */
#define MESSAGES_MAX 4194304

/* How long a server may take to end the connection after the last message. */
#define END_WAIT_NS NS_PER_S

struct probe {
        const struct arguments *arguments;
        const struct target *target;
        uv_loop_t loop;
        struct interrupt interrupt;
        struct alarm sending, lateness; /* the second one: also of connecting and of the end */
        struct link_context context;
        struct link link;
        struct pattern pattern;
        struct verifier verifier;
        struct sent_messages sent;
        struct histogram *times;
        char address[TARGET_TEXT_MAX];
        uint64_t opened_ns, ended_ns;
        uint64_t n_received, n_late, n_faults;
        bool is_open, is_ending, is_broken;
};

static void on_open(struct link *link);
static void on_send_due(void *user);
static void on_fill(struct link *link, uint64_t offset, uint8_t *bytes, size_t length);
static void on_bytes(struct link *link, const uint8_t *bytes, size_t length);
static void on_good(struct verifier *verifier, uint64_t from, uint64_t to);
static void on_fault(struct verifier *verifier, const struct fault *fault);
static void on_late(void *user);
static void on_end(struct link *link, int reason);
static void on_closed(struct link *link);
static void on_interrupt(void *user);

static const struct link_events LINK_EVENTS = {on_open, on_fill, on_bytes, on_end, on_closed};
static const struct verifier_events VERIFIER_EVENTS = {on_good, on_fault};

static uint64_t timeout_ns(const struct probe *probe)
{
        return seconds_to_ns(probe->arguments->timeout_s);
}

static int open_handles(struct probe *probe)
{
        int r = interrupt_start(&probe->interrupt, &probe->loop, on_interrupt, probe);

        if (r == 0)
                r = alarm_init(&probe->sending, &probe->loop, on_send_due, probe);
        if (r == 0)
                r = alarm_init(&probe->lateness, &probe->loop, on_late, probe);
        return r;
}

static void close_handles(struct probe *probe)
{
        interrupt_close(&probe->interrupt);
        alarm_close(&probe->sending);
        alarm_close(&probe->lateness);
}

static int say_failure(const struct probe *probe, int reason)
{
        log_error("echoc: %s: %s", probe->target->name,
                  reason == 0 ? "the server has ended the connection" : uv_strerror(reason));
        return STATUS_USAGE;
}

/* Runs until the connection is closed; a failure before that is returned. */
static int run_loop(struct probe *probe)
{
        int r = open_handles(probe);

        if (r < 0)
                return r; /* the process ends: nothing needs to be undone */
        r = link_open(&probe->link, &probe->context, &LINK_EVENTS);
        if (r < 0)
                close_handles(probe);
        else
                alarm_set(&probe->lateness, uv_hrtime() + timeout_ns(probe));
        uv_run(&probe->loop, UV_RUN_DEFAULT);
        return r;
}

static void on_open(struct link *link)
{
        struct probe *probe = CONTAINER_OF(link, struct probe, link);

        probe->is_open = true;
        probe->opened_ns = uv_hrtime();
        link_format_address(link, probe->address);
        probe_line_heading(probe->arguments, probe->target, probe->address);
        interrupt_if_mute(&probe->interrupt);
        alarm_stop(&probe->lateness);
        on_send_due(probe);
}

static bool has_sent_all(const struct probe *probe)
{
        return probe->arguments->count > 0 && probe->sent.n == probe->arguments->count;
}

static void send_message(struct probe *probe)
{
        bool is_first = probe->sent.n_judged == probe->sent.n;
        uint64_t now_ns = uv_hrtime();
        int r = sent_messages_add(&probe->sent, now_ns);

        if (r < 0) {
                on_end(&probe->link, r);
                link_close(&probe->link);
                return;
        }
        if (is_first)
                alarm_set(&probe->lateness, now_ns + timeout_ns(probe));
        link_send(&probe->link, probe->arguments->size);
}

/* By the schedule, whatever has come back. */
static void on_send_due(void *user)
{
        struct probe *probe = user;

        if (probe->is_ending)
                return;
        if (sent_messages_have_room(&probe->sent))
                send_message(probe);
        if (!has_sent_all(probe))
                alarm_set(&probe->sending,
                          probe->opened_ns + seconds_to_ns((double)probe->sent.n *
                                                           probe->arguments->interval_s));
}

static void on_fill(struct link *link, uint64_t offset, uint8_t *bytes, size_t length)
{
        verifier_fill(&CONTAINER_OF(link, struct probe, link)->verifier, offset, bytes, length);
}

static void on_bytes(struct link *link, const uint8_t *bytes, size_t length)
{
        struct probe *probe = CONTAINER_OF(link, struct probe, link);

        verifier_feed(&probe->verifier, bytes, length);
        interrupt_if_mute(&probe->interrupt);
}

static void end_well(struct probe *probe)
{
        if (probe->is_ending)
                return;
        probe->is_ending = true;
        link_half_close(&probe->link);
        alarm_set(&probe->lateness, uv_hrtime() + END_WAIT_NS);
}

/* Something has come back, or is late: who is next, what can be forgotten, and is it the end? */
static void judge(struct probe *probe)
{
        const struct sent_message *next = sent_messages_judge(&probe->sent);

        if (next)
                alarm_set(&probe->lateness, next->sent_ns + timeout_ns(probe));
        else
                alarm_stop(&probe->lateness);
        sent_messages_forget(&probe->sent,
                             verifier_decided(&probe->verifier) / probe->arguments->size);
        if (!next && has_sent_all(probe))
                end_well(probe);
}

static void take_answer(struct probe *probe, uint64_t index)
{
        struct sent_message *message = sent_messages_find(&probe->sent, index);
        uint64_t time_ns = uv_hrtime() - message->sent_ns;

        message->is_late = message->is_late || time_ns > timeout_ns(probe);
        probe->n_received++;
        probe->n_late += message->is_late;
        histogram_add(probe->times, time_ns);
        probe_line_answer(probe->arguments, probe->address, index, time_ns, message->is_late);
}

/* Bytes from one offset up to another, all of one message. */
static void take_bytes(struct probe *probe, uint64_t from, uint64_t to)
{
        uint64_t size = probe->arguments->size, index = from / size;
        struct sent_message *message = sent_messages_find(&probe->sent, index);

        if (message) {
                message->n_good += (uint32_t)(to - from);
                if (message->n_good == size)
                        take_answer(probe, index);
        } else if (to % size == 0) {
                probe_line_forgotten(probe->arguments, index);
        }
}

static void on_good(struct verifier *verifier, uint64_t from, uint64_t to)
{
        struct probe *probe = CONTAINER_OF(verifier, struct probe, verifier);
        uint64_t size = probe->arguments->size;

        while (from < to) {
                uint64_t end = MIN(to, (from / size + 1) * size);

                take_bytes(probe, from, end);
                from = end;
        }
        if (probe->is_ending)
                return;
        judge(probe);
}

static void on_fault(struct verifier *verifier, const struct fault *fault)
{
        struct probe *probe = CONTAINER_OF(verifier, struct probe, verifier);

        probe->n_faults++;
        probe_line_fault(probe->arguments, fault);
}

static void give_up_message(struct probe *probe)
{
        struct sent_message *message = sent_messages_find(&probe->sent, probe->sent.n_judged);

        verifier_settle(&probe->verifier);
        if (probe->is_ending || message->n_good == probe->arguments->size)
                return; /* that has mended it */
        probe_line_missing(probe->arguments, probe->sent.n_judged, message->n_good);
        message->is_late = true;
        interrupt_if_mute(&probe->interrupt);
        judge(probe);
}

static void on_late(void *user)
{
        struct probe *probe = user;

        if (!probe->is_open) {
                on_end(&probe->link, -ETIMEDOUT);
                link_close(&probe->link);
        } else if (probe->is_ending) {
                link_close(&probe->link);
        } else {
                give_up_message(probe);
        }
}

/* Said only if it is not what we have asked for. After a server's end of file no more will come. */
static void on_end(struct link *link, int reason)
{
        struct probe *probe = CONTAINER_OF(link, struct probe, link);

        if (reason == 0)
                verifier_finish(&probe->verifier);
        if (reason == 0 && probe->is_ending)
                return;
        probe->is_broken = true;
        say_failure(probe, reason);
}

static void on_closed(struct link *link)
{
        struct probe *probe = CONTAINER_OF(link, struct probe, link);

        probe->ended_ns = uv_hrtime();
        probe->is_ending = true;
        verifier_settle(&probe->verifier);
        close_handles(probe);
}

/* Whatever has kept us from noticing it. */
static void give_up_overdue(struct probe *probe)
{
        uint64_t now_ns = uv_hrtime();

        while (!probe->is_ending) {
                const struct sent_message *next = sent_messages_judge(&probe->sent);

                if (!next || now_ns < next->sent_ns + timeout_ns(probe))
                        return;
                give_up_message(probe);
        }
}

static void on_interrupt(void *user)
{
        struct probe *probe = user;

        give_up_overdue(probe);
        probe->is_ending = true;
        link_close(&probe->link);
}

/* After an interrupt, what could still have come in time is not lost. */
static int summarize(const struct probe *probe)
{
        const struct probe_summary summary = {
                .n_sent = probe->sent.n,
                .n_received = probe->n_received,
                .n_late = probe->n_late,
                .n_under_way = probe->is_broken ? 0 : sent_messages_under_way(&probe->sent),
                .n_faults = probe->n_faults,
                .is_broken = probe->is_broken,
                .duration_ns = probe->ended_ns - probe->opened_ns,
                .times = probe->times,
        };

        return probe_summary_print(&summary, probe->target->host);
}

static int run(struct probe *probe)
{
        int r = uv_loop_init(&probe->loop);

        if (r == 0)
                r = link_context_init(&probe->context, &probe->loop, probe->target, 0);
        pattern_init(&probe->pattern, probe->arguments->seed);
        verifier_init(&probe->verifier, &probe->pattern, &VERIFIER_EVENTS, 0, 1);
        if (r == 0)
                r = run_loop(probe);
        link_context_free(&probe->context);
        uv_loop_close(&probe->loop);
        if (r < 0)
                return say_failure(probe, r);
        return probe->is_open ? summarize(probe) : STATUS_USAGE;
}

int probe_run(const struct arguments *arguments, const struct target *target)
{
        struct probe probe = {.arguments = arguments, .target = target};
        int status;

        sent_messages_init(&probe.sent, arguments->size, MESSAGES_MAX);
        probe.times = histogram_new();
        status = probe.times ? run(&probe) : say_failure(&probe, -ENOMEM);
        histogram_free(probe.times);
        sent_messages_free(&probe.sent);
        return status;
}
