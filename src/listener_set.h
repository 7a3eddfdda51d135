#pragma once

/*
 * The listeners that a configuration asks for, and how they follow it when it changes.
 */

#include <uv.h>

#include "labels.h"
#include "list.h"
#include "listener.h"

struct config;
struct inherited;

struct listener_set {
        struct poller *poller;
        const struct listener_events *events;
        void *user;
        struct inherited *inherited; /* NULL: nothing was */
        bool is_lenient;             /* until the first change: see listener_set_inherit() */
        struct list active;          /* struct listener */
        struct list retiring;        /* the same: no longer wanted, serving their queue */
        struct labels labels;        /* listeners' names, which connections keep */
};

/* Room for a message on what could not be bound. */
#define LISTENER_SET_PROBLEM_MAX 256

/* An empty set. `events` and `user` are the listeners', and must outlive the set. */
void listener_set_init(struct listener_set *set, struct poller *poller,
                       const struct listener_events *events, void *user);

/*
 * From now on inherited sockets are used rather than bound anew; they must outlive the set. If an
 * earlier echod has left any, connections of its depend on a start that succeeds: then, the first
 * time, a listener that cannot be opened is said in the log, and left out.
 */
void listener_set_inherit(struct listener_set *set, struct inherited *inherited);

/*
 * Opens listeners that are new, retires those that are gone, leaves the others open. The new ones
 * do not accept yet. All or nothing: on failure (listener_open()'s, listener_adopt()'s) everything
 * is as before, and `problem` names the address.
 */
int listener_set_apply(struct listener_set *set, const struct config *config,
                       char problem[static LISTENER_SET_PROBLEM_MAX]);

void listener_set_for_each(struct listener_set *set,
                           void (*visit)(void *user, struct listener *listener), void *user);

void listener_set_pause(struct listener_set *set);

void listener_set_resume(struct listener_set *set);

/* Takes a listener that has retired out of its set, and closes it. */
void listener_set_remove(struct listener *listener);

/* Serves what is in the queues now, and closes all listeners. */
void listener_set_finish(struct listener_set *set);

/* Closes all listeners, whoever waits. */
void listener_set_close(struct listener_set *set);

/* Frees the names. The listeners must have been closed, and the workers have ended. */
void listener_set_free(struct listener_set *set);
