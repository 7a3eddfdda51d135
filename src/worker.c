/*
 * The happy path:
 *  1. worker_start() makes the loop and the thread; the thread runs the loop.
 *  2. worker_post() puts a socket into the mailbox and wakes the loop with uv_async_send().
 *  3. on_mail() empties the whole mailbox, since wake-ups coalesce, and obey() opens the
 *     connections.
 *  4. When one has ended, on_closed() counts it and tells the main thread through on_released.
 *  5. worker_stop() posts the wish to stop. obey() resets what is open and closes the worker's own
 *     handles; the loop runs until the last close callback, and the thread ends.
 *
 * A worker in the main loop has no thread, and nobody wakes it: its mail is obeyed as it is sent,
 * and the main loop's turns are the worker's.
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

#include "connection_freeze.h"
#include "log.h"
#include "mailbox.h"
#include "runner.h"
#include "socket.h"
#include "source_table.h"

struct worker {
        struct stats stats;    /* first: it is aligned to a cache line */
        uv_loop_t *loop;       /* the main loop, or its own */
        struct poller *poller; /* the loop's */
        uv_loop_t own_loop;    /* these: of a worker with a thread */
        struct poller own_poller;
        uv_async_t wake_up;
        uv_thread_t thread;
        struct worker_options options;
        struct connection_context context;
        struct runner runner;
        uv_mutex_t mutex; /* guards the mail; of a worker with a thread */
        struct mailbox mailbox;
        struct log_limit failures;
        uint64_t n_posted; /* main thread */
        stats_counter n_released;
        stats_counter answer; /* to the last ping */
};

static void on_mail(uv_async_t *wake_up);
static void obey(struct worker *worker);
static void on_closed(void *user);

static bool has_thread(const struct worker *worker)
{
        return worker->poller == &worker->own_poller;
}

static void run(void *user)
{
        struct worker *worker = user;
        char name[16];

        snprintf(name, sizeof(name), "echod-%u", worker->options.index);
        pthread_setname_np(pthread_self(), name);
        worker_run(worker);
}

void worker_run(struct worker *worker)
{
        runner_run(&worker->runner);
}

static int open_context(struct worker *worker)
{
        int r = connection_context_init(&worker->context, worker->poller,
                                        worker->options.read_buffer, &worker->stats);

        if (r < 0)
                return r;
        worker->context.limits = worker->options.limits;
        worker->context.on_closed = on_closed;
        worker->context.user = worker;
        return 0;
}

/* Of the worker's own; it must have nothing left to do but to close. */
static void close_loop(struct worker *worker)
{
        int r;

        uv_run(&worker->own_loop, UV_RUN_DEFAULT);
        r = uv_loop_close(&worker->own_loop);
        assert(r == 0);
        (void)r;
}

/* What lives in the worker's own loop; on failure there are only handles that close. */
static int open_handles(struct worker *worker)
{
        int r = uv_async_init(&worker->own_loop, &worker->wake_up, on_mail);

        if (r < 0)
                return r;
        r = open_context(worker);
        if (r < 0)
                uv_close((uv_handle_t *)&worker->wake_up, NULL);
        return r;
}

/* A loop of its own and everything in it; on failure nothing is left open. */
static int open_loop(struct worker *worker)
{
        int r = uv_loop_init(&worker->own_loop);

        if (r < 0)
                return r;
        r = poller_init(&worker->own_poller, &worker->own_loop);
        if (r == 0) {
                r = open_handles(worker);
                if (r < 0)
                        poller_free(&worker->own_poller);
        }
        if (r < 0)
                close_loop(worker);
        return r;
}

/* What a worker with a thread needs beside it; on failure nothing is left open. */
static int open_own(struct worker *worker)
{
        int r = uv_mutex_init(&worker->mutex);

        if (r < 0)
                return r;
        r = open_loop(worker);
        if (r < 0)
                uv_mutex_destroy(&worker->mutex);
        return r;
}

/* Closes the worker's own handles. In its thread, or while there is none. */
static void close_handles(struct worker *worker)
{
        if (has_thread(worker))
                uv_close((uv_handle_t *)&worker->wake_up, NULL);
        connection_context_close(&worker->context);
}

