/*
 * Clients that nobody here wrote. Each sends a file and must get the same bytes back, compared one
 * by one, so that their SHA-256 is the same, too.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "scratch.h"

#define MANY_BYTES 200000000u
#define FEW_BYTES  20000000u /* where a sanitizer slows the daemon down */
#define SIP        16384

/* What to run, with the port for its %u. */
struct kind {
        const char *command;
        bool is_text_only;    /* no carriage returns, see CURL */
        bool is_never_closed; /* it does not half-close, and is ended when all is back */
        bool is_fed_slowly;   /* gets its input by SIP bytes at most */
};

/* -N: shut the socket down after the end of the input. */
static const struct kind NC = {"nc.openbsd -N 127.0.0.1 %u"};

/* -t: how long to wait for the other direction after the end of the input; 0.5 s if not said. */
static const struct kind SOCAT = {"socat -t 60 - TCP:127.0.0.1:%u"};

/* Shuts the socket down after the end of the input, unless told --no-shutdown. */
static const struct kind NCAT = {"ncat 127.0.0.1 %u"};

/*
 * Telnet (RFC 854) is not transparent: curl doubles each IAC on its way out, undoes that on its
 * way in, and takes the NUL out of each CR NUL that it receives, though it sends them as they
 * are. Hence no CR for it. It never half-closes.
 *
 * It reads up to 100 KiB of its input, sends them, reads once from the server, and so on; and does
 * not read while it cannot send. Where the kernel gives it a receive window of less than that, more
 * and more is under way, until every buffer is full, and it waits for ever, whatever the server is.
 * So no read of its input may give it more than it surely takes from the server.
 */
static const struct kind CURL = {
        "curl --silent --no-buffer telnet://127.0.0.1:%u",
        .is_text_only = true,
        .is_never_closed = true,
        .is_fed_slowly = true,
};

static const struct kind ASYNCIO = {
        "/usr/bin/python3 -c '\n"
        "import asyncio, sys\n"
        "async def send(writer):\n"
        "    while data := sys.stdin.buffer.read(65536):\n"
        "        writer.write(data)\n"
        "        await writer.drain()\n"
        "    writer.write_eof()\n"
        "async def main():\n"
        "    reader, writer = await asyncio.open_connection(\"127.0.0.1\", %u)\n"
        "    sending = asyncio.create_task(send(writer))\n"
        "    while data := await reader.read(65536):\n"
        "        sys.stdout.buffer.write(data)\n"
        "    await sending\n"
        "    writer.close()\n"
        "asyncio.run(main())'",
};

TestSuite(real_clients, .init = scratch_make, .fini = scratch_remove, .timeout = 200);

/* The file, and the text without CR, mapped. */
struct material {
        size_t size;
        const char *paths[2];
        uint8_t *bytes[2];
};

struct transfer {
        const struct kind *kind;
        const uint8_t *expected;
        pid_t pid, feeder; /* 0: none */
        int out;           /* what comes back; -1: all is done */
        size_t n_back;
};

/* Pseudo-random bytes (xorshift64*), the same in every run. */
static void fill(uint64_t *words, size_t n)
{
        uint64_t x = 0x9E3779B97F4A7C15u;

        for (size_t i = 0; i < n; i++) {
                x ^= x >> 12;
                x ^= x << 25;
                x ^= x >> 27;
                words[i] = x * 0x2545F4914F6CDD1Du;
        }
}

static uint8_t *make_file(const char *path, size_t size)
{
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        void *bytes;

        cr_assert_eq(ftruncate(fd, (off_t)size), 0);
        bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert_neq(bytes, MAP_FAILED);
        close(fd);
        fill(bytes, size / sizeof(uint64_t));
        return bytes;
}

static void make_material(struct material *material, bool has_text)
{
        material->size = daemon_is_sanitized() ? FEW_BYTES : MANY_BYTES;
        material->paths[false] = scratch_path("bytes");
        material->bytes[false] = make_file(material->paths[false], material->size);
        if (!has_text)
                return;
        material->paths[true] = scratch_path("text");
        material->bytes[true] = make_file(material->paths[true], material->size);
        for (size_t i = 0; i < material->size; i++)
                if (material->bytes[true][i] == '\r')
                        material->bytes[true][i] = '\n';
}

/* A pipe that has room for a sip, and whoever fills it. Returns its other end. */
static int feed_slowly(struct transfer *transfer, size_t size)
{
        const uint8_t *bytes = transfer->expected;
        int ends[2];
        ssize_t n;

        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        cr_assert_eq(fcntl(ends[1], F_SETPIPE_SZ, SIP), SIP);
        transfer->feeder = fork();
        cr_assert_geq(transfer->feeder, 0);
        if (transfer->feeder == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(ends[0]);
                for (size_t n_fed = 0; n_fed < size; n_fed += (size_t)n) {
                        n = write(ends[1], bytes + n_fed, size - n_fed);
                        if (n < 0)
                                _exit(1);
                }
                _exit(0);
        }
        close(ends[1]);
        return ends[0];
}

