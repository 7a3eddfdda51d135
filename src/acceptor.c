/*
 * The happy path:
 *  1. acceptor_apply() opens the listeners and resumes them.
 *  2. on_accept() asks admission and posts the socket to the pool. With proxy_protocol, the client
 *     first waits in the vestibule; on_announced() then asks, and posts, in the name of the header.
 *  3. At max_connections, with when_full = "wait", all listeners pause; acceptor_on_release()
 *     resumes them as soon as there is room. The kernel keeps the clients in order.
 *
 * What can go wrong:
 *  - a listener cannot be opened: those opened with it are closed again, nothing has changed;
 *  - a client is refused: reset, counted, logged at a limited rate;
 *  - a PROXY header comes from elsewhere, or does not come as it should: the same, on_ended();
 *  - no memory for its source, or for the pool to take it, or accept4(2) fails for lack of it: all
 *    listeners pause for RETRY_MS. Nothing spins, nobody is dropped who is not accepted yet.
 */

#include "acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_data.h"
#include "connection_freeze.h"
#include "pool.h"
#include "socket.h"
#include "sources.h"

#define RETRY_MS  100
#define NS_PER_MS UINT64_C(1000000)

static void on_accept(void *user, struct listener *listener, int descriptor,
                      const struct address *peer);
static void on_shortage(void *user, struct listener *listener, int error);
static void on_retired(void *user, struct listener *listener);
static void on_announced(void *user, int descriptor, const struct address *client,
                         const char *listener);
static void on_ended(void *user, int descriptor, const struct address *peer, const char *listener,
                     enum vestibule_end end);
static void on_retry(uv_timer_t *retry);

static const struct listener_events EVENTS = {
        .on_accept = on_accept,
        .on_shortage = on_shortage,
        .on_retired = on_retired,
};

static const struct vestibule_events VESTIBULE_EVENTS = {
        .on_announced = on_announced,
        .on_ended = on_ended,
};

int acceptor_init(struct acceptor *acceptor, uv_loop_t *loop, struct pool *pool)
{
        int r;

        *acceptor = (struct acceptor){.loop = loop, .pool = pool};
        listener_set_init(&acceptor->listeners, &pool->poller, &EVENTS, acceptor);
        r = sources_init(&acceptor->sources);
        if (r < 0)
                return r;
        r = uv_timer_init(loop, &acceptor->retry);
        if (r < 0)
                return r;
        r = arrival_log_init(&acceptor->log, loop);
        if (r < 0) {
                uv_close((uv_handle_t *)&acceptor->retry, NULL);
                return r;
        }
        r = vestibule_init(&acceptor->vestibule, loop, &VESTIBULE_EVENTS, acceptor);
        if (r < 0) {
                uv_close((uv_handle_t *)&acceptor->retry, NULL);
                arrival_log_close(&acceptor->log);
        }
        return r;
}

void acceptor_inherit(struct acceptor *acceptor, struct inherited *inherited)
{
        listener_set_inherit(&acceptor->listeners, inherited);
}

static uint64_t now_ns(const struct acceptor *acceptor)
{
        return uv_now(acceptor->loop) * NS_PER_MS;
}

uint64_t acceptor_load(const struct acceptor *acceptor)
{
        return pool_load(acceptor->pool) + acceptor->vestibule.n_guests;
}

static bool has_room(const struct acceptor *acceptor)
{
        return acceptor_load(acceptor) < acceptor->admission.max_connections;
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
        if (!acceptor->is_rejecting && !has_room(acceptor)) {
                pool_await_release(acceptor->pool);
                acceptor->is_full = !has_room(acceptor);
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
                .proxy_sources = &config->proxy_sources,
                .max_connections = max_connections,
                .sources = &acceptor->sources,
        };
        sources_limit(&acceptor->sources, acceptor->pool, config, now_ns(acceptor));
        acceptor->is_rejecting = config->when_full == WHEN_FULL_REJECT;
        check_room(acceptor);
        update(acceptor);
        return 0;
}

/* Hands over who is counted. */
static int post(struct acceptor *acceptor, const struct arrival *arrival)
{
        int r = pool_post(acceptor->pool, arrival);

        if (r < 0)
                source_release(arrival->source);
        return r;
}

int acceptor_readmit(struct acceptor *acceptor, struct frozen *frozen)
{
        struct arrival *arrival = &frozen->arrival;
        int r;

        arrival->listener = labels_keep(&acceptor->listeners.labels, arrival->listener);
        r = arrival->listener ? sources_count(&acceptor->sources, arrival) : -ENOMEM;
        if (r == 0)
                r = post(acceptor, arrival);
        if (r < 0) {
                socket_reset(arrival->descriptor);
                connection_free_frozen(frozen);
                return r;
        }
        check_room(acceptor);
        return 0;
}

int acceptor_readmit_guest(struct acceptor *acceptor, struct guest *guest)
{
        int r;

        guest->listener = labels_keep(&acceptor->listeners.labels, guest->listener);
        if (!guest->listener) {
                free(guest->bytes);
                r = -ENOMEM;
        } else {
                r = vestibule_enter(&acceptor->vestibule, guest);
        }
        if (r < 0)
                socket_reset(guest->descriptor);
        check_room(acceptor);
        return r;
}

