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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_data.h"
#include "connection.h"
#include "pool.h"

#define RETRY_MS 100

/* "*" is one listener for each family. */
#define LISTENERS_EACH_MAX 2

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

static struct listener *listener_of(struct list *node)
{
        return CONTAINER_OF(node, struct listener, link);
}

int acceptor_init(struct acceptor *acceptor, uv_loop_t *loop, struct pool *pool)
{
        int r;

        *acceptor = (struct acceptor){.loop = loop, .pool = pool};
        list_init(&acceptor->listeners);
        list_init(&acceptor->retiring);
        labels_init(&acceptor->labels);
        r = uv_timer_init(loop, &acceptor->retry);
        if (r < 0)
                return r;
        r = uv_timer_init(loop, &acceptor->summary);
        if (r < 0)
                uv_close((uv_handle_t *)&acceptor->retry, NULL);
        return r;
}

/* The sockets that one listener of the configuration stands for; returns how many. */
static unsigned expand(const struct config *config, const struct config_listener *listener,
                       struct listener_options options[static LISTENERS_EACH_MAX])
{
        static const char *const any[LISTENERS_EACH_MAX] = {"::", "0.0.0.0"};
        bool is_any = strcmp(listener->address, "*") == 0;
        unsigned n = is_any ? LISTENERS_EACH_MAX : 1;

        for (unsigned i = 0; i < n; i++) {
                options[i] = (struct listener_options){
                        .address = {.family = AF_UNIX},
                        .backlog = (int)listener->backlog,
                        .mode = (mode_t)listener->mode,
                        .tcp_nodelay = config->tcp_nodelay,
                        .keepalive_idle_s = (int)config->tcp_keepalive.idle_s,
                        .keepalive_interval_s = (int)config->tcp_keepalive.interval_s,
                        .keepalive_count = (int)config->tcp_keepalive.count,
                };
                if (listener->address[0] == '/')
                        strcpy(options[i].path, listener->address);
                else
                        address_parse(&options[i].address, is_any ? any[i] : listener->address,
                                      (uint16_t)listener->port);
        }
        return n;
}

/* An open listener on the address these options name that nothing has claimed yet, or NULL. */
static struct listener *find(struct list *listeners, const struct listener_options *options)
{
        LIST_FOR_EACH_SAFE (node, following, listeners) {
                if (listener_is_same(&listener_of(node)->options, options))
                        return listener_of(node);
        }
        return NULL;
}

static void close_all(struct list *listeners)
{
        LIST_FOR_EACH_SAFE (node, following, listeners) {
                list_unlink(node);
                listener_close(listener_of(node));
        }
}

static void share_addresses(struct list *listeners, bool is_shared)
{
        LIST_FOR_EACH_SAFE (node, following, listeners)
                listener_share_address(listener_of(node), is_shared);
}

/* What a change of listeners sorts them into. */
struct change {
        struct list kept;   /* open and still wanted */
        struct list opened; /* new; not accepting yet */
};

/*
 * Opens one socket, or finds it open. A machine without IPv6 is no reason not to serve the other
 * half of "*".
 */
static int open_one(struct acceptor *acceptor, struct change *change,
                    const struct listener_options *options, bool is_optional)
{
        struct listener *listener = find(&acceptor->listeners, options);
        bool is_shared = !list_is_empty(&acceptor->listeners);
        int r;

        if (listener) {
                list_unlink(&listener->link);
                list_append(&change->kept, &listener->link);
                return 0;
        }
        r = listener_open(&listener, acceptor->loop, options, is_shared, &EVENTS, acceptor);
        if (r == -EAFNOSUPPORT && is_optional)
                return 0;
        if (r < 0)
                return r;
        list_append(&change->opened, &listener->link);
        listener->label = labels_keep(&acceptor->labels, listener->name);
        return listener->label ? 0 : -ENOMEM;
}

static int open_configured(struct acceptor *acceptor, struct change *change,
                           const struct config *config, char problem[static ACCEPTOR_PROBLEM_MAX])
{
        for (size_t i = 0; i < config->n_listeners; i++) {
                const struct config_listener *listener = &config->listeners[i];
                struct listener_options options[LISTENERS_EACH_MAX];
                unsigned n = expand(config, listener, options);

                for (unsigned j = 0; j < n; j++) {
                        bool is_optional = n > 1 && options[j].address.family == AF_INET6;
                        int r = open_one(acceptor, change, &options[j], is_optional);
                        char text[ADDRESS_TEXT_MAX];

                        if (r == 0)
                                continue;
                        snprintf(problem, ACCEPTOR_PROBLEM_MAX, "cannot listen on %s: %s",
                                 options[j].path[0] ? options[j].path
                                                    : address_format(&options[j].address, text),
                                 strerror(-r));
                        return r;
                }
        }
        return 0;
}

