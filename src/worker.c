/*
 * The happy path:
 *  1. worker_start() makes the loop and the thread; the thread runs the loop.
 *  2. worker_post() puts a socket into the mailbox and wakes the loop with uv_async_send().
 *  3. on_mail() empties the whole mailbox, since wake-ups coalesce, and opens the connections.
 *  4. When one has ended, on_closed() counts it and tells the main thread through on_released.
 *  5. worker_join() posts the wish to stop. on_mail() resets what is open and closes the worker's
 *     own handles; the loop runs until the last close callback, and the thread ends.
 *
 * What can go wrong:
 *  - something cannot be had in 1: everything made so far is undone, worker_start() fails;
 *  - the mailbox cannot grow: worker_post() fails, the main thread resets the client;
 *  - a connection cannot be opened: the client is reset, the failure logged at a limited rate.
 *
 * worker_freeze() is the one thing that the main thread waits for.
 */

#include "worker.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "busy_poll.h"
#include "connection_freeze.h"
#include "log.h"
#include "socket.h"
#include "source_table.h"

/* What the main thread waits for. On its stack. */
struct order {
        const struct census *census; /* to be taken, or NULL */
        struct list *frozen;         /* where everybody is to go, or NULL */
        int result;
        uv_sem_t is_done;
};

/* What the main thread wants of the worker. */
struct mail {
        struct arrival *arrivals;
        size_t n_arrivals, capacity;
        struct connection_limits limits;
        bool has_limits;
        uint64_t busy_poll_ns;
        bool has_busy_poll;
        struct order *order; /* or NULL */
        uint64_t ping;       /* 0: none */
        bool must_reset;
        bool must_stop;
};

struct worker {
        struct stats stats; /* first: it is aligned to a cache line */
        uv_loop_t loop;
        uv_async_t wake_up;
        uv_thread_t thread;
        struct worker_options options;
        struct connection_context context;
        struct busy_poll busy_poll;
        uv_mutex_t mutex; /* guards the mail */
        struct mail mail;
        struct log_limit failures;
        uint64_t n_posted; /* main thread */
        stats_counter n_released;
        stats_counter answer; /* to the last ping */
};

static void on_mail(uv_async_t *wake_up);
static void on_closed(void *user);

/*
 * One turn of the loop. It may poll after it only if connections had this many events at most: with
 * more, the next ones are not long in coming, and a wake-up is shared by many messages anyway.
 */
#define FEW_EVENTS 1

/* False: the loop has run out. */
static bool turn(struct worker *worker, uv_run_mode mode, uint64_t *ret_n_events)
{
        uint64_t n_before = worker->context.n_events;
        bool is_alive = uv_run(&worker->loop, mode);

        *ret_n_events = worker->context.n_events - n_before;
        return is_alive;
}

/* The thread's involuntary context switches so far. */
static uint64_t n_preemptions(void)
{
        struct rusage usage = {0};

        getrusage(RUSAGE_THREAD, &usage);
        return (uint64_t)usage.ru_nivcsw;
}

/* Polls until the budget is spent without work; work starts it anew. False: the loop has run out.
 */
static bool poll_busily(struct worker *worker)
{
        struct busy_poll *busy_poll = &worker->busy_poll;
        uint64_t started_ns = uv_hrtime(), now_ns = started_ns, n_events;

        while (now_ns - started_ns < busy_poll->budget_ns) {
                if (!turn(worker, UV_RUN_NOWAIT, &n_events))
                        return false;
                now_ns = uv_hrtime();
                if (n_events == 0)
                        continue;
                started_ns = now_ns;
                if (busy_poll_found(busy_poll))
                        busy_poll_check(busy_poll, n_preemptions());
                if (n_events > FEW_EVENTS || busy_poll->budget_ns == 0)
                        return true;
        }
        busy_poll_missed(busy_poll);
        return true;
}

