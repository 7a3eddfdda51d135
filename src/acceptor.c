/*
 * The happy path:
 *  1. acceptor_apply() opens the listeners and resumes them.
 *  2. on_accept() asks admission and posts the socket to the pool.
 *  3. At max_connections, with when_full = "wait", all listeners pause; acceptor_on_release()
 *     resumes them as soon as there is room. The kernel keeps the clients in order.
 *
 * What can go wrong:
 *  - a listener cannot be opened: those opened with it are closed again, nothing has changed;
 *  - a client is refused: reset, counted, logged at a limited rate;
 *  - the pool cannot take it, for lack of memory, or accept4(2) fails for lack of something: all
 *    listeners pause for RETRY_MS. Nothing spins, nobody is dropped who is not accepted yet.
 */

#include "acceptor.h"

#include <errno.h>
#include <string.h>

#include "config_data.h"
#include "connection_freeze.h"
#include "pool.h"
#include "socket.h"

#define RETRY_MS 100

static void on_accept(void *user, struct listener *listener, int descriptor,
                      const struct address *peer);
static void on_shortage(void *user, struct listener *listener, int error);
static void on_retired(void *user, struct listener *listener);
static void on_retry(uv_timer_t *retry);
static void on_summary(uv_timer_t *summary);

static const struct listener_events EVENTS = {
        .on_accept = on_accept,
        .on_shortage = on_shortage,
        .on_retired = on_retired,
};

int acceptor_init(struct acceptor *acceptor, uv_loop_t *loop, struct pool *pool)
{
        int r;

        *acceptor = (struct acceptor){.loop = loop, .pool = pool};
        listener_set_init(&acceptor->listeners, loop, &EVENTS, acceptor);
        r = uv_timer_init(loop, &acceptor->retry);
        if (r < 0)
                return r;
        r = uv_timer_init(loop, &acceptor->summary);
        if (r < 0)
                uv_close((uv_handle_t *)&acceptor->retry, NULL);
        return r;
}

void acceptor_inherit(struct acceptor *acceptor, struct inherited *inherited)
{
        listener_set_inherit(&acceptor->listeners, inherited);
}

/* Accepts, or pauses, as things are now. */
static void update(struct acceptor *acceptor)
{
        if (acceptor->is_full || acceptor->is_short)
                listener_set_pause(&acceptor->listeners);
        else
                listener_set_resume(&acceptor->listeners);
}

/* Pauses while there is no room, unless clients are to be rejected. */
static void check_room(struct acceptor *acceptor)
{
        bool was_full = acceptor->is_full;

        acceptor->is_full = false;
        if (!acceptor->is_rejecting &&
            pool_load(acceptor->pool) >= acceptor->admission.max_connections) {
                pool_await_release(acceptor->pool);
                acceptor->is_full =
                        pool_load(acceptor->pool) >= acceptor->admission.max_connections;
        }
        if (acceptor->is_full != was_full)
                update(acceptor);
}

int acceptor_apply(struct acceptor *acceptor, const struct config *config, uint64_t max_connections,
                   char problem[static ACCEPTOR_PROBLEM_MAX])
{
        int r = listener_set_apply(&acceptor->listeners, config, problem);

        if (r < 0)
                return r;
        acceptor->admission = (struct admission){
                .allow = &config->allow,
                .deny = &config->deny,
                .max_connections = max_connections,
        };
        acceptor->is_rejecting = config->when_full == WHEN_FULL_REJECT;
        check_room(acceptor);
        update(acceptor);
        return 0;
}

int acceptor_readmit(struct acceptor *acceptor, struct frozen *frozen)
{
        struct arrival *arrival = &frozen->arrival;
        int r;

        arrival->listener = labels_keep(&acceptor->listeners.labels, arrival->listener);
        r = arrival->listener ? pool_post(acceptor->pool, arrival) : -ENOMEM;
        if (r < 0) {
                socket_reset(arrival->descriptor);
                connection_free_frozen(frozen);
                return r;
        }
        check_room(acceptor);
        return 0;
}

void acceptor_on_release(struct acceptor *acceptor)
{
        if (acceptor->is_full)
                check_room(acceptor);
}

/* Where the event's line would be suppressed, a summary follows when the window is over. */
static struct log_limit *limit_of(struct acceptor *acceptor, enum acceptor_event event)
{
        if (!uv_is_active((uv_handle_t *)&acceptor->summary))
                uv_timer_start(&acceptor->summary, on_summary, LOG_LIMIT_WINDOW_MS, 0);
        return &acceptor->limits[event];
}