void acceptor_on_release(struct acceptor *acceptor)
{
        if (acceptor->is_full)
                check_room(acceptor);
}

/* `problem`: what is wrong with the PROXY header, or NULL. */
static void refuse(struct acceptor *acceptor, const struct arrival *arrival,
                   enum admission_verdict verdict, const char *problem)
{
        socket_reset(arrival->descriptor);
        acceptor->n_refused[verdict]++;
        arrival_log_refused(&acceptor->log, arrival, verdict, problem);
}

/* Accepts nobody for a while. */
static void pause_for_shortage(struct acceptor *acceptor, const char *listener, int error)
{
        arrival_log_shortage(&acceptor->log, listener, error, RETRY_MS);
        acceptor->is_short = true;
        update(acceptor);
        uv_timer_start(&acceptor->retry, on_retry, RETRY_MS, 0);
}

/* There is no memory for him, or the like. */
static void drop(struct acceptor *acceptor, const struct arrival *arrival, int error)
{
        socket_reset(arrival->descriptor);
        pause_for_shortage(acceptor, arrival->listener, error);
}

/* Asks admission about a client beside whom `n_others` are in. True: he is on his way in. */
static bool decide(struct acceptor *acceptor, struct arrival *arrival, uint64_t n_others)
{
        int r = admission_decide(&acceptor->admission, &arrival->peer, n_others, now_ns(acceptor),
                                 &arrival->source);

        if (r > 0) {
                refuse(acceptor, arrival, (enum admission_verdict)r, NULL);
                return false;
        }
        if (r == ADMITTED)
                r = post(acceptor, arrival);
        if (r < 0) {
                drop(acceptor, arrival, r);
                return false;
        }
        acceptor->n_accepted++;
        label_of(arrival->listener)->n_accepted++;
        return true;
}

/* Lets one who may speak for others into the vestibule, where he takes a place as any client.
 * True: he is in. */
static bool receive_proxy(struct acceptor *acceptor, const struct arrival *arrival)
{
        const struct guest guest = {
                .descriptor = arrival->descriptor,
                .peer = arrival->peer,
                .listener = arrival->listener,
        };
        int r;

        if (!admission_believes(&acceptor->admission, &arrival->peer)) {
                refuse(acceptor, arrival, REFUSED_PROXY_HEADER, "source");
                return false;
        }
        if (!has_room(acceptor)) {
                refuse(acceptor, arrival, REFUSED_FULL, NULL);
                return false;
        }
        r = vestibule_enter(&acceptor->vestibule, &guest);
        if (r < 0)
                drop(acceptor, arrival, r);
        return r == 0;
}

static void on_accept(void *user, struct listener *listener, int descriptor,
                      const struct address *peer)
{
        struct acceptor *acceptor = user;
        struct arrival arrival = {
                .descriptor = descriptor,
                .peer = *peer,
                .listener = listener->label,
        };
        bool is_in = listener->options.proxy_protocol
                             ? receive_proxy(acceptor, &arrival)
                             : decide(acceptor, &arrival, acceptor_load(acceptor));

        if (!is_in)
                return;
        check_room(acceptor);
        if (acceptor->is_full)
                arrival_log_full(&acceptor->log, acceptor->admission.max_connections);
}

/* The place that he had in the vestibule is his; so only who he is can be against him. */
static void on_announced(void *user, int descriptor, const struct address *client,
                         const char *listener)
{
        struct acceptor *acceptor = user;
        struct arrival arrival = {
                .descriptor = descriptor,
                .peer = *client,
                .listener = listener,
        };

        decide(acceptor, &arrival, 0);
        pool_release(acceptor->pool);
}

static void on_ended(void *user, int descriptor, const struct address *peer, const char *listener,
                     enum vestibule_end end)
{
        struct acceptor *acceptor = user;
        const struct arrival arrival = {
                .descriptor = descriptor,
                .peer = *peer,
                .listener = listener,
        };

        if (end == VESTIBULE_PROBE) {
                acceptor->n_probes++;
                arrival_log_probe(&arrival);
                close(descriptor);
        } else if (end == VESTIBULE_SHORT) {
                drop(acceptor, &arrival, -ENOMEM);
        } else {
                refuse(acceptor, &arrival, REFUSED_PROXY_HEADER, vestibule_end_name(end));
        }
        pool_release(acceptor->pool);
}

static void on_shortage(void *user, struct listener *listener, int error)
{
        pause_for_shortage(user, listener->label, error);
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

void acceptor_finish(struct acceptor *acceptor)
{
        /* Where there is no room, there is nothing to accept clients for. */
        if (acceptor->is_full)
                listener_set_close(&acceptor->listeners);
        else
                listener_set_finish(&acceptor->listeners);
}

void acceptor_reset_guests(struct acceptor *acceptor)
{
        vestibule_clear(&acceptor->vestibule);
        pool_release(acceptor->pool);
}

void acceptor_close(struct acceptor *acceptor)
{
        arrival_log_close(&acceptor->log);
        listener_set_close(&acceptor->listeners);
        vestibule_close(&acceptor->vestibule);
        uv_close((uv_handle_t *)&acceptor->retry, NULL);
}

void acceptor_free(struct acceptor *acceptor)
{
        listener_set_free(&acceptor->listeners);
        source_table_destroy(&acceptor->sources);
}
