/*
 * A change of configuration, all or nothing:
 *  1. Each address that is wanted is looked for among the open listeners, among those that are
 *     retiring, and among inherited sockets; what is not found is opened.
 *  2. All could be had: those that nobody asked for retire, the others get their new options.
 *  3. One could not: the new ones are closed, and the old ones are as they were.
 */

#include "listener_set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_data.h"
#include "inherited.h"
#include "listener_queue.h"
#include "log.h"

/* "*" is one listener for both families, or one for each. */
#define LISTENERS_EACH_MAX 3

static struct listener *listener_of(struct list *node)
{
        return CONTAINER_OF(node, struct listener, link);
}

void listener_set_init(struct listener_set *set, struct poller *poller,
                       const struct listener_events *events, void *user)
{
        *set = (struct listener_set){.poller = poller, .events = events, .user = user};
        list_init(&set->active);
        list_init(&set->retiring);
        labels_init(&set->labels);
}

void listener_set_inherit(struct listener_set *set, struct inherited *inherited)
{
        set->inherited = inherited;
        set->is_lenient = inherited_is_legacy(inherited);
}

/*
 * The sockets that one listener of the configuration stands for; returns how many. A dual-stack one
 * is the first, and takes the place of the others.
 */
static unsigned expand(const struct config *config, const struct config_listener *listener,
                       struct listener_options options[static LISTENERS_EACH_MAX])
{
        static const char *const any[LISTENERS_EACH_MAX] = {"::", "::", "0.0.0.0"};
        bool is_any = strcmp(listener->address, "*") == 0;
        unsigned n = is_any ? LISTENERS_EACH_MAX : 1;