/* Lets listeners that are gone serve their queue. */
static void retire(struct acceptor *acceptor)
{
        LIST_FOR_EACH_SAFE (node, following, &acceptor->listeners) {
                list_unlink(node);
                list_append(&acceptor->retiring, node);
                log_notice("no longer listening on %s", listener_of(node)->name);
                if (listener_retire(listener_of(node)))
                        on_retired(acceptor, listener_of(node));
        }
}

/* Options that are not about the address may have changed for a listener that stays open. */
static void reconfigure_kept(struct change *change, const struct config *config)
{
        for (size_t i = 0; i < config->n_listeners; i++) {
                struct listener_options options[LISTENERS_EACH_MAX];
                unsigned n = expand(config, &config->listeners[i], options);

                for (unsigned j = 0; j < n; j++) {
                        struct listener *listener = find(&change->kept, &options[j]);
                        int r = listener ? listener_reconfigure(listener, &options[j]) : 0;

                        if (r < 0)
                                log_warning("%s keeps its old options: %s", listener->name,
                                            strerror(-r));
                }
        }
}

static void for_each_listener(struct acceptor *acceptor, void (*visit)(struct listener *))
{
        LIST_FOR_EACH_SAFE (node, following, &acceptor->listeners)
                visit(listener_of(node));
        LIST_FOR_EACH_SAFE (node, following, &acceptor->retiring)
                visit(listener_of(node));
}

/* Accepts, or pauses, as things are now. */
static void update(struct acceptor *acceptor)
{
        bool is_paused = acceptor->is_full || acceptor->is_short;

        for_each_listener(acceptor, is_paused ? listener_pause : listener_resume);
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
        struct change change;
        int r;

        list_init(&change.kept);
        list_init(&change.opened);
        share_addresses(&acceptor->listeners, true);
        r = open_configured(acceptor, &change, config, problem);
        share_addresses(&acceptor->listeners, false);
        share_addresses(&change.kept, false);
        share_addresses(&change.opened, false);
        if (r < 0) {
                list_splice(&acceptor->listeners, &change.kept);
                close_all(&change.opened);
                return r;
        }
        reconfigure_kept(&change, config);
        retire(acceptor);
        LIST_FOR_EACH_SAFE (node, following, &change.opened)
                log_notice("listening on %s", listener_of(node)->name);
        list_splice(&acceptor->listeners, &change.kept);
        list_splice(&acceptor->listeners, &change.opened);
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

        connection_refuse(descriptor);
        acceptor->n_refused[verdict]++;
        log_write_limited(limit_of(acceptor, EVENT_REFUSED), uv_now(acceptor->loop),
                          LOG_LEVEL_NOTICE, "refused peer=%s listener=%s reason=%s",
                          address_format(peer, text), listener->name,
                          admission_verdict_name(verdict));
}

static void on_accept(void *user, struct listener *listener, int descriptor,
                      const struct address *peer)
{
        struct acceptor *acceptor = user;
        enum admission_verdict verdict =
                admission_decide(&acceptor->admission, peer, pool_load(acceptor->pool));
        int r;

        if (verdict != ADMITTED) {
                refuse(acceptor, listener, descriptor, peer, verdict);
                return;
        }
        r = pool_post(acceptor->pool, descriptor, peer, listener->label);
        if (r < 0) {
                connection_refuse(descriptor);
                on_shortage(acceptor, listener, r);
                return;
        }
        acceptor->n_accepted++;
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
        list_unlink(&listener->link);
        listener_close(listener);
}

static void on_summary(uv_timer_t *summary)
{
        static const char *const subjects[N_ACCEPTOR_EVENTS] = {
                [EVENT_REFUSED] = "refused clients",
                [EVENT_FULL] = "max_connections",
                [EVENT_SHORTAGE] = "failed accepts",
        };
        struct acceptor *acceptor = CONTAINER_OF(summary, struct acceptor, summary);

        for (unsigned event = 0; event < N_ACCEPTOR_EVENTS; event++)
                log_limit_flush(&acceptor->limits[event], uv_now(acceptor->loop), LOG_LEVEL_NOTICE,
                                subjects[event]);
}

void acceptor_finish(struct acceptor *acceptor)
{
        list_splice(&acceptor->listeners, &acceptor->retiring);
        LIST_FOR_EACH_SAFE (node, following, &acceptor->listeners) {
                list_unlink(node);
                if (acceptor->is_full)
                        listener_close(listener_of(node));
                else
                        listener_finish(listener_of(node));
        }
}

void acceptor_close(struct acceptor *acceptor)
{
        close_all(&acceptor->listeners);
        close_all(&acceptor->retiring);
        uv_close((uv_handle_t *)&acceptor->retry, NULL);
        uv_close((uv_handle_t *)&acceptor->summary, NULL);
}

void acceptor_free(struct acceptor *acceptor)
{
        labels_free(&acceptor->labels);
}