/* Sleeps until there is work, does it, and polls for more where that is worth it. */
static bool sleep_and_poll(struct worker *worker)
{
        struct busy_poll *busy_poll = &worker->busy_poll;
        uint64_t slept_at_ns = uv_hrtime(), n_events;
        bool is_alive = turn(worker, UV_RUN_ONCE, &n_events);

        if (!is_alive || n_events > FEW_EVENTS)
                return is_alive;
        if (busy_poll_slept(busy_poll, uv_hrtime() - slept_at_ns))
                busy_poll_begin(busy_poll, n_preemptions());
        return busy_poll->budget_ns == 0 || poll_busily(worker);
}

static void run(void *user)
{
        struct worker *worker = user;
        char name[16];

        snprintf(name, sizeof(name), "echod-%u", worker->options.index);
        pthread_setname_np(pthread_self(), name);
        while (sleep_and_poll(worker))
                ;
}

/* Closes what open_loop() opened. The loop must have nothing left to do but to close. */
static void close_loop(struct worker *worker)
{
        int r = uv_loop_close(&worker->loop);

        assert(r == 0);
        (void)r;
}

/* The loop and everything in it; on failure nothing is left open. */
static int open_loop(struct worker *worker)
{
        int r = uv_loop_init(&worker->loop);

        if (r < 0)
                return r;
        r = uv_async_init(&worker->loop, &worker->wake_up, on_mail);
        if (r < 0) {
                close_loop(worker);
                return r;
        }
        r = connection_context_init(&worker->context, &worker->loop, worker->options.read_buffer,
                                    &worker->stats);
        if (r < 0) {
                uv_close((uv_handle_t *)&worker->wake_up, NULL);
                uv_run(&worker->loop, UV_RUN_DEFAULT);
                close_loop(worker);
                return r;
        }
        worker->context.limits = worker->options.limits;
        worker->context.on_closed = on_closed;
        worker->context.user = worker;
        return 0;
}

/* Closes the worker's own handles. In its thread, or while there is none. */
static void close_handles(struct worker *worker)
{
        uv_close((uv_handle_t *)&worker->wake_up, NULL);
        connection_context_close(&worker->context);
}

/* Once the loop has run out. */
static void release(struct worker *worker)
{
        close_loop(worker);
        connection_context_free(&worker->context);
        uv_mutex_destroy(&worker->mutex);
        free(worker->mail.arrivals);
        free(worker);
}

int worker_start(struct worker **ret_worker, const struct worker_options *options)
{
        struct worker *worker = aligned_alloc(_Alignof(struct worker), sizeof(*worker));
        int r;

        if (!worker)
                return -ENOMEM;
        memset(worker, 0, sizeof(*worker));
        worker->options = *options;
        r = uv_mutex_init(&worker->mutex);
        if (r < 0) {
                free(worker);
                return r;
        }
        r = open_loop(worker);
        if (r < 0) {
                uv_mutex_destroy(&worker->mutex);
                free(worker);
                return r;
        }
        r = uv_thread_create(&worker->thread, run, worker);
        if (r < 0) {
                close_handles(worker);
                uv_run(&worker->loop, UV_RUN_DEFAULT);
                release(worker);
                return r;
        }
        *ret_worker = worker;
        return 0;
}

/* The mail, to be added to; mail_send() must follow. */
static struct mail *mail_open(struct worker *worker)
{
        uv_mutex_lock(&worker->mutex);
        return &worker->mail;
}

static void mail_send(struct worker *worker)
{
        uv_mutex_unlock(&worker->mutex);
        uv_async_send(&worker->wake_up);
}

/* With the mutex held. */
static int grow(struct mail *mail)
{
        size_t capacity = mail->capacity ? mail->capacity * 2 : 64;
        struct arrival *arrivals = realloc(mail->arrivals, capacity * sizeof(*arrivals));

        if (!arrivals)
                return -ENOMEM;
        mail->arrivals = arrivals;
        mail->capacity = capacity;
        return 0;
}

int worker_post(struct worker *worker, const struct arrival *arrival)
{
        struct mail *mail = mail_open(worker);
        int r = mail->n_arrivals == mail->capacity ? grow(mail) : 0;

        if (r == 0)
                mail->arrivals[mail->n_arrivals++] = *arrival;
        worker->n_posted += r == 0;
        mail_send(worker);
        return r;
}