        for (unsigned i = 0; i < n; i++) {
                options[i] = (struct listener_options){
                        .address = {.family = AF_UNIX},
                        .is_dual_stack = is_any && i == 0,
                        .backlog = (int)listener->backlog,
                        .mode = (mode_t)listener->mode,
                        .tcp_nodelay = config->tcp_nodelay,
                        .keepalive_idle_s = (int)config->tcp_keepalive.idle_s,
                        .keepalive_interval_s = (int)config->tcp_keepalive.interval_s,
                        .keepalive_count = (int)config->tcp_keepalive.count,
                        .proxy_protocol = listener->proxy_protocol,
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

static void share_list(struct list *listeners, bool is_shared)
{
        LIST_FOR_EACH_SAFE (node, following, listeners)
                listener_share_address(listener_of(node), is_shared);
}

/* What a change of listeners sorts them into. */
struct change {
        struct list kept;    /* open and still wanted */
        struct list revived; /* retiring, and wanted again */
        struct list opened;  /* new; not accepting yet */
};

/* Lets old and new listeners bind overlapping addresses, such as 127.0.0.1 and * on one port. */
static void share_addresses(struct listener_set *set, struct change *change, bool is_shared)
{
        share_list(&set->active, is_shared);
        share_list(&set->retiring, is_shared);
        share_list(&change->kept, is_shared);
        share_list(&change->revived, is_shared);
        share_list(&change->opened, is_shared);
}

/* Takes an open listener over into the change. True: there is one. */
static bool claim(struct list *from, struct list *to, const struct listener_options *options)
{
        struct listener *listener = find(from, options);

        if (!listener)
                return false;
        list_unlink(&listener->link);
        list_append(to, &listener->link);
        return true;
}

static int keep(struct listener_set *set, struct change *change, struct listener *listener)
{
        list_append(&change->opened, &listener->link);
        listener->label = labels_keep(&set->labels, listener->name);
        return listener->label ? 0 : -ENOMEM;
}

enum { FOUND, NOT_FOUND };

/* Among what was inherited. Negative errno: there, but it cannot be used. */
static int adopt(struct listener_set *set, struct change *change,
                 const struct listener_options *options)
{
        struct listener *listener;
        bool is_external = false;
        int r = -ENOENT;

        if (set->inherited)
                r = inherited_take(set->inherited, &options->address, options->path,
                                   options->is_dual_stack, &is_external);
        if (r == -ENOENT)
                return NOT_FOUND;
        if (r >= 0)
                r = listener_adopt(&listener, set->poller, options, r,
                                   is_external ? LISTENER_EXTERNAL : LISTENER_LEFT, set->events,
                                   set->user);
        return r < 0 ? r : keep(set, change, listener);
}

/* Open already, or inherited. */
static int find_one(struct listener_set *set, struct change *change,
                    const struct listener_options *options)
{
        if (claim(&set->active, &change->kept, options) ||
            claim(&set->retiring, &change->revived, options))
                return FOUND;
        return adopt(set, change, options);
}

/*
 * Opens one socket, or finds it. A machine without IPv6 is no reason not to serve the other half of
 * "*".
 */
static int open_one(struct listener_set *set, struct change *change,
                    const struct listener_options *options, bool is_optional)
{
        bool is_shared = !list_is_empty(&set->active) || !list_is_empty(&set->retiring);
        struct listener *listener;
        int r = find_one(set, change, options);

        if (r != NOT_FOUND)
                return r;
        r = listener_open(&listener, set->poller, options, is_shared, set->events, set->user);
        if (r == -EAFNOSUPPORT && is_optional)
                return 0;
        return r < 0 ? r : keep(set, change, listener);
}

static void describe_failure(const struct listener_options *options, int error,
                             char problem[static LISTENER_SET_PROBLEM_MAX])
{
        char text[ADDRESS_TEXT_MAX];

        snprintf(problem, LISTENER_SET_PROBLEM_MAX, "cannot listen on %s: %s",
                 options->path[0] ? options->path : address_format(&options->address, text),
                 strerror(-error));
}

/* One listener of the configuration. */
static int open_each(struct listener_set *set, struct change *change, const struct config *config,
                     const struct config_listener *listener,
                     char problem[static LISTENER_SET_PROBLEM_MAX])
{
        struct listener_options options[LISTENERS_EACH_MAX];
        unsigned n = expand(config, listener, options);

        for (unsigned i = 0; i < n; i++) {
                bool is_optional = n > 1 && options[i].address.family == AF_INET6;
                int r = options[i].is_dual_stack ? find_one(set, change, &options[i])
                                                 : open_one(set, change, &options[i], is_optional);

                if (r < 0) {
                        describe_failure(&options[i], r, problem);
                        if (!set->is_lenient)
                                return r;
                        log_error("%s; going on without it", problem);
                        return 0;
                }
                if (options[i].is_dual_stack && r == FOUND)
                        break;
        }
        return 0;
}

/* Those who name a port come first: for the others any inherited socket will do. */
static int open_configured(struct listener_set *set, struct change *change,
                           const struct config *config,
                           char problem[static LISTENER_SET_PROBLEM_MAX])
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < config->n_listeners; i++)
                if (config->listeners[i].port != 0)
                        r = open_each(set, change, config, &config->listeners[i], problem);
        for (size_t i = 0; r == 0 && i < config->n_listeners; i++)
                if (config->listeners[i].port == 0)
                        r = open_each(set, change, config, &config->listeners[i], problem);
        return r;
}

/* Whether a listener that stays may get the clients that this one would have got. */
static bool is_superseded(struct listener *listener, struct list *successors)
{
        const struct address *address = &listener->bound;

        LIST_FOR_EACH_SAFE (node, following, successors) {
                const struct address *other = &listener_of(node)->bound;

                if (other->family == address->family && other->family != AF_UNIX &&
                    other->port == address->port)
                        return true;
        }
        return false;
}

static void log_retirement(const struct listener *listener)
{
        if (listener->origin == LISTENER_EXTERNAL)
                log_warning("no longer listening on %s, but its socket unit is: clients will wait "
                            "there until that is stopped, or the address is configured again",
                            listener->name);
        else
                log_notice("no longer listening on %s", listener->name);
}

/* Lets listeners that are gone serve their queue. */
static void retire(struct listener_set *set, struct change *change)
{
        LIST_FOR_EACH_SAFE (node, following, &set->retiring)
                if (is_superseded(listener_of(node), &change->opened))
                        listener_of(node)->is_superseded = true;
        LIST_FOR_EACH_SAFE (node, following, &set->active) {
                struct listener *listener = listener_of(node);

                list_unlink(node);
                list_append(&set->retiring, node);
                log_retirement(listener);
                if (listener_retire(listener, is_superseded(listener, &change->opened)))
                        listener_set_remove(listener);
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

static const char *origin_note(enum listener_origin origin)
{
        static const char *const notes[] = {
                [LISTENER_BOUND] = "",
                [LISTENER_LEFT] = " (socket taken over)",
                [LISTENER_EXTERNAL] = " (socket handed in)",
        };

        return notes[origin];
}

int listener_set_apply(struct listener_set *set, const struct config *config,
                       char problem[static LISTENER_SET_PROBLEM_MAX])
{
        struct change change;
        int r;

        list_init(&change.kept);
        list_init(&change.revived);
        list_init(&change.opened);
        share_addresses(set, &change, true);
        r = open_configured(set, &change, config, problem);
        share_addresses(set, &change, false);
        set->is_lenient = false;
        if (r < 0) {
                list_splice(&set->active, &change.kept);
                list_splice(&set->retiring, &change.revived);
                close_all(&change.opened);
                return r;
        }
        LIST_FOR_EACH_SAFE (node, following, &change.revived)
                listener_revive(listener_of(node));
        list_splice(&change.kept, &change.revived);
        reconfigure_kept(&change, config);
        retire(set, &change);
        LIST_FOR_EACH_SAFE (node, following, &change.opened)
                log_notice("listening on %s%s", listener_of(node)->name,
                           origin_note(listener_of(node)->origin));
        list_splice(&set->active, &change.kept);
        list_splice(&set->active, &change.opened);
        return 0;
}

/* Those who wait for longest, at listeners that are no longer wanted, come first. */
static void for_each(struct listener_set *set, void (*visit)(struct listener *))
{
        LIST_FOR_EACH_SAFE (node, following, &set->retiring)
                visit(listener_of(node));
        LIST_FOR_EACH_SAFE (node, following, &set->active)
                visit(listener_of(node));
}

void listener_set_for_each(struct listener_set *set,
                           void (*visit)(void *user, struct listener *listener), void *user)
{
        LIST_FOR_EACH_SAFE (node, following, &set->retiring)
                visit(user, listener_of(node));
        LIST_FOR_EACH_SAFE (node, following, &set->active)
                visit(user, listener_of(node));
}

void listener_set_pause(struct listener_set *set)
{
        for_each(set, listener_pause);
}

void listener_set_resume(struct listener_set *set)
{
        for_each(set, listener_resume);
}

void listener_set_remove(struct listener *listener)
{
        struct listener_queue queue;

        /* The kernel's count ends with the socket; ours goes on when the listener comes back. */
        if (listener_queue_look(listener->descriptor, &queue))
                label_of(listener->label)->n_drops += queue.n_drops;
        list_unlink(&listener->link);
        listener_close(listener);
}

void listener_set_finish(struct listener_set *set)
{
        list_splice(&set->active, &set->retiring);
        LIST_FOR_EACH_SAFE (node, following, &set->active) {
                list_unlink(node);
                listener_finish(listener_of(node));
        }
}

void listener_set_close(struct listener_set *set)
{
        close_all(&set->active);
        close_all(&set->retiring);
}

void listener_set_free(struct listener_set *set)
{
        labels_free(&set->labels);
}
