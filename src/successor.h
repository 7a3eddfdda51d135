#pragma once

/*
 * The echod that takes this one's place: the file that this process was started from, as it is by
 * now, with the same arguments. For the main loop.
 */

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

struct successor {
        const char *path;  /* of the file; as it was given to execve(2) */
        char *const *argv; /* the process's own */
        pid_t checker;     /* the process that checks, or 0 */
        int exit;          /* a pidfd of it */
        uv_poll_t poll;    /* of that */
        uv_timer_t deadline;
        unsigned n_handles; /* of the two, those that are open or closing */
        bool is_late;
        void (*on_checked)(void *user, const char *problem);
        void *user;
};

/* `argv`: main()'s, which must outlive it. */
void successor_init(struct successor *successor, char *const argv[]);

/*
 * Has it check the configuration, with -t, and calls `on_checked` once it has, or has not within
 * ten seconds; `problem` is why it is not fit, or NULL. What it has to say itself goes to standard
 * error. -EALREADY: a check is under way. -ENOMEM, or negative errno of posix_spawn(3): -ENOENT,
 * -EACCES; or of pidfd_open(2).
 */
int successor_check(struct successor *successor, uv_loop_t *loop,
                    void (*on_checked)(void *user, const char *problem), void *user);

/* Ends a check that is under way, if any; `on_checked` does not come. */
void successor_cancel(struct successor *successor);

/* Becomes it. Returns only on failure: a negative errno of execve(2). */
int successor_exec(const struct successor *successor);
