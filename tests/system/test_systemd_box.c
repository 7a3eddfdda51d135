/*
 * The box itself, see box.h: what the other tests of the service rely on.
 */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "client.h"
#include "daemon.h"

TestSuite(systemd_box, .init = box_enter);

Test(systemd_box, systemd_is_pid_1_and_has_nothing_to_complain_of)
{
        cr_assert_str_eq(box_shell("cat /proc/1/comm"), "systemd");
        cr_assert_str_eq(box_shell("systemctl is-system-running"), "running");
}

Test(systemd_box, what_a_test_changes_is_gone_in_the_next)
{
        box_shell("systemctl enable --now echod");
        box_write("/etc/echod.conf", "workers = 1;\n");
        box_write("/etc/systemd/system/echod.service.d/test.conf", "[Service]\nNice=1\n");
        box_shell("systemctl daemon-reload");
        box_enter();
        cr_assert_str_eq(box_shell("systemctl is-active echod || :"), "inactive");
        cr_assert_str_eq(box_shell("systemctl is-enabled echod || :"), "disabled");
        cr_assert_str_empty(box_shell("systemctl show -P DropInPaths echod"));
        box_shell("! grep -qx 'workers = 1;' /etc/echod.conf");
}

Test(systemd_box, a_client_of_the_test_reaches_the_service)
{
        int client;

        box_shell("systemctl start echod");
        client = client_connect(7);
        client_echo(client, "through the box's network");
        close(client);
}

/* Starts a second box, held by a process that does nothing else; returns that process. */
static pid_t hold_another(const char *name, char *ret_answer, size_t size)
{
        int lifeline[2], answer[2];
        pid_t holder;
        ssize_t n;

        cr_assert_eq(pipe2(lifeline, O_CLOEXEC), 0);
        cr_assert_eq(pipe2(answer, O_CLOEXEC), 0);
        holder = fork();
        cr_assert_geq(holder, 0);
        if (holder == 0 && fork() == 0) {
                setsid();
                dup2(lifeline[0], STDIN_FILENO);
                dup2(answer[1], STDOUT_FILENO);
                setenv("BOX_NAME", name, 1);
                execl("/bin/sh", "sh", "-c", "exec \"$SOURCE_ROOT/tests/system/box/box\" hold",
                      NULL);
                _exit(127);
        }
        if (holder == 0)
                while (true)
                        pause();
        close(lifeline[0]);
        close(lifeline[1]);
        close(answer[1]);
        n = read(answer[0], ret_answer, size - 1);
        cr_assert_gt(n, 0);
        ret_answer[n] = '\0';
        close(answer[0]);
        return holder;
}

static void await_absence(const char *path)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        while (access(path, F_OK) == 0) {
                cr_assert_lt(now_ms(), deadline, "%s is still there", path);
                sleep_ms(20);
        }
}

Test(systemd_box, nothing_of_a_box_is_left_when_its_holder_is_killed)
{
        char name[32], answer[256], process[64], state[64], find[128];
        struct outcome outcome;
        pid_t holder;

        snprintf(name, sizeof(name), "killed-%d", (int)getpid());
        holder = hold_another(name, answer, sizeof(answer));
        cr_assert_eq(strncmp(answer, "up ", 3), 0, "%s", answer);
        snprintf(process, sizeof(process), "/proc/%d", atoi(answer + 3));
        cr_assert_eq(access(process, F_OK), 0);
        kill(holder, SIGKILL);
        waitpid(holder, NULL, 0);
        snprintf(state, sizeof(state), "/run/echod-box/%s", name);
        await_absence(state);
        await_absence(process); /* its PID 1 is dead, and may not be buried yet */
        snprintf(find, sizeof(find), "find /sys/fs/cgroup -name 'echod-box-%s'", name);
        command_run(&outcome, NULL, (const char *const[]){"sh", "-c", find, NULL});
        cr_assert_str_empty(outcome.out);
}