/* In the main thread, which waits. Returns the order's result. */
static int give_order(struct worker *worker, struct order *order)
{
        int r = uv_sem_init(&order->is_done, 0);

        if (r < 0)
                return r;
        mail_open(worker)->order = order;
        mail_send(worker);
        uv_sem_wait(&order->is_done);
        uv_sem_destroy(&order->is_done);
        return order->result;
}

int worker_freeze(struct worker *worker, struct list *frozen)
{
        return give_order(worker, &(struct order){.frozen = frozen});
}

int worker_take_census(struct worker *worker, const struct census *census)
{
        return give_order(worker, &(struct order){.census = census});
}

void worker_set_limits(struct worker *worker, const struct connection_limits *limits)
{
        struct mail *mail = mail_open(worker);

        mail->limits = *limits;
        mail->has_limits = true;
        mail_send(worker);
}

void worker_set_busy_poll(struct worker *worker, uint64_t max_ns)
{
        struct mail *mail = mail_open(worker);

        mail->busy_poll_ns = max_ns;
        mail->has_busy_poll = true;
        mail_send(worker);
}

void worker_reset_all(struct worker *worker)
{
        mail_open(worker)->must_reset = true;
        mail_send(worker);
}

void worker_ping(struct worker *worker, uint64_t number)
{
        mail_open(worker)->ping = number;
        mail_send(worker);
}

uint64_t worker_answer(const struct worker *worker)
{
        return stats_read(&worker->answer);
}

uint64_t worker_load(const struct worker *worker)
{
        return worker->n_posted - atomic_load(&worker->n_released);
}

const struct stats *worker_stats(const struct worker *worker)
{
        return &worker->stats;
}

void worker_join(struct worker *worker)
{
        if (!worker)
                return;
        mail_open(worker)->must_stop = true;
        mail_send(worker);
        uv_thread_join(&worker->thread);
        release(worker);
}

static void open_arrival(struct worker *worker, const struct arrival *arrival)
{
        int r = connection_open(&worker->context, arrival);

        if (r == 0)
                return;
        source_release(arrival->source);
        socket_reset(arrival->descriptor);
        connection_free_frozen(arrival->frozen);
        log_write_limited(&worker->failures, uv_now(&worker->loop), LOG_LEVEL_WARNING,
                          "connection dropped: %s", uv_strerror(r));
        on_closed(worker);
}

/* After the post the order is gone. */
static void obey(struct worker *worker, struct order *order)
{
        if (order->census)
                connection_take_census(&worker->context, order->census);
        if (order->frozen)
                order->result = connection_freeze_all(&worker->context, order->frozen);
        uv_sem_post(&order->is_done);
}

static void on_mail(uv_async_t *wake_up)
{
        struct worker *worker = CONTAINER_OF(wake_up, struct worker, wake_up);
        struct mail taken;

        uv_mutex_lock(&worker->mutex);
        taken = worker->mail;
        worker->mail = (struct mail){0};
        uv_mutex_unlock(&worker->mutex);

        if (taken.has_limits)
                connection_set_limits(&worker->context, &taken.limits);
        if (taken.has_busy_poll)
                busy_poll_set(&worker->busy_poll, taken.busy_poll_ns);
        for (size_t i = 0; i < taken.n_arrivals; i++)
                open_arrival(worker, &taken.arrivals[i]);
        free(taken.arrivals);
        if (taken.order)
                obey(worker, taken.order);
        if (taken.ping)
                atomic_store_explicit(&worker->answer, taken.ping, memory_order_relaxed);
        if (taken.must_reset || taken.must_stop)
                connection_reset_all(&worker->context);
        if (taken.must_stop) {
                log_limit_flush(&worker->failures, uv_now(&worker->loop) + LOG_LIMIT_WINDOW_MS,
                                LOG_LEVEL_WARNING, "dropped connections");
                close_handles(worker);
        }
}

/* Sequentially consistent, as is the main thread's look; see pool.c. */
static void on_closed(void *user)
{
        struct worker *worker = user;

        atomic_fetch_add(&worker->n_released, 1);
        worker->options.on_released(worker->options.user);
}
