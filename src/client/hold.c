/*
 * The happy path:
 *  1. open_some() opens a few connections at a time. On each, on_open() sends a message; when it is
 *     back the next connections follow. After the last one: begin_to_hold().
 *  2. After the time that was asked for, or at an interrupt: begin_to_end() sends once more on
 * each. Whose answer is back half-closes, so that whatever comes after it is seen.
 *  3. When the server has closed them all, or is late: close_all(), and the result.
 *
 * What can go wrong, each counted under its name, which the connection then keeps:
 *  - it cannot be opened;
 *  - it is reset or ended by the server: said at once, with the time;
 *  - the first or the last answer does not come in time;
 *  - other bytes come back.
 *
 * An interrupt while they are opened: those that are not open yet have not been tried. A line that
 * cannot be written is as an interrupt.
 */

#include "hold.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "alarm.h"
#include "exit_status.h"
#include "fates.h"
#include "interrupt.h"
#include "link.h"
#include "log.h"
#include "open_files.h"
#include "util.h"
#include "verifier.h"

/* Connections whose first answer may be missing at once. */
#define OPENING_MAX 64

enum phase { PHASE_OPENING, PHASE_HOLDING, PHASE_ENDING, PHASE_OVER };

struct hold;

struct held {
        struct hold *hold;
        struct link link;
        struct verifier verifier;
        uint32_t number;
        enum fate fate;
        uint64_t begun_ns;
        uint64_t n_back; /* bytes */
        bool is_up, is_settled;
        bool is_answered; /* for the last time, and half-closed */
        bool is_closed;   /* or about to be */
};

struct hold {
        const struct arguments *arguments;
        const struct target *target;
        uv_loop_t loop;
        struct interrupt interrupt;
        struct alarm deadline;
        struct link_context context;
        struct pattern pattern;
        struct held *held;
        enum phase phase;
        uint64_t held_ns, ended_ns; /* idle from then to then */
        uint64_t n_started, n_settled, n_open, n_opened;
        uint64_t n_judged;    /* the first so many are settled */
        uint64_t n_abandoned; /* of those started, at an interrupt */
        struct fates fates;
        bool is_opening_more; /* one is enough on the stack */
};

static void open_some(struct hold *hold);
static void on_open(struct link *link);
static void on_fill(struct link *link, uint64_t offset, uint8_t *bytes, size_t length);
static void on_bytes(struct link *link, const uint8_t *bytes, size_t length);
static void on_good(struct verifier *verifier, uint64_t from, uint64_t to);
static void on_fault(struct verifier *verifier, const struct fault *fault);
static void on_deadline(void *user);
static void on_interrupt(void *user);
static void on_end(struct link *link, int reason);
static void on_closed(struct link *link);

static const struct link_events LINK_EVENTS = {on_open, on_fill, on_bytes, on_end, on_closed};
static const struct verifier_events VERIFIER_EVENTS = {on_good, on_fault};

static uint64_t timeout_ns(const struct hold *hold)
{
        return seconds_to_ns(hold->arguments->timeout_s);
}

static void meet_fate(struct held *held, enum fate fate, const char *what)
{
        fates_meet(&held->hold->fates, &held->fate, held->number, fate, what);
        interrupt_if_mute(&held->hold->interrupt);
}

static void close_held(struct held *held)
{
        held->is_closed = true;
        link_close(&held->link);
}

/* Who is still waited for has no answer. */
static void close_all(struct hold *hold)
{
        if (hold->phase == PHASE_OVER)
                return;
        hold->phase = PHASE_OVER;
        if (hold->ended_ns == 0)
                hold->ended_ns = uv_hrtime();
        for (uint64_t i = 0; i < hold->n_started; i++) {
                struct held *held = &hold->held[i];

                if (held->is_closed)
                        continue;
                verifier_settle(&held->verifier);
                if (!held->is_answered)
                        meet_fate(held, FATE_TIMEOUT, NULL);
                close_held(held);
        }
        interrupt_close(&hold->interrupt);
        alarm_close(&hold->deadline);
}

static void begin_to_hold(struct hold *hold)
{
        hold->phase = PHASE_HOLDING;
        hold->held_ns = uv_hrtime();
        if (hold->n_open == 0) {
                close_all(hold);
                return;
        }
        printf("%" PRIu64 " of %" PRIu64 " open after %.3f s\n", hold->n_open,
               hold->arguments->n_connections, ns_to_seconds(uv_hrtime() - hold->fates.began_ns));
        interrupt_if_mute(&hold->interrupt);
        alarm_set(&hold->deadline, hold->held_ns + seconds_to_ns(hold->arguments->seconds));
}

