#pragma once

/*
 * A bound, listening socket. It accepts while it is not paused, and hands each socket on. Belongs
 * to the main loop. accept4(2) is called here and not by libuv, whose listeners cannot be paused
 * and, short of descriptors, close all clients that are waiting.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "address.h"
#include "list.h"
#include "listener_socket.h"
#include "poller.h"

#define LISTENER_NAME_MAX (LISTENER_PATH_MAX + 1)

/* Where its socket comes from, see inherited.h. */
enum listener_origin {
        LISTENER_BOUND,    /* echod has bound it */
        LISTENER_LEFT,     /* an earlier echod has, and left it for this one */
        LISTENER_EXTERNAL, /* a socket unit's: the service manager holds it, too */
};

struct listener;

struct listener_events {
        /* A client came in: the non-blocking descriptor is the callee's from now on. */
        void (*on_accept)(void *user, struct listener *listener, int descriptor,
                          const struct address *peer);
        /* accept4(2) failed for lack of something (EMFILE, ENOMEM); a pause is in order. */
        void (*on_shortage)(void *user, struct listener *listener, int error);
        /* A retiring listener has served its queue and may be closed. */
        void (*on_retired)(void *user, struct listener *listener);
};

struct listener {
        struct list link; /* the owner's */
        struct poller *poller;
        struct watch watch;
        int descriptor;
        enum listener_origin origin;
        struct listener_options options;
        struct address bound;         /* the address with the real port */
        char name[LISTENER_NAME_MAX]; /* as the log shows it, with the real port */
        const char *label;            /* the owner's: a name that outlives the listener */
        bool is_crowded;              /* the last time, several clients were waiting */
        unsigned n_accepted;          /* while it is not: since it was looked whether it is */
        bool is_retiring;
        bool is_superseded; /* of a retiring one: see listener_retire() */
        unsigned n_left;    /* of a retiring one: clients still to accept */
        ino_t inode;        /* of a Unix socket's file */
        const struct listener_events *events;
        void *user;
};

/*
 * Binds and listens; does not accept yet. `events` and `user` must outlive it. Negative errno of
 * socket(2), bind(2), listen(2): -EACCES, -EADDRINUSE, -EADDRNOTAVAIL, -EAFNOSUPPORT; -ENOMEM.
 * A Unix socket's file that nobody listens on is replaced. `is_shared`: an overlapping address is
 * still bound by a listener that shares it, see listener_share_address().
 */
int listener_open(struct listener **ret_listener, struct poller *poller,
                  const struct listener_options *options, bool is_shared,
                  const struct listener_events *events, void *user);

/*
 * The same with a socket that is bound already; takes the descriptor over, and closes it on
 * failure. Negative errno of listener_socket_adopt(), listen(2); -ENOMEM. The file of an external
 * Unix socket is not echod's: it neither gets a mode nor is it removed.
 */
int listener_adopt(struct listener **ret_listener, struct poller *poller,
                   const struct listener_options *options, int descriptor,
                   enum listener_origin origin, const struct listener_events *events, void *user);

/* Whether both listen on the same address, as it was asked for. */
bool listener_is_same(const struct listener_options *a, const struct listener_options *b);

/* Puts into force what can change while listening: all but the address. Negative errno. */
int listener_reconfigure(struct listener *listener, const struct listener_options *options);

/* Lets another socket bind an overlapping address (SO_REUSEPORT), while listeners change over. */
void listener_share_address(struct listener *listener, bool is_shared);

void listener_resume(struct listener *listener);

void listener_pause(struct listener *listener);

/*
 * Accepts what is in the queue now, whether paused or not, and then closes it. The queue of an
 * external one stays as it is: it outlives the process.
 */
void listener_finish(struct listener *listener);

/*
 * Has it accept only the clients that are in its queue now; on_retired comes after the last.
 * `is_superseded`: another listener has the address, too, and would serve those who come after
 * them; so they are accepted as well, for as long as somebody waits. True: nobody does, it may be
 * closed at once.
 */
bool listener_retire(struct listener *listener, bool is_superseded);

/* Undoes listener_retire(). */
void listener_revive(struct listener *listener);

/* Somebody else has the socket, too, and goes on with it: its file stays when it is closed. */
void listener_leave(struct listener *listener);

/* Closes the socket and removes a Unix socket's file; the poller frees the listener. */
void listener_close(struct listener *listener);
