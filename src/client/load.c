/*
 * The happy path:
 *  1. start() makes the threads, which connect; when all are READY, on_change() lets them go.
 *  2. After the time that was asked for on_deadline() stops them: they wait for what is under way.
 *  3. When all are DONE, on_change() closes the handles, and the results are merged and printed.
 *
 * What can go wrong:
 *  - not all connect within OPENING_S: it begins with those that have, or ends if none is open;
 *  - none was ever open: exit status 2, and no result;
 *  - not everything is back DRAIN_S after the stop: what is missing is lost;
 *  - an interrupt: as if the time were over; while they connect it is over before it has begun;
 *  - a second one: as if DRAIN_S were.
 */

#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "alarm.h"
#include "exit_status.h"
#include "interrupt.h"
#include "load_report.h"
#include "load_thread.h"
#include "log.h"
#include "open_files.h"
#include "terminal.h"
#include "util.h"

#define OPENING_S 10
#define DRAIN_S   5

struct load {
        const struct arguments *arguments;
        const struct target *target;
        uv_loop_t loop;
        uv_async_t change;
        struct interrupt interrupt;
        struct alarm deadline, progress;
        struct pattern pattern;
        struct load_thread **threads;
        enum load_phase phase;
        uint64_t started_ns, stopped_ns;
        struct load_totals at_stop, at_progress;
        uint64_t progress_ns;
        bool shows_progress;
};

static void on_change(uv_async_t *change);
static void on_progress(void *user);
static void on_deadline(void *user);
static void on_interrupt(void *user);

static int say_failure(const struct load *load, int reason)
{
        log_error("echoc: %s: %s", load->target->name, uv_strerror(reason));
        return STATUS_USAGE;
}

/* The kernel's word for it is about an address, and so it is unless one has been open. */
static void say_why_not_connected(const struct load *load, int reason, uint64_t n_opened)
{
        if (reason == -EADDRNOTAVAIL && n_opened > 0)
                log_error("echoc: %s: no local port is free", load->target->name);
        else if (reason == -EADDRNOTAVAIL)
                log_error("echoc: %s: no local port is free, or no local address fits",
                          load->target->name);
        else
                say_failure(load, reason);
}

static void command_all(struct load *load, void (*command)(struct load_thread *thread))
{
        for (size_t i = 0; i < load->arguments->n_threads; i++)
                command(load->threads[i]);
}

static bool all_are_at(const struct load *load, enum load_phase phase)
{
        for (size_t i = 0; i < load->arguments->n_threads; i++)
                if (load_thread_phase(load->threads[i]) < phase)
                        return false;
        return true;
}

static struct load_totals add_up(const struct load *load)
{
        struct load_totals totals = {0};

        for (size_t i = 0; i < load->arguments->n_threads; i++)
                load_totals_add(&totals, load_thread_counters(load->threads[i]));
        return totals;
}

/* On failure the process ends: nothing needs to be undone. */
static int open_handles(struct load *load)
{
        int r = uv_loop_init(&load->loop);

        if (r == 0)
                r = uv_async_init(&load->loop, &load->change, on_change);
        if (r == 0)
                r = interrupt_start(&load->interrupt, &load->loop, on_interrupt, load);
        if (r == 0)
                r = alarm_init(&load->deadline, &load->loop, on_deadline, load);
        if (r == 0)
                r = alarm_init(&load->progress, &load->loop, on_progress, load);
        return r;
}

static void close_handles(struct load *load)
{
        uv_close((uv_handle_t *)&load->change, NULL);
        interrupt_close(&load->interrupt);
        alarm_close(&load->deadline);
        alarm_close(&load->progress);
}

static int start(struct load *load)
{
        size_t n = load->arguments->n_threads;
        int r = open_handles(load);

        if (r < 0)
                return r;
        load->threads = calloc(n, sizeof(struct load_thread *));
        if (!load->threads)
                return -ENOMEM;
        pattern_init(&load->pattern, load->arguments->seed);
        for (unsigned i = 0; r == 0 && i < n; i++)
                r = load_thread_start(&load->threads[i], load->arguments, load->target,
                                      &load->pattern, i, &load->change);
        alarm_set(&load->deadline, uv_hrtime() + OPENING_S * NS_PER_S);
        return r;
}

static void go(struct load *load)
{
        load->phase = LOAD_RUNNING;
        load->started_ns = load->progress_ns = uv_hrtime();
        for (size_t i = 0; i < load->arguments->n_threads; i++)
                load_thread_go(load->threads[i], load->started_ns);
        alarm_set(&load->deadline, load->started_ns + seconds_to_ns(load->arguments->seconds));
        if (load->shows_progress)
                alarm_set(&load->progress, load->started_ns + NS_PER_S);
}

static void stop(struct load *load)
{
        load->stopped_ns = uv_hrtime();
        if (load->phase == LOAD_OPENING)
                load->started_ns = load->stopped_ns;
        load->phase = LOAD_DRAINING;
        load->at_stop = add_up(load);
        command_all(load, load_thread_stop);
        alarm_set(&load->deadline, load->stopped_ns + DRAIN_S * NS_PER_S);
}

