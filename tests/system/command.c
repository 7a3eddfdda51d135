#include "command.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"

#define NOBODY 65534

const char *command_echod(void)
{
        const char *path = getenv("ECHOD");

        cr_assert_not_null(path, "the environment variable ECHOD names the binary");
        return path;
}

bool command_echod_has(const char *feature)
{
        struct outcome outcome;
        char text[32];

        RUN_ECHOD(&outcome, "-V");
        cr_assert(strstr(outcome.out, feature), "no %s in: %s%s", feature, outcome.out,
                  outcome.err);
        snprintf(text, sizeof(text), "+%s", feature);
        return strstr(outcome.out, text);
}

void command_become_nobody(void)
{
        if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
                _exit(126);
}

/* Appends what there is; false at the end. */
static bool take(int descriptor, char *text, size_t size)
{
        size_t length = strlen(text);
        ssize_t n;

        cr_assert_lt(length + 1, size, "it writes too much");
        n = read(descriptor, text + length, size - length - 1);
        text[length + (size_t)(n > 0 ? n : 0)] = '\0';
        return n > 0;
}

static void capture(struct outcome *outcome, int out, int err)
{
        struct pollfd ends[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};

        while (ends[0].fd >= 0 || ends[1].fd >= 0) {
                cr_assert_gt(poll(ends, 2, PATIENCE_MS), 0, "it does not end: %s", outcome->err);
                if (ends[0].revents && !take(out, outcome->out, sizeof(outcome->out)))
                        ends[0].fd = -1;
                if (ends[1].revents && !take(err, outcome->err, sizeof(outcome->err)))
                        ends[1].fd = -1;
        }
}

void command_run(struct outcome *ret_outcome, void (*prepare)(void), const char *const arguments[])
{
        int out[2], err[2], status;
        pid_t pid;

        *ret_outcome = (struct outcome){0};
        cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
        cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
        pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(out[1], STDOUT_FILENO);
                dup2(err[1], STDERR_FILENO);
                if (prepare)
                        prepare();
                execvp(arguments[0], (char *const *)(uintptr_t)arguments);
                _exit(127);
        }
        close(out[1]);
        close(err[1]);
        capture(ret_outcome, out[0], err[0]);
        close(out[0]);
        close(err[0]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        ret_outcome->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool command_matches(const char *text, const char *pattern)
{
        regex_t regex;
        bool is_match;

        cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NEWLINE | REG_NOSUB), 0,
                     "bad pattern %s", pattern);
        is_match = regexec(&regex, text, 0, NULL, 0) == 0;
        regfree(&regex);
        return is_match;
}