/* Its first answer is back, or it will not be. */
static void settle(struct held *held)
{
        struct hold *hold = held->hold;

        if (held->is_settled)
                return;
        held->is_settled = true;
        hold->n_settled++;
        if (hold->phase != PHASE_OPENING)
                return;
        if (hold->n_settled == hold->arguments->n_connections)
                begin_to_hold(hold);
        else
                open_some(hold);
}

static void fail_to_open(struct held *held, int reason)
{
        held->is_closed = true;
        meet_fate(held, FATE_NOT_OPENED, uv_strerror(reason));
        settle(held);
}

static void open_one(struct hold *hold, uint32_t number)
{
        struct held *held = &hold->held[number];
        int r;

        held->hold = hold;
        held->number = number;
        held->begun_ns = uv_hrtime();
        verifier_init(&held->verifier, &hold->pattern, &VERIFIER_EVENTS, number,
                      (uint32_t)hold->arguments->n_connections);
        r = link_open(&held->link, &hold->context, &LINK_EVENTS);
        if (r < 0)
                fail_to_open(held, r);
}

/* Each has its own time, from when it was begun; and they are begun in turn. */
static void await_first_answers(struct hold *hold)
{
        while (hold->n_judged < hold->n_started && hold->held[hold->n_judged].is_settled)
                hold->n_judged++;
        if (hold->phase == PHASE_OPENING && hold->n_judged < hold->n_started)
                alarm_set(&hold->deadline, hold->held[hold->n_judged].begun_ns + timeout_ns(hold));
}

static void open_some(struct hold *hold)
{
        if (hold->is_opening_more)
                return;
        hold->is_opening_more = true;
        while (hold->n_started < hold->arguments->n_connections &&
               hold->n_started - hold->n_settled < OPENING_MAX)
                open_one(hold, (uint32_t)hold->n_started++);
        hold->is_opening_more = false;
        await_first_answers(hold);
}

static void on_open(struct link *link)
{
        struct held *held = CONTAINER_OF(link, struct held, link);

        held->is_up = true;
        held->hold->n_open++;
        held->hold->n_opened++;
        link_send(link, held->hold->arguments->size);
}

static void on_fill(struct link *link, uint64_t offset, uint8_t *bytes, size_t length)
{
        verifier_fill(&CONTAINER_OF(link, struct held, link)->verifier, offset, bytes, length);
}

/* The first answer, or the last one. */
static bool is_late(const struct held *held)
{
        uint64_t since_ns = held->is_settled ? held->hold->ended_ns : held->begun_ns;

        return since_ns > 0 && uv_hrtime() > since_ns + timeout_ns(held->hold);
}

static void on_bytes(struct link *link, const uint8_t *bytes, size_t length)
{
        struct held *held = CONTAINER_OF(link, struct held, link);
        struct hold *hold = held->hold;

        verifier_feed(&held->verifier, bytes, length);
        if (is_late(held))
                return; /* on_deadline() is due */
        if (held->n_back >= hold->arguments->size)
                settle(held);
        if (held->n_back < 2 * hold->arguments->size || held->is_answered)
                return;
        held->is_answered = true;
        link_half_close(&held->link);
}

static void on_good(struct verifier *verifier, uint64_t from, uint64_t to)
{
        CONTAINER_OF(verifier, struct held, verifier)->n_back += to - from;
}

static void on_fault(struct verifier *verifier, const struct fault *fault)
{
        char text[FAULT_TEXT_MAX];

        meet_fate(CONTAINER_OF(verifier, struct held, verifier), FATE_WRONG,
                  fault_format(fault, text));
}

static void give_up(struct held *held)
{
        verifier_settle(&held->verifier);
        meet_fate(held, held->is_up ? FATE_TIMEOUT : FATE_NOT_OPENED,
                  held->is_up ? "no answer" : "no connection");
        held->hold->n_open -= held->is_up;
        close_held(held);
}

/* Those without a connection can have no answer. */
static void begin_to_end(struct hold *hold)
{
        hold->phase = PHASE_ENDING;
        hold->ended_ns = uv_hrtime();
        alarm_set(&hold->deadline, hold->ended_ns + timeout_ns(hold));
        for (uint64_t i = 0; i < hold->n_started; i++)
                if (!hold->held[i].is_closed)
                        link_send(&hold->held[i].link, hold->arguments->size);
}

/* Opening goes on with the next ones after those that have not come up in time. */
static void give_up_openings(struct hold *hold)
{
        uint64_t now_ns = uv_hrtime();

        for (uint64_t i = hold->n_judged; i < hold->n_started; i++) {
                struct held *held = &hold->held[i];

                if (held->is_settled || now_ns < held->begun_ns + timeout_ns(hold))
                        continue;
                give_up(held);
                settle(held);
        }
        await_first_answers(hold);
}

