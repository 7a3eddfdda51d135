/*
 * The happy path:
 *  1. load_thread_start() makes the loop and the thread; open_some() opens a few connections at a
 *     time, so that no backlog overflows, and on_attempted() the next ones. After the last: READY.
 *  2. load_thread_go(), _stop() and _quit() set what is wanted and wake the loop: on_command().
 *  3. With a rate, on_due() asks the links in turn to send what is due; while none has room, that
 *     waits for on_room().
 *  4. on_gone() counts the links; after the last one the loop's own handles are closed: DONE.
 */

#include "load_thread.h"

#include <errno.h>
#include <stdlib.h>

#include "alarm.h"
#include "util.h"

/* Connections that may be about to connect at once. */
#define OPENING_MAX 64

/* Links that are asked in one turn of the loop for what is due. */
#define DUE_MAX 256

/* Of what was due and has not been sent: different waits that are told apart, of all links, and of
 * each at least. */
#define WAITS_MAX 1048576
#define WAITS_MIN 64

struct load_thread {
        struct load_context context;
        uv_loop_t loop;
        uv_thread_t thread;
        uv_async_t command;
        uv_async_t *on_change;
        struct alarm due; /* a message, or with --connect the next sweep */
        struct load_link *links;
        struct load_message *messages; /* of all links, each twice as many as the depth */
        uint64_t n_started, n_attempted, n_gone;
        uint64_t n_scheduled; /* messages for which a link has been asked, with a rate */
        bool is_opening_more; /* one is enough on the stack */
        _Atomic(enum load_phase) phase;
        _Atomic(enum load_phase) wanted;
        _Atomic uint64_t start_ns;
};

static void on_command(uv_async_t *command);
static void on_attempted(struct load_context *context);
static void on_due(void *user);
static void on_room(struct load_context *context);
static void on_sweep(void *user);
static void on_gone(struct load_context *context);

static void change_phase(struct load_thread *thread, enum load_phase phase)
{
        atomic_store(&thread->phase, phase);
        uv_async_send(thread->on_change);
}

static void open_some(struct load_thread *thread)
{
        if (thread->is_opening_more)
                return;
        thread->is_opening_more = true;
        while (thread->n_started < thread->context.n_links && !thread->context.is_stopping &&
               thread->n_started - thread->n_attempted < OPENING_MAX)
                load_link_open(&thread->links[thread->n_started++]);
        thread->is_opening_more = false;
}

static void run(void *user)
{
        struct load_thread *thread = user;

        open_some(thread);
        uv_run(&thread->loop, UV_RUN_DEFAULT);
        change_phase(thread, LOAD_DONE);
}

/* On failure load_thread_free() undoes what has been done; the process ends anyway. */
static int open_loop(struct load_thread *thread, const struct target *target)
{
        const struct arguments *arguments = thread->context.arguments;
        uint64_t n_links = thread->context.n_links, number = thread->context.thread;
        uint64_t first = number * n_links;
        int r = uv_loop_init(&thread->loop);

        /* With --connect nobody knows how many there will be: all sources are divided. */
        if (arguments->is_connect)
                first = number * (TARGET_SOURCES * target->n_each_source / arguments->n_threads);
        if (r == 0)
                r = uv_async_init(&thread->loop, &thread->command, on_command);
        if (r == 0)
                r = alarm_init(&thread->due, &thread->loop,
                               arguments->is_connect ? on_sweep : on_due, thread);
        if (r == 0)
                r = link_context_init(&thread->context.links, &thread->loop, target, first);
        return r;
}

static int make_links(struct load_thread *thread)
{
        const struct arguments *arguments = thread->context.arguments;
        uint64_t n = thread->context.n_links;

        thread->links = calloc(n, sizeof(*thread->links));
        thread->messages = calloc(2 * n * arguments->depth, sizeof(*thread->messages));
        thread->context.latencies = histogram_new();
        if (!thread->links || !thread->messages || !thread->context.latencies)
                return -ENOMEM;
        for (uint64_t i = 0; i < n; i++)
                load_link_init(&thread->links[i], &thread->context,
                               (uint32_t)(i * arguments->n_threads + thread->context.thread),
                               thread->messages + 2 * i * arguments->depth);
        return 0;
}

