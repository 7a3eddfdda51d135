#pragma once

/*
 * An echo server in a thread of the test, which plays one trick. It is played once, on the first
 * connection, when the stream reaches an offset. What goes wrong in here fails the running test.
 */

#include <stdint.h>

enum trick {
        TRICK_NONE,
        TRICK_DROP,      /* so many bytes do not come back */
        TRICK_DUPLICATE, /* so many bytes before the offset come again */
        TRICK_SWAP,      /* so many bytes come after the next ones, which are as many */
        TRICK_MIX,       /* so many bytes go to the second connection instead */
        TRICK_MIX_AHEAD, /* the same, and until then the second connection is not read */
        TRICK_CROSS,     /* each of two connections gets the bytes of the other */
        TRICK_CORRUPT,   /* so many bytes are changed */
        TRICK_DELAY,     /* the answer waits for so many milliseconds */
        TRICK_MUTE,      /* no answer any more, on all connections */
        TRICK_RESET,
        TRICK_CLOSE,
        TRICK_TAIL,          /* so many bytes come again when the client has half-closed */
        TRICK_CLING,         /* the same, but it never closes, on all connections */
        TRICK_DEAF,          /* nobody accepts */
        TRICK_FULL,          /* nor is there room for one who waits for that */
        TRICK_ONE_AT_A_TIME, /* nobody is accepted until the one before has gone */
        TRICK_LEAVE,         /* no further connection is accepted */
};

struct crooked_server;

/* On 127.0.0.1 and a free port. `length`: see above. */
struct crooked_server *crooked_start(enum trick trick, uint64_t offset, uint64_t length);

/* The same on a Unix socket, in whose queue there is room for `backlog` + 1. */
struct crooked_server *crooked_start_at_path(enum trick trick, const char *path, int backlog);

/* Its port, as an argument. Valid as long as the server. */
const char *crooked_port(const struct crooked_server *server);

/* Closes its connections, frees. */
void crooked_stop(struct crooked_server *server);