static void refuse(struct acceptor *acceptor, struct listener *listener, int descriptor,
                   const struct address *peer, enum admission_verdict verdict)
{
        char text[ADDRESS_TEXT_MAX];
        struct record record;

        socket_reset(descriptor);
        acceptor->n_refused[verdict]++;
        log_begin(&record, "refused");
        record_string(&record, "peer", address_format(peer, text));
        record_string(&record, "listener", listener->name);
        record_string(&record, "reason", admission_verdict_name(verdict));
        log_record_limited(limit_of(acceptor, EVENT_REFUSED), uv_now(acceptor->loop),
                           LOG_LEVEL_NOTICE, &record);
}

static void on_accept(void *user, struct listener *listener, int descriptor,
                      const struct address *peer)
{
        struct acceptor *acceptor = user;
        const struct arrival arrival = {
                .descriptor = descriptor,
                .peer = *peer,
                .listener = listener->label,
        };
        enum admission_verdict verdict =
                admission_decide(&acceptor->admission, peer, pool_load(acceptor->pool));
        int r;

        if (verdict != ADMITTED) {
                refuse(acceptor, listener, descriptor, peer, verdict);
                return;
        }
        r = pool_post(acceptor->pool, &arrival);
        if (r < 0) {
                socket_reset(descriptor);
                on_shortage(acceptor, listener, r);
                return;
        }
        acceptor->n_accepted++;
        label_of(listener->label)->n_accepted++;
        check_room(acceptor);
        if (acceptor->is_full)
                log_write_limited(limit_of(acceptor, EVENT_FULL), uv_now(acceptor->loop),
                                  LOG_LEVEL_NOTICE,
                                  "max_connections reached: %llu open, further clients wait",
                                  (unsigned long long)acceptor->admission.max_connections);
}

static void on_shortage(void *user, struct listener *listener, int error)
{
        struct acceptor *acceptor = user;

        log_write_limited(limit_of(acceptor, EVENT_SHORTAGE), uv_now(acceptor->loop),
                          LOG_LEVEL_ERROR, "cannot accept on %s: %s; trying again in %d ms",
                          listener->name, strerror(-error), RETRY_MS);
        acceptor->is_short = true;
        update(acceptor);
        uv_timer_start(&acceptor->retry, on_retry, RETRY_MS, 0);
}

static void on_retry(uv_timer_t *retry)
{
        struct acceptor *acceptor = CONTAINER_OF(retry, struct acceptor, retry);

        acceptor->is_short = false;
        update(acceptor);
}

static void on_retired(void *user, struct listener *listener)
{
        (void)user;
        listener_set_remove(listener);
}

/* Says what was suppressed in the windows that are over at that time. */
static void summarize(struct acceptor *acceptor, uint64_t now_ms)
{
        static const char *const subjects[N_ACCEPTOR_EVENTS] = {
                [EVENT_REFUSED] = "refused clients",
                [EVENT_FULL] = "max_connections",
                [EVENT_SHORTAGE] = "failed accepts",
        };
        for (unsigned event = 0; event < N_ACCEPTOR_EVENTS; event++)
                log_limit_flush(&acceptor->limits[event], now_ms, LOG_LEVEL_NOTICE,
                                subjects[event]);
}

static void on_summary(uv_timer_t *summary)
{
        struct acceptor *acceptor = CONTAINER_OF(summary, struct acceptor, summary);

        summarize(acceptor, uv_now(acceptor->loop));
        for (unsigned event = 0; event < N_ACCEPTOR_EVENTS; event++)
                if (acceptor->limits[event].n_suppressed > 0)
                        uv_timer_start(summary, on_summary, LOG_LIMIT_WINDOW_MS, 0);
}

void acceptor_finish(struct acceptor *acceptor)
{
        /* Where there is no room, there is nothing to accept clients for. */
        if (acceptor->is_full)
                listener_set_close(&acceptor->listeners);
        else
                listener_set_finish(&acceptor->listeners);
}

void acceptor_close(struct acceptor *acceptor)
{
        summarize(acceptor, uv_now(acceptor->loop) + LOG_LIMIT_WINDOW_MS);
        listener_set_close(&acceptor->listeners);
        uv_close((uv_handle_t *)&acceptor->retry, NULL);
        uv_close((uv_handle_t *)&acceptor->summary, NULL);
}

void acceptor_free(struct acceptor *acceptor)
{
        listener_set_free(&acceptor->listeners);
}