int load_thread_start(struct load_thread **ret_thread, const struct arguments *arguments,
                      const struct target *target, struct pattern *pattern, unsigned number,
                      uv_async_t *on_change)
{
        uint64_t n = arguments->n_connections, n_threads = arguments->n_threads;
        struct load_thread *thread = calloc(1, sizeof(*thread));
        int r;

        if (!thread)
                return -ENOMEM;
        thread->on_change = on_change;
        thread->context.arguments = arguments;
        thread->context.thread = number;
        thread->context.n_links = n / n_threads + (number < n % n_threads);
        thread->context.on_attempted = on_attempted;
        thread->context.on_room = on_room;
        thread->context.on_gone = on_gone;
        thread->context.pattern = pattern;
        r = make_links(thread);
        if (r == 0)
                r = open_loop(thread, target);
        if (r == 0)
                r = uv_thread_create(&thread->thread, run, thread);
        if (r < 0) {
                load_thread_free(thread);
                return r;
        }
        *ret_thread = thread;
        return 0;
}

static void want(struct load_thread *thread, enum load_phase phase)
{
        atomic_store(&thread->wanted, phase);
        if (load_thread_phase(thread) != LOAD_DONE)
                uv_async_send(&thread->command);
}

void load_thread_go(struct load_thread *thread, uint64_t start_ns)
{
        atomic_store(&thread->start_ns, start_ns);
        want(thread, LOAD_RUNNING);
}

void load_thread_stop(struct load_thread *thread)
{
        want(thread, LOAD_DRAINING);
}

void load_thread_quit(struct load_thread *thread)
{
        want(thread, LOAD_DONE);
}

enum load_phase load_thread_phase(const struct load_thread *thread)
{
        return atomic_load(&thread->phase);
}

const struct load_counters *load_thread_counters(const struct load_thread *thread)
{
        return &thread->context.counters;
}

void load_thread_join(struct load_thread *thread)
{
        uv_thread_join(&thread->thread);
        uv_loop_close(&thread->loop);
}

static void set_schedule(struct load_thread *thread)
{
        const struct arguments *arguments = thread->context.arguments;
        uint64_t start_ns = atomic_load(&thread->start_ns);

        thread->context.schedule = (struct load_schedule){
                .start_ns = start_ns,
                .end_ns = start_ns + seconds_to_ns(arguments->seconds),
                .rate = arguments->rate,
                .n_connections = arguments->n_connections,
        };
}

void load_thread_drop_due(struct load_thread *thread, uint64_t now_ns)
{
        uint64_t n = thread->context.n_links;

        if (thread->context.arguments->rate == 0 || atomic_load(&thread->start_ns) == 0)
                return;
        set_schedule(thread); /* it may have ended before it knew the start */
        for (uint64_t i = 0; i < n; i++)
                load_link_drop_due(&thread->links[i], now_ns, MAX(WAITS_MAX / n, WAITS_MIN));
}

const struct load_context *load_thread_results(const struct load_thread *thread)
{
        return &thread->context;
}

void load_thread_free(struct load_thread *thread)
{
        link_context_free(&thread->context.links);
        histogram_free(thread->context.latencies);
        free(thread->messages);
        free(thread->links);
        free(thread);
}

static void on_attempted(struct load_context *context)
{
        struct load_thread *thread = CONTAINER_OF(context, struct load_thread, context);

        if (++thread->n_attempted == context->n_links && !context->is_running)
                change_phase(thread, LOAD_READY);
        open_some(thread);
}

