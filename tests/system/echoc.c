#include "echoc.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"

const char *command_echoc(void)
{
        const char *path = getenv("ECHOC");

        cr_assert_not_null(path, "the environment variable ECHOC names the binary");
        return path;
}

const char *port_text(uint16_t port)
{
        static char text[8];

        snprintf(text, sizeof(text), "%u", port);
        return text;
}

unsigned count_text(const char *text, const char *needle)
{
        unsigned n = 0;

        while ((text = strstr(text, needle))) {
                text += strlen(needle);
                n++;
        }
        return n;
}

static pid_t spawn(const char *const arguments[], int out)
{
        pid_t pid = fork();

        cr_assert_geq(pid, 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(out, STDOUT_FILENO);
                execvp(arguments[0], (char *const *)(uintptr_t)arguments);
                _exit(127);
        }
        return pid;
}

pid_t command_start(const char *const arguments[])
{
        return spawn(arguments, STDERR_FILENO);
}

/* SIGINT, so many times, with time in between to take notice. */
static void interrupt(pid_t pid, void *n)
{
        for (unsigned i = 0; i < *(unsigned *)n; i++) {
                if (i > 0)
                        usleep(300000);
                kill(pid, SIGINT);
        }
}

void command_when(struct outcome *ret_outcome, const char *needle,
                  void (*act)(pid_t pid, void *user), void *user, const char *const arguments[])
{
        bool has_acted = false;
        size_t length = 0;
        ssize_t n = 1;
        int ends[2], status;
        pid_t pid;

        *ret_outcome = (struct outcome){0};
        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        pid = spawn(arguments, ends[1]);
        close(ends[1]);
        while (n > 0) {
                struct pollfd readable = {.fd = ends[0], .events = POLLIN};

                cr_assert_gt(poll(&readable, 1, PATIENCE_MS), 0, "it hangs:\n%s", ret_outcome->out);
                n = read(ends[0], ret_outcome->out + length, sizeof(ret_outcome->out) - length - 1);
                length += n > 0 ? (size_t)n : 0;
                if (!has_acted && strstr(ret_outcome->out, needle)) {
                        has_acted = true;
                        act(pid, user);
                }
        }
        close(ends[0]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(has_acted, "no '%s' in:\n%s", needle, ret_outcome->out);
        ret_outcome->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void command_interrupt(struct outcome *ret_outcome, const char *needle, unsigned n_interrupts,
                       const char *const arguments[])
{
        command_when(ret_outcome, needle, interrupt, &n_interrupts, arguments);
}
