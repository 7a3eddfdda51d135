/*
 * The happy path:
 *  1. successor_check() starts the program with -t, and a timer.
 *  2. on_exit_of_check() says whether it has found the configuration valid.
 *  3. successor_exec() puts it in this process's place.
 *
 * What can go wrong:
 *  - it cannot be started: successor_check() fails, nothing has been started;
 *  - it does not end in time: on_deadline() kills it, then 2;
 *  - the check is no longer wanted: successor_cancel() kills it, and nobody is told.
 */

#include "successor.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"

#define DEADLINE_MS 10000

static void on_exit_of_check(uv_poll_t *poll, int status, int events);
static void on_deadline(uv_timer_t *deadline);

void successor_init(struct successor *successor, char *const argv[])
{
        /* Neither /proc/self/exe, which follows the old file wherever it is moved, nor argv[0],
         * which may be anything. */
        const char *path = (const char *)(uintptr_t)getauxval(AT_EXECFN);

        *successor = (struct successor){.path = path ? path : argv[0], .argv = argv};
}

/*
 * The arguments with -t before them, and nothing to say if all is well; NULL: out of memory. The
 * last one prevails.
 */
static char **arguments_for_check(char *const argv[])
{
        static char check[] = "-t", option[] = "-o", quiet[] = "log_level = \"error\";";
        size_t n = 0;
        char **arguments;

        while (argv[n])
                n++;
        arguments = calloc(n + 4, sizeof(*arguments));
        if (!arguments)
                return NULL;
        arguments[0] = argv[0];
        arguments[1] = check;
        memcpy(arguments + 2, argv + 1, (n - 1) * sizeof(*arguments));
        arguments[n + 1] = option;
        arguments[n + 2] = quiet;
        return arguments;
}

static void on_closed(uv_handle_t *handle)
{
        ((struct successor *)handle->data)->n_handles--;
}

static void close_handle(uv_handle_t *handle)
{
        if (!uv_is_closing(handle))
                uv_close(handle, on_closed);
}

static int start_deadline(struct successor *successor, uv_loop_t *loop)
{
        int r = uv_timer_init(loop, &successor->deadline);

        if (r < 0)
                return r;
        successor->deadline.data = successor;
        successor->n_handles++;
        r = uv_timer_start(&successor->deadline, on_deadline, DEADLINE_MS, 0);
        if (r < 0)
                close_handle((uv_handle_t *)&successor->deadline);
        return r;
}

/*
 * posix_spawn(3) and not uv_spawn(), which needs a handler of SIGCHLD and pipes to go with it.
 * Standard output goes to standard error. Signals are as they were before signals_block().
 */
static int spawn(struct successor *successor)
{
        CLEANUP_FREE char **arguments = arguments_for_check(successor->argv);
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, defaults;
        int error;

        if (!arguments)
                return -ENOMEM;
        sigemptyset(&none);
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        error = posix_spawn(&successor->checker, successor->path, &actions, &attributes, arguments,
                            environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        if (error)
                successor->checker = 0;
        return -error;
}

static void kill_checker(struct successor *successor)
{
        kill(successor->checker, SIGKILL);
}

/* Its exit status as waitpid(2) has it. */
static int reap(struct successor *successor)
{
        int status = 0;

        waitpid(successor->checker, &status, 0);
        successor->checker = 0;
        return status;
}

/* Has on_exit_of_check() called. */
static int watch(struct successor *successor, uv_loop_t *loop)
{
        int r;

        successor->exit = pidfd_open(successor->checker, 0);
        if (successor->exit < 0)
                return -errno;
        r = uv_poll_init(loop, &successor->poll, successor->exit);
        if (r < 0) {
                close(successor->exit);
                return r;
        }
        successor->poll.data = successor;
        successor->n_handles++;
        r = uv_poll_start(&successor->poll, UV_READABLE, on_exit_of_check);
        if (r < 0) {
                close_handle((uv_handle_t *)&successor->poll);
                close(successor->exit);
        }
        return r;
}

static int start_check(struct successor *successor, uv_loop_t *loop)
{
        int r = spawn(successor);

        if (r < 0)
                return r;
        r = watch(successor, loop);
        if (r < 0) {
                kill_checker(successor);
                reap(successor);
        }
        return r;
}

int successor_check(struct successor *successor, uv_loop_t *loop,
                    void (*on_checked)(void *user, const char *problem), void *user)
{
        int r;

        if (successor->n_handles > 0)
                return -EALREADY;
        successor->on_checked = on_checked;
        successor->user = user;
        successor->is_late = false;
        r = start_deadline(successor, loop);
        if (r < 0)
                return r;
        r = start_check(successor, loop);
        if (r < 0)
                close_handle((uv_handle_t *)&successor->deadline);
        return r;
}

/* The check is over. */
static void close_check(struct successor *successor)
{
        close_handle((uv_handle_t *)&successor->poll);
        close_handle((uv_handle_t *)&successor->deadline);
        close(successor->exit);
}

static void on_exit_of_check(uv_poll_t *poll, int status, int events)
{
        struct successor *successor = poll->data;
        char problem[80];

        (void)events;
        status = reap(successor);
        close_check(successor);
        if (successor->is_late)
                snprintf(problem, sizeof(problem), "it takes more than %d s", DEADLINE_MS / 1000);
        else if (WIFSIGNALED(status))
                snprintf(problem, sizeof(problem), "it was killed by signal %d", WTERMSIG(status));
        else
                snprintf(problem, sizeof(problem), "its exit status is %d", WEXITSTATUS(status));
        successor->on_checked(successor->user, status == 0 ? NULL : problem);
}

static void on_deadline(uv_timer_t *deadline)
{
        struct successor *successor = deadline->data;

        successor->is_late = true;
        kill_checker(successor);
}

void successor_cancel(struct successor *successor)
{
        if (successor->checker == 0)
                return;
        kill_checker(successor);
        reap(successor);
        close_check(successor);
}

int successor_exec(const struct successor *successor)
{
        execv(successor->path, successor->argv);
        return -errno;
}
