/*
 * What somebody would try who had got hold of echod, for the test of the sandbox: in place of echod
 * under its unit. Names each attempt that succeeds; the exit status says whether one did.
 *
 *   intruder [no-internet]     where sockets are handed in, there is none
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int n_allowed;

/* `result` is that of a system call. */
static void expect_refusal(const char *attempt, long result)
{
        if (result < 0)
                return;
        printf("allowed: %s\n", attempt);
        n_allowed++;
}

static int create(const char *path, mode_t mode)
{
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, mode);

        if (fd >= 0)
                close(fd);
        return fd;
}

/* Runs a program; negative if that is impossible. */
static int run(const char *path)
{
        int status;
        pid_t pid = fork();

        if (pid < 0)
                return -1;
        if (pid == 0) {
                execl(path, path, NULL);
                _exit(127);
        }
        waitpid(pid, &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -1 : 0;
}

/* A copy of this program in a directory, which says nothing and succeeds when run so. */
static void plant(const char *directory)
{
        char path[PATH_MAX], attempt[PATH_MAX + 32], bytes[65536];
        int from, to;
        ssize_t n;

        snprintf(path, sizeof(path), "%s/planted", directory);
        from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        to = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0700);
        while (from >= 0 && to >= 0 && (n = read(from, bytes, sizeof(bytes))) > 0)
                if (write(to, bytes, (size_t)n) != n)
                        break;
        close(from);
        close(to);
        snprintf(attempt, sizeof(attempt), "run what was written to %s", directory);
        expect_refusal(attempt, run(path));
        unlink(path);
}

static void try_files(void)
{
        expect_refusal("write its configuration", open("/etc/echod.conf", O_WRONLY | O_CLOEXEC));
        expect_refusal("create /intruder", create("/intruder", 0600));
        expect_refusal("create /usr/lib/intruder", create("/usr/lib/intruder", 0600));
        expect_refusal("create /etc/intruder", create("/etc/intruder", 0600));
        expect_refusal("create /run/intruder", create("/run/intruder", 0600));
        expect_refusal("make a set-user-ID file", create("/tmp/intruder", 04700));
        expect_refusal("change an owner", chown("/tmp", 65534, 65534));
        expect_refusal("make a device", mknod("/tmp/device", S_IFCHR | 0600, 0x101));
        expect_refusal("see /sys/kernel", open("/sys/kernel", O_PATH | O_CLOEXEC));
        expect_refusal("see /proc/1", open("/proc/1/status", O_RDONLY | O_CLOEXEC));
        expect_refusal("see /proc/sys", open("/proc/sys/kernel/hostname", O_RDONLY | O_CLOEXEC));
        expect_refusal("see /proc/kallsyms", open("/proc/kallsyms", O_RDONLY | O_CLOEXEC));
        expect_refusal("see /root", open("/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        expect_refusal("see /usr/bin", open("/usr/bin", O_PATH | O_CLOEXEC));
        expect_refusal("see a terminal", open("/dev/tty0", O_PATH | O_CLOEXEC));
}

static void try_programs(void)
{
        expect_refusal("run a shell", run("/bin/sh"));
        plant("/tmp");
        plant("/var/tmp");
        plant("/dev/shm");
        plant("/run/echod");
        expect_refusal("make code", (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        expect_refusal("change the execution domain", personality(PER_LINUX32));
}

/* Of nothing that is there: it matters whether that is what is wrong. */
static int read_memory(pid_t pid)
{
        struct iovec local = {(char[1]){0}, 1}, remote = {NULL, 1};

        return process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 && errno != EFAULT ? -1 : 0;
}

static void try_kernel(void)
{
        struct sched_param priority = {.sched_priority = 1};
        struct timespec now;
        aio_context_t context = 0;

        clock_gettime(CLOCK_REALTIME, &now);
        expect_refusal("become root", setuid(0));
        expect_refusal("set the clock", clock_settime(CLOCK_REALTIME, &now));
        expect_refusal("set the host's name", sethostname("intruded", 8));
        expect_refusal("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
        umount2("/tmp", MNT_DETACH);
        expect_refusal("change the root", chroot("/tmp"));
        expect_refusal("make a user namespace", unshare(CLONE_NEWUSER));
        expect_refusal("make a network namespace", unshare(CLONE_NEWNET));
        expect_refusal("be of real-time priority", sched_setscheduler(0, SCHED_FIFO, &priority));
        expect_refusal("read its parent's memory", read_memory(getppid()));
        expect_refusal("signal PID 1", kill(1, 0));
        expect_refusal("read the kernel's log", syscall(SYS_syslog, 3, (char[64]){0}, 64));
        expect_refusal("use keys", syscall(SYS_keyctl, 0, -3, 1, 0, 0));
        expect_refusal("use asynchronous I/O", syscall(SYS_io_setup, 1, &context));
        expect_refusal("use io_uring", syscall(SYS_io_uring_setup, 1, (char[256]){0}));
        expect_refusal("use BPF",
                       syscall(SYS_bpf, 0, (char[128]){[0] = 1, [4] = 4, [8] = 4, [12] = 1}, 72));
        expect_refusal("watch performance",
                       syscall(SYS_perf_event_open, (char[128]){0}, 0, -1, -1, 0));
}

static void try_sockets(bool is_internet_forbidden)
{
        expect_refusal("AF_NETLINK", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
        expect_refusal("AF_PACKET", socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        expect_refusal("AF_ALG", socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        expect_refusal("AF_VSOCK", socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
        expect_refusal("a raw socket", socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1));
        if (!is_internet_forbidden)
                return;
        expect_refusal("AF_INET", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        expect_refusal("AF_INET6", socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/* All but that to bind low ports, which the unit may give. */
static void try_capabilities(bool is_every_one_forbidden)
{
        char attempt[32];

        for (int i = 0; prctl(PR_CAPBSET_READ, i) >= 0; i++) {
                if (i == CAP_NET_BIND_SERVICE && !is_every_one_forbidden)
                        continue;
                snprintf(attempt, sizeof(attempt), "capability %d", i);
                expect_refusal(attempt, prctl(PR_CAPBSET_READ, i) - 1);
        }
}

int main(int argc, char **argv)
{
        bool is_locked_up = argc > 1 && strcmp(argv[1], "no-internet") == 0;

        if (argc == 1 && strstr(argv[0], "planted"))
                return 0;
        setvbuf(stdout, NULL, _IOLBF, 0);
        try_files();
        try_programs();
        try_sockets(is_locked_up);
        try_capabilities(is_locked_up);
        try_kernel();
        printf("%d allowed\n", n_allowed);
        return n_allowed > 0;
}
