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

/* What echoc does not write for so long is waited for, after which there is a SIGINT. */
struct patience {
        int ms;
        uint64_t deadline;
};

/* More of the standard output; false: there is no more. */
static bool read_on(struct outcome *outcome, int descriptor, pid_t pid, struct patience patience)
{
        struct pollfd readable = {.fd = descriptor, .events = POLLIN};
        size_t length = strlen(outcome->out);
        ssize_t n;

        while (poll(&readable, 1, patience.ms) == 0) {
                cr_assert(patience.ms < PATIENCE_MS && now_ms() < patience.deadline,
                          "it hangs:\n%s", outcome->out);
                kill(pid, SIGINT);
        }
        n = read(descriptor, outcome->out + length, sizeof(outcome->out) - length - 1);
        return n > 0;
}

/* `ms`: the patience after the action. */
static void run_and_act(struct outcome *ret_outcome, const char *needle,
                        void (*act)(pid_t pid, void *user), void *user, int ms,
                        const char *const arguments[])
{
        struct patience patience = {PATIENCE_MS, 0};
        bool has_acted = false;
        int ends[2], status;
        pid_t pid;

        *ret_outcome = (struct outcome){0};
        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        pid = spawn(arguments, ends[1]);
        close(ends[1]);
        while (read_on(ret_outcome, ends[0], pid, patience)) {
                if (has_acted || !strstr(ret_outcome->out, needle))
                        continue;
                has_acted = true;
                act(pid, user);
                patience = (struct patience){ms, now_ms() + PATIENCE_MS};
        }
        close(ends[0]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(has_acted, "no '%s' in:\n%s", needle, ret_outcome->out);
        ret_outcome->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void command_when(struct outcome *ret_outcome, const char *needle,
                  void (*act)(pid_t pid, void *user), void *user, const char *const arguments[])
{
        run_and_act(ret_outcome, needle, act, user, PATIENCE_MS, arguments);
}

static void interrupt(pid_t pid, void *user)
{
        (void)user;
        kill(pid, SIGINT);
}

/*
 * For how long nothing may come after a SIGINT before there is a further one. Two that echoc finds
 * at once are one to it, so who is impatient goes on. And ThreadSanitizer's runtime may, seldom,
 * keep a signal to itself that comes while a thread is about to wait.
 */
static int pause_ms(bool is_impatient)
{
        if (is_impatient)
                return 300;
        return daemon_is_sanitized() ? 10000 : PATIENCE_MS;
}

void command_interrupt(struct outcome *ret_outcome, const char *needle, bool is_impatient,
                       const char *const arguments[])
{
        run_and_act(ret_outcome, needle, interrupt, NULL, pause_ms(is_impatient), arguments);
}
