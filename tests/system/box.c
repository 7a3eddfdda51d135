#include "box.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"

/* What the process that starts the tests tells them, in their environment. */
#define INIT_PID "ECHOD_BOX_PID"    /* PID 1 of the box, as this machine sees it */
#define FAILED   "ECHOD_BOX_FAILED" /* why there is none, and should be */

#define COMMAND_SIZE 8192
#define MESON_SKIP   77

/* Of the process that starts the tests. The box ends when the pipe to its holder does. */
static pid_t holder;
static int lifeline = -1;

/* Where the journal was when the test began. */
static char cursor[256];

static const char *box(void)
{
        static char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/tests/system/box/box", getenv("SOURCE_ROOT"));
        return path;
}

/* The holder is in a session of its own, so that it outlives whatever ends the tests' group. */
static void start_holder(char *answer, size_t size)
{
        int in[2], out[2];
        FILE *answers;

        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
                abort();
        holder = fork();
        if (holder < 0)
                abort();
        if (holder == 0) {
                dup2(in[0], STDIN_FILENO);
                dup2(out[1], STDOUT_FILENO);
                setsid();
                execl(box(), box(), "hold", NULL);
                _exit(127);
        }
        close(in[0]);
        close(out[1]);
        lifeline = in[1];
        answers = fdopen(out[0], "r");
        if (!answers || !fgets(answer, (int)size, answers))
                snprintf(answer, size, "failed %s", "and does not say why");
        if (answers)
                fclose(answers);
        answer[strcspn(answer, "\n")] = '\0';
}

static bool install(void)
{
        char command[2 * PATH_MAX + 32];

        snprintf(command, sizeof(command), "'%s' install '%s'", box(), getenv("BUILD_ROOT"));
        return system(command) == 0;
}

/* Criterion 2.4 may hang when one test after the other does nothing but skip itself. */
static void skip_all(const char *reason)
{
        char socket[64];

        close(lifeline);
        waitpid(holder, NULL, 0);
        snprintf(socket, sizeof(socket), "/tmp/criterion_%d.sock", (int)getpid());
        unlink(socket); /* Criterion's, which it would have removed at the end */
        printf("no box with systemd: %s\n", reason);
        exit(MESON_SKIP);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
        char name[32], cache[PATH_MAX], answer[512];

        (void)tests;
        snprintf(name, sizeof(name), "test-%d", (int)getpid());
        setenv("BOX_NAME", name, 1);
        snprintf(cache, sizeof(cache), "%s/box", getenv("BUILD_ROOT"));
        setenv("BOX_CACHE", cache, 0);
        start_holder(answer, sizeof(answer));
        if (strncmp(answer, "up ", 3) == 0)
                setenv(INIT_PID, answer + 3, 1);
        else if (strncmp(answer, "unable ", 7) == 0)
                skip_all(answer + 7);
        else
                setenv(FAILED, answer, 1);
        if (getenv(INIT_PID) && !install())
                setenv(FAILED, "cannot install, see standard error", 1);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
        (void)stats;
        close(lifeline);
        waitpid(holder, NULL, 0);
}

const char *box_path(const char *path)
{
        static char paths[8][PATH_MAX];
        static unsigned next;
        char *in_box = paths[next++ % 8];

        snprintf(in_box, PATH_MAX, "/proc/%s/root%s", getenv(INIT_PID), path);
        return in_box;
}

/* This process only: the machine's own network is as it was. */
static void enter_network(void)
{
        char path[64];
        int network;

        snprintf(path, sizeof(path), "/proc/%s/ns/net", getenv(INIT_PID));
        network = open(path, O_RDONLY | O_CLOEXEC);
        cr_assert_geq(network, 0, "%s: %s", path, strerror(errno));
        cr_assert_eq(setns(network, CLONE_NEWNET), 0, "setns: %s", strerror(errno));
        close(network);
}

void box_enter(void)
{
        struct outcome outcome;

        if (getenv(FAILED))
                cr_assert_fail("the box: %s", getenv(FAILED));
        enter_network();
        command_run(&outcome, NULL, (const char *const[]){box(), "reset", NULL});
        cr_assert_eq(outcome.status, 0, "cannot reset the box: %s", outcome.err);
        snprintf(cursor, sizeof(cursor), "%s",
                 box_shell("journalctl --lines=0 --show-cursor | sed -n 's/^-- cursor: //p'"));
}

static void run_inside(struct outcome *ret_outcome, const char *command)
{
        command_run(ret_outcome, NULL,
                    (const char *const[]){box(), "run", "sh", "-c", command, NULL});
}

void box_try(struct outcome *ret_outcome, const char *format, ...)
{
        char command[COMMAND_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(command, sizeof(command), format, arguments);
        va_end(arguments);
        run_inside(ret_outcome, command);
}

/* One of eight, in turn. */
static struct outcome *next_outcome(void)
{
        static struct outcome outcomes[8];
        static unsigned next;

        return &outcomes[next++ % 8];
}

static const char *without_newline(struct outcome *outcome)
{
        size_t length = strlen(outcome->out);

        if (length > 0 && outcome->out[length - 1] == '\n')
                outcome->out[length - 1] = '\0';
        return outcome->out;
}

const char *box_shell(const char *format, ...)
{
        struct outcome *outcome = next_outcome();
        char command[COMMAND_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(command, sizeof(command), format, arguments);
        va_end(arguments);
        run_inside(outcome, command);
        cr_assert_eq(outcome->status, 0, "%s\nends with status %d: %s%s", command, outcome->status,
                     outcome->out, outcome->err);
        return without_newline(outcome);
}

const char *box_await(const char *needle, const char *format, ...)
{
        struct outcome *outcome = next_outcome();
        uint64_t deadline = now_ms() + PATIENCE_MS;
        char command[COMMAND_SIZE];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(command, sizeof(command), format, arguments);
        va_end(arguments);
        do {
                cr_assert_lt(now_ms(), deadline, "%s\nnever says '%s' but: %s%s", command, needle,
                             outcome->out, outcome->err);
                run_inside(outcome, command);
        } while (!strstr(outcome->out, needle));
        return without_newline(outcome);
}

const char *box_await_journal(const char *unit, const char *needle)
{
        return box_await(needle, "journalctl --sync; journalctl --no-pager -o cat -u '%s' %s'%s'",
                         unit, *cursor ? "--after-cursor=" : "", cursor);
}

void box_write(const char *path, const char *format, ...)
{
        va_list arguments;
        FILE *file;

        box_shell("mkdir -p \"$(dirname '%s')\"", path);
        file = fopen(box_path(path), "we");
        cr_assert_not_null(file, "%s: %s", path, strerror(errno));
        va_start(arguments, format);
        vfprintf(file, format, arguments);
        va_end(arguments);
        cr_assert_eq(fclose(file), 0);
}

void box_push(const char *source, const char *destination)
{
        struct outcome outcome;

        command_run(&outcome, NULL,
                    (const char *const[]){box(), "push", source, destination, NULL});
        cr_assert_eq(outcome.status, 0, "cannot push %s: %s", source, outcome.err);
}

bool box_has_user_namespaces(void)
{
        struct outcome *outcome = next_outcome();

        run_inside(outcome, "unshare --user true");
        return outcome->status == 0;
}

void box_spare_user_namespaces(void)
{
        if (box_has_user_namespaces())
                return;
        box_write("/etc/systemd/system/echod-socket.service.d/chroot.conf",
                  "[Service]\nPrivateUsers=no\n");
        box_shell("systemctl daemon-reload");
}
