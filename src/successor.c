/*
 * The happy path:
 *  1. successor_check() starts the program with -t, and a timer.
 *  2. on_exit() says whether it has found the configuration valid.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "util.h"

#define DEADLINE_MS 10000

static void on_exit_of_check(uv_process_t *process, int64_t exit_status, int term_signal);
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
        if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
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

static int spawn(struct successor *successor, uv_loop_t *loop)
{
        uv_stdio_container_t streams[] = {
                {.flags = UV_IGNORE},
                {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
                {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        };
        CLEANUP_FREE char **arguments = arguments_for_check(successor->argv);
        const uv_process_options_t options = {
                .exit_cb = on_exit_of_check,
                .file = successor->path,
                .args = arguments,
                .stdio = streams,
                .stdio_count = ARRAY_SIZE(streams),
        };
        int r;

        if (!arguments)
                return -ENOMEM;
        r = uv_spawn(loop, &successor->process, &options);
        successor->process.data = successor;
        successor->n_handles++;
        if (r < 0)
                close_handle((uv_handle_t *)&successor->process);
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
        r = spawn(successor, loop);
        if (r < 0)
                close_handle((uv_handle_t *)&successor->deadline);
        return r;
}

static void on_exit_of_check(uv_process_t *process, int64_t exit_status, int term_signal)
{
        struct successor *successor = process->data;
        char problem[80];

        close_handle((uv_handle_t *)process);
        close_handle((uv_handle_t *)&successor->deadline);
        if (successor->is_late)
                snprintf(problem, sizeof(problem), "it takes more than %d s", DEADLINE_MS / 1000);
        else if (term_signal != 0)
                snprintf(problem, sizeof(problem), "it was killed by signal %d", term_signal);
        else
                snprintf(problem, sizeof(problem), "its exit status is %d", (int)exit_status);
        successor->on_checked(successor->user,
                              term_signal == 0 && exit_status == 0 ? NULL : problem);
}

static void on_deadline(uv_timer_t *deadline)
{
        struct successor *successor = deadline->data;

        successor->is_late = true;
        uv_process_kill(&successor->process, SIGKILL);
}

void successor_cancel(struct successor *successor)
{
        if (successor->n_handles == 0)
                return;
        if (uv_is_active((uv_handle_t *)&successor->process))
                uv_process_kill(&successor->process, SIGKILL);
        close_handle((uv_handle_t *)&successor->process);
        close_handle((uv_handle_t *)&successor->deadline);
}

int successor_exec(const struct successor *successor)
{
        execv(successor->path, successor->argv);
        return -errno;
}