static void for_each_link(struct load_thread *thread, void (*act)(struct load_link *link))
{
        for (uint64_t i = 0; i < thread->context.n_links; i++)
                act(&thread->links[i]);
}

static void go(struct load_thread *thread)
{
        set_schedule(thread);
        thread->context.is_running = true;
        for_each_link(thread, load_link_go);
        if (thread->context.arguments->rate > 0)
                on_due(thread);
        else if (thread->context.arguments->is_connect)
                on_sweep(thread);
}

/* Wake-ups coalesce: what is wanted may lie several steps ahead. Nor need it ever have begun. */
static void on_command(uv_async_t *command)
{
        struct load_thread *thread = CONTAINER_OF(command, struct load_thread, command);
        enum load_phase wanted = atomic_load(&thread->wanted);

        if (atomic_load(&thread->start_ns) > 0 && !thread->context.is_running)
                go(thread);
        if (wanted >= LOAD_DRAINING && !thread->context.is_stopping) {
                thread->context.is_stopping = true;
                for_each_link(thread, load_link_stop);
        }
        if (wanted >= LOAD_DONE)
                for_each_link(thread, load_link_quit);
}

/* A link that is asked sends all that is due on it: rounds in which they all would be asked again
 * are left out. */
static void skip_rounds(struct load_thread *thread, uint64_t now_ns)
{
        uint64_t n_links = thread->context.n_links, round = thread->n_scheduled / n_links;
        const struct load_link *link = &thread->links[thread->n_scheduled % n_links];
        uint64_t n_due = load_schedule_count(&thread->context.schedule, link->number, now_ns);

        if (n_due > round + 1)
                thread->n_scheduled += (n_due - round - 1) * n_links;
}

/* When the next message of this thread is due. */
static uint64_t next_due_ns(const struct load_thread *thread)
{
        uint64_t n_links = thread->context.n_links, n = thread->n_scheduled;

        return load_schedule_due_ns(&thread->context.schedule, thread->links[n % n_links].number,
                                    n / n_links);
}

/* As many of them as a turn of the loop is for; whether these are all, and none has room. */
static bool ask_links(struct load_thread *thread, uint64_t now_ns)
{
        uint64_t last_ns = MIN(now_ns, thread->context.schedule.end_ns - 1), n_full = 0;

        for (unsigned i = 0; i < DUE_MAX && next_due_ns(thread) <= last_ns; i++) {
                struct load_link *link =
                        &thread->links[thread->n_scheduled++ % thread->context.n_links];

                load_link_send_due(link);
                n_full += !load_link_has_room(link);
        }
        return n_full == thread->context.n_links;
}

static void await_due(struct load_thread *thread)
{
        uint64_t due_ns = next_due_ns(thread);

        thread->context.is_full = false;
        if (due_ns < thread->context.schedule.end_ns)
                alarm_set(&thread->due, due_ns);
}

/* Where none has room, asking would only take time from the answers, and on_room() follows. */
static void on_due(void *user)
{
        struct load_thread *thread = user;
        uint64_t now_ns = uv_hrtime();

        if (thread->context.is_stopping)
                return;
        skip_rounds(thread, now_ns);
        thread->context.is_full = ask_links(thread, now_ns);
        if (!thread->context.is_full)
                await_due(thread);
}

static void on_room(struct load_context *context)
{
        await_due(CONTAINER_OF(context, struct load_thread, context));
}

/* With --connect. */
static void on_sweep(void *user)
{
        struct load_thread *thread = user;

        for_each_link(thread, load_link_sweep);
        alarm_set(&thread->due, uv_hrtime() + LOAD_LINGER_NS / 4);
}

static void on_gone(struct load_context *context)
{
        struct load_thread *thread = CONTAINER_OF(context, struct load_thread, context);

        if (++thread->n_gone < context->n_links)
                return;
        uv_close((uv_handle_t *)&thread->command, NULL);
        alarm_close(&thread->due);
}