/* Frees all that there is of a worker, once its handles are closed, or closing in its own loop. */
static void destroy(struct worker *worker)
{
        if (has_thread(worker)) {
                poller_free(&worker->own_poller);
                close_loop(worker);
                uv_mutex_destroy(&worker->mutex);
        }
        connection_context_free(&worker->context);
        mailbox_free(&worker->mailbox);
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
        worker->runner.context = &worker->context;
        worker->loop = options->poller ? options->poller->loop : &worker->own_loop;
        worker->poller = options->poller ? options->poller : &worker->own_poller;
        r = has_thread(worker) ? open_own(worker) : open_context(worker);
        if (r < 0) {
                free(worker);
                return r;
        }
        if (has_thread(worker))
                r = uv_thread_create(&worker->thread, run, worker);
        if (r < 0) {
                close_handles(worker);
                destroy(worker);
                return r;
        }
        *ret_worker = worker;
        return 0;
}

/* The mail, to be added to; mail_send() must follow. */
static struct mail *mail_open(struct worker *worker)
{
        if (has_thread(worker))
                uv_mutex_lock(&worker->mutex);
        return &worker->mailbox.mail;
}

static void mail_send(struct worker *worker)
{
        if (!has_thread(worker)) {
                obey(worker);
                return;
        }
        uv_mutex_unlock(&worker->mutex);
        uv_async_send(&worker->wake_up);
}

int worker_post(struct worker *worker, const struct arrival *arrival)
{
        struct mail *mail = mail_open(worker);
        int r = mail_add(mail, arrival);

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

uint64_t worker_busy_ns(const struct worker *worker)
{
        return atomic_load_explicit(&worker->poller->busy_ns, memory_order_relaxed);
}

uint64_t worker_load(const struct worker *worker)
{
        return worker->n_posted - atomic_load(&worker->n_released);
}

const struct stats *worker_stats(const struct worker *worker)
{
        return &worker->stats;
}

void worker_stop(struct worker *worker)
{
        mail_open(worker)->must_stop = true;
        mail_send(worker);
        if (has_thread(worker))
                uv_thread_join(&worker->thread);
}

void worker_free(struct worker *worker)
{
        if (worker)
                destroy(worker);
}

static void open_arrival(struct worker *worker, const struct arrival *arrival)
{
        int r = connection_open(&worker->context, arrival);

        if (r == 0)
                return;
        source_release(arrival->source);
        socket_reset(arrival->descriptor);
        connection_free_frozen(arrival->frozen);
        log_write_limited(&worker->failures, uv_now(worker->loop), LOG_LEVEL_WARNING,
                          "connection dropped: %s", uv_strerror(r));
        on_closed(worker);
}

/* After the post the order is gone. */
static void carry_out(struct worker *worker, struct order *order)
{
        if (order->census)
                connection_take_census(&worker->context, order->census);
        if (order->frozen)
                order->result = connection_freeze_all(&worker->context, order->frozen);
        uv_sem_post(&order->is_done);
}

/* The mail so far; the mailbox is empty again. */
static struct mail take_mail(struct worker *worker)
{
        struct mail taken;

        if (has_thread(worker))
                uv_mutex_lock(&worker->mutex);
        taken = mailbox_take(&worker->mailbox);
        if (has_thread(worker))
                uv_mutex_unlock(&worker->mutex);
        return taken;
}

static void end(struct worker *worker)
{
        log_limit_flush(&worker->failures, uv_now(worker->loop) + LOG_LIMIT_WINDOW_MS,
                        LOG_LEVEL_WARNING, "dropped connections");
        poller_release(worker->poller);
        close_handles(worker);
}

/* Does what the mail wants. In the worker's thread. */
static void obey(struct worker *worker)
{
        struct mail mail = take_mail(worker);

        if (mail.has_limits)
                connection_set_limits(&worker->context, &mail.limits);
        if (mail.has_busy_poll)
                busy_poll_set(&worker->runner.busy_poll, mail.busy_poll_ns);
        for (size_t i = 0; i < mail.n_arrivals; i++)
                open_arrival(worker, &mail.arrivals[i]);
        mailbox_return(&worker->mailbox, &mail);
        if (mail.order)
                carry_out(worker, mail.order);
        if (mail.ping)
                atomic_store_explicit(&worker->answer, mail.ping, memory_order_relaxed);
        if (mail.must_reset || mail.must_stop)
                connection_reset_all(&worker->context);
        if (mail.must_stop)
                end(worker);
}

static void on_mail(uv_async_t *wake_up)
{
        obey(CONTAINER_OF(wake_up, struct worker, wake_up));
}

/* Sequentially consistent, as is the main thread's look; see pool.c. */
static void on_closed(void *user)
{
        struct worker *worker = user;

        atomic_fetch_add(&worker->n_released, 1);
        worker->options.on_released(worker->options.user);
}