static void finish(struct load *load)
{
        if (load->phase < LOAD_DRAINING)
                stop(load);
        load->phase = LOAD_DONE;
        close_handles(load);
}

static void on_change(uv_async_t *change)
{
        struct load *load = CONTAINER_OF(change, struct load, change);

        if (load->phase < LOAD_DONE && all_are_at(load, LOAD_DONE))
                finish(load);
        else if (load->phase == LOAD_OPENING && all_are_at(load, LOAD_READY))
                go(load);
}

static void on_progress(void *user)
{
        struct load *load = user;
        uint64_t now_ns = uv_hrtime();
        struct load_totals now = add_up(load);

        load_report_progress(&load->at_progress, &now, ns_to_seconds(now_ns - load->progress_ns),
                             load->arguments->is_bulk, terminal_width(STDERR_FILENO));
        load->at_progress = now;
        load->progress_ns = now_ns;
        alarm_set(&load->progress, now_ns + NS_PER_S);
}

static bool is_any_open(const struct load *load)
{
        struct load_totals now = add_up(load);

        return now.n_opened > now.n_closed;
}

/* As if its time were over at once: those that have not connected count. */
static void give_up(struct load *load)
{
        go(load);
        stop(load);
        command_all(load, load_thread_quit);
}

static void on_deadline(void *user)
{
        struct load *load = user;

        if (load->phase == LOAD_OPENING && !is_any_open(load))
                give_up(load);
        else if (load->phase == LOAD_OPENING)
                go(load);
        else if (load->phase == LOAD_RUNNING)
                stop(load);
        else
                command_all(load, load_thread_quit);
}

static void on_interrupt(void *user)
{
        struct load *load = user;

        if (load->phase < LOAD_DRAINING)
                stop(load);
        else
                command_all(load, load_thread_quit);
}

static void tell_faults(const struct load_context *results)
{
        char text[FAULT_TEXT_MAX];

        for (unsigned i = 0; i < results->n_told; i++)
                log_error("echoc: connection %u, %s", results->told[i].connection,
                          fault_format(&results->told[i].fault, text));
}

/* The threads' results; returns the first failure to connect. */
static int merge(struct load *load, struct histogram *latencies)
{
        int failure = 0;

        for (size_t i = 0; i < load->arguments->n_threads; i++) {
                const struct load_context *results = load_thread_results(load->threads[i]);

                load_thread_drop_due(load->threads[i], load->stopped_ns);
                histogram_merge(latencies, results->latencies);
                tell_faults(results);
                failure = failure < 0 ? failure : results->first_failure;
        }
        return failure;
}

static int report(struct load *load, const struct histogram *latencies, int failure)
{
        const struct load_report report = {
                .arguments = load->arguments,
                .seconds = ns_to_seconds(load->stopped_ns - load->started_ns),
                .at_stop = load->at_stop,
                .at_end = add_up(load),
                .latencies = latencies,
                .n_columns = terminal_width(STDOUT_FILENO),
                .is_utf8 = terminal_is_utf8(),
        };

        if (failure < 0)
                say_why_not_connected(load, failure, report.at_end.n_opened);
        if (failure < 0 && report.at_end.n_opened == 0)
                return STATUS_USAGE;
        if (load->arguments->is_json)
                load_report_print_json(&report);
        else
                load_report_print(&report);
        return load_totals_bad(&report.at_end) > 0 ? STATUS_BAD : STATUS_GOOD;
}

static void release(struct load *load)
{
        command_all(load, load_thread_free);
        free(load->threads);
        uv_loop_close(&load->loop);
}

static void print_heading(const struct load *load)
{
        const struct arguments *arguments = load->arguments;

        if (arguments->is_json)
                return;
        printf("LOAD %s: connections: %" PRIu64, load->target->name, arguments->n_connections);
        if (arguments->is_bulk)
                printf(", streams");
        else if (arguments->is_connect)
                printf(", opened again and again");
        else
                printf(", size: %" PRIu64 ", depth: %" PRIu64, arguments->size, arguments->depth);
        if (arguments->rate > 0)
                printf(", %.15g messages a second", arguments->rate);
        printf(", %.15g s.\n", arguments->seconds);
}

int load_run(const struct arguments *arguments, const struct target *target)
{
        struct load load = {.arguments = arguments, .target = target};
        struct histogram *latencies;
        int r, status;

        if (open_files_check(arguments->n_connections, arguments->n_threads) < 0)
                return STATUS_USAGE;
        load.shows_progress = isatty(STDERR_FILENO) && isatty(STDOUT_FILENO);
        latencies = histogram_new();
        r = latencies ? start(&load) : -ENOMEM;
        if (r < 0) {
                histogram_free(latencies);
                return say_failure(&load, r);
        }
        print_heading(&load);
        uv_run(&load.loop, UV_RUN_DEFAULT);
        command_all(&load, load_thread_join);
        if (load.shows_progress)
                fputs("\r\033[K", stderr);
        r = merge(&load, latencies);
        status = report(&load, latencies, r);
        release(&load);
        histogram_free(latencies);
        return status;
}