static void give_up_last_answers(struct hold *hold)
{
        for (uint64_t i = 0; i < hold->n_started; i++)
                if (!hold->held[i].is_closed && !hold->held[i].is_answered)
                        give_up(&hold->held[i]);
}

static void on_deadline(void *user)
{
        struct hold *hold = user;

        if (hold->phase == PHASE_OPENING) {
                give_up_openings(hold);
        } else if (hold->phase == PHASE_HOLDING) {
                begin_to_end(hold);
        } else if (hold->phase == PHASE_ENDING) {
                give_up_last_answers(hold);
                close_all(hold);
        }
}

/* No more of them than there are. */
static void abandon_openings(struct hold *hold)
{
        for (uint64_t i = 0; i < hold->n_started; i++) {
                struct held *held = &hold->held[i];

                if (held->is_closed || held->is_up)
                        continue;
                hold->n_abandoned++;
                close_held(held);
        }
        begin_to_hold(hold);
}

/* The first one cuts the opening and the holding short, the second one everything. */
static void on_interrupt(void *user)
{
        struct hold *hold = user;

        if (hold->phase == PHASE_OPENING)
                abandon_openings(hold);
        if (hold->phase == PHASE_HOLDING)
                begin_to_end(hold);
        else if (hold->phase != PHASE_OVER)
                close_all(hold);
}

static void on_end(struct link *link, int reason)
{
        struct held *held = CONTAINER_OF(link, struct held, link);
        struct hold *hold = held->hold;

        if (!held->is_up) {
                fail_to_open(held, reason);
                return;
        }
        verifier_settle(&held->verifier);
        if (reason < 0)
                meet_fate(held, FATE_RESET, uv_strerror(reason));
        else if (!held->is_answered)
                meet_fate(held, FATE_ENDED, "ended by the server");
        held->is_closed = true;
        hold->n_open--;
        settle(held);
        if (hold->phase != PHASE_OPENING && hold->n_open == 0)
                close_all(hold);
}

static void on_closed(struct link *link)
{
        CONTAINER_OF(link, struct held, link)->is_closed = true;
}

static int start(struct hold *hold)
{
        int r = uv_loop_init(&hold->loop);

        hold->held = calloc(hold->arguments->n_connections, sizeof(*hold->held));
        if (!hold->held)
                return -ENOMEM;
        if (r == 0)
                r = link_context_init(&hold->context, &hold->loop, hold->target, 0);
        if (r == 0)
                r = interrupt_start(&hold->interrupt, &hold->loop, on_interrupt, hold);
        if (r == 0)
                r = alarm_init(&hold->deadline, &hold->loop, on_deadline, hold);
        printf("HOLD %s: %" PRIu64 " connections for %.15g s.\n", hold->target->name,
               hold->arguments->n_connections, hold->arguments->seconds);
        pattern_init(&hold->pattern, hold->arguments->seed);
        hold->held_ns = hold->fates.began_ns = uv_hrtime();
        if (r == 0)
                open_some(hold);
        return r;
}

static int summarize(const struct hold *hold)
{
        uint64_t n = hold->n_started - hold->n_abandoned;
        uint64_t n_good = fates_good(&hold->fates, hold->n_opened);
        uint64_t n_untried = hold->arguments->n_connections - n;

        printf("%" PRIu64 " opened, held for %.3f s, %" PRIu64 " still echo, %" PRIu64 " lost",
               hold->n_opened, ns_to_seconds(hold->ended_ns - hold->held_ns), n_good, n - n_good);
        fates_print(&hold->fates);
        if (n_untried > 0)
                printf("; %" PRIu64 " not tried", n_untried);
        putchar('\n');
        if (hold->n_opened == 0)
                return STATUS_USAGE;
        return n_good == n ? STATUS_GOOD : STATUS_BAD;
}

int hold_run(const struct arguments *arguments, const struct target *target)
{
        struct hold hold = {.arguments = arguments, .target = target};
        int r, status = STATUS_USAGE;

        if (open_files_check(arguments->n_connections, 1) < 0)
                return STATUS_USAGE;
        r = start(&hold);
        if (r < 0) {
                log_error("echoc: %s: %s", target->name, uv_strerror(r));
        } else {
                uv_run(&hold.loop, UV_RUN_DEFAULT);
                uv_loop_close(&hold.loop);
                status = summarize(&hold);
        }
        link_context_free(&hold.context);
        free(hold.held);
        return status;
}