static void start(struct transfer *transfer, const struct kind *kind,
                  const struct material *material, uint16_t port)
{
        char command[1024];
        int ends[2], in;

        snprintf(command, sizeof(command), "exec ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* it is one of the five above */
        snprintf(command + 5, sizeof(command) - 5, kind->command, port);
#pragma GCC diagnostic pop
        *transfer = (struct transfer){
                .kind = kind,
                .expected = material->bytes[kind->is_text_only],
        };
        cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
        in = kind->is_fed_slowly ? feed_slowly(transfer, material->size)
                                 : open(material->paths[kind->is_text_only], O_RDONLY | O_CLOEXEC);
        cr_assert_geq(in, 0);
        transfer->pid = fork();
        cr_assert_geq(transfer->pid, 0);
        if (transfer->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(in, STDIN_FILENO);
                dup2(ends[1], STDOUT_FILENO);
                execl("/bin/sh", "sh", "-c", command, NULL);
                _exit(127);
        }
        close(in);
        close(ends[1]);
        transfer->out = ends[0];
}

static void finish(struct transfer *transfer, size_t size)
{
        int status;

        cr_assert_eq(transfer->n_back, size, "%s: %zu bytes of %zu", transfer->kind->command,
                     transfer->n_back, size);
        close(transfer->out);
        transfer->out = -1;
        if (transfer->kind->is_never_closed)
                kill(transfer->pid, SIGTERM);
        cr_assert_eq(waitpid(transfer->pid, &status, 0), transfer->pid);
        cr_assert(transfer->kind->is_never_closed || status == 0, "%s: status %d",
                  transfer->kind->command, status);
        if (transfer->feeder)
                waitpid(transfer->feeder, NULL, 0);
}

static void take(struct transfer *transfer, size_t size)
{
        static uint8_t bytes[1 << 20];
        ssize_t n = read(transfer->out, bytes, sizeof(bytes));

        cr_assert_geq(n, 0, "read: %s", strerror(errno));
        cr_assert_leq((size_t)n, size - transfer->n_back, "%s: too many bytes",
                      transfer->kind->command);
        cr_assert(memcmp(bytes, transfer->expected + transfer->n_back, (size_t)n) == 0,
                  "%s: wrong bytes after %zu", transfer->kind->command, transfer->n_back);
        transfer->n_back += (size_t)n;
        if (n == 0 || (transfer->kind->is_never_closed && transfer->n_back == size))
                finish(transfer, size);
}

static void take_all(struct transfer transfers[], unsigned n, size_t size)
{
        for (;;) {
                struct pollfd ready[5];
                unsigned n_left = 0;

                for (unsigned i = 0; i < n; i++) {
                        ready[i] = (struct pollfd){.fd = transfers[i].out, .events = POLLIN};
                        n_left += transfers[i].out >= 0;
                }
                if (n_left == 0)
                        return;
                cr_assert_gt(poll(ready, n, PATIENCE_MS), 0, "nothing comes any more");
                for (unsigned i = 0; i < n; i++)
                        if (ready[i].revents)
                                take(&transfers[i], size);
        }
}

static void skip_unless_installed(const struct kind *kind)
{
        char name[64], command[128];

        cr_assert_eq(sscanf(kind->command, "%63s", name), 1);
        snprintf(command, sizeof(command), "command -v %s > /dev/null", name);
        if (system(command) != 0)
                cr_skip_test("%s is not installed", name);
}

/* The file goes through these clients, all at once. */
static void assert_bytes_come_back(const struct kind *const kinds[], unsigned n)
{
        struct material material;
        struct transfer transfers[5];
        struct daemon *daemon;

        for (unsigned i = 0; i < n; i++)
                skip_unless_installed(kinds[i]);
        make_material(&material, n > 1 || kinds[0]->is_text_only);
        daemon = DAEMON();
        for (unsigned i = 0; i < n; i++)
                start(&transfers[i], kinds[i], &material, daemon->port);
        take_all(transfers, n, material.size);
        daemon_stop(daemon);
}

Test(real_clients, nc)
{
        assert_bytes_come_back((const struct kind *const[]){&NC}, 1);
}

Test(real_clients, socat)
{
        assert_bytes_come_back((const struct kind *const[]){&SOCAT}, 1);
}

Test(real_clients, ncat)
{
        assert_bytes_come_back((const struct kind *const[]){&NCAT}, 1);
}

Test(real_clients, curl)
{
        assert_bytes_come_back((const struct kind *const[]){&CURL}, 1);
}

Test(real_clients, asyncio)
{
        assert_bytes_come_back((const struct kind *const[]){&ASYNCIO}, 1);
}

Test(real_clients, five_at_once)
{
        assert_bytes_come_back((const struct kind *const[]){&NC, &SOCAT, &NCAT, &CURL, &ASYNCIO},
                               5);
}
