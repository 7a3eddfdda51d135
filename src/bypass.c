#include "bypass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "util.h"

/*
 * The kernel gives it a place for a segment for each 4 KiB: 32. Segments of 1,448 bytes, which an
 * MTU of 1,500 leaves, come to 45 KiB in a turn; over loopback they have up to 32 KiB.
 */
#define PIPE_BYTES 131072

#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* False: there is none to be had. */
static bool open_pipe(struct bypass *bypass)
{
        int ends[2];

        if (bypass->into >= 0)
                return true;
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return false;
        bypass->out_of = ends[0];
        bypass->into = ends[1];
        /* Beyond its user's limit, see pipe(7), a pipe stays smaller; then less goes in a turn. */
        fcntl(bypass->into, F_SETPIPE_SZ, PIPE_BYTES);
        return true;
}

void bypass_close(struct bypass *bypass)
{
        if (bypass->into < 0)
                return;
        close(bypass->out_of);
        close(bypass->into);
        *bypass = BYPASS_NULL;
}

/* Takes exactly so many bytes, all that the pipe holds, out of it. */
static int empty_pipe(struct bypass *bypass, char *buffer, size_t length)
{
        while (length > 0) {
                ssize_t n = read(bypass->out_of, buffer, length);

                if (n == 0)
                        return -EIO;
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n < 0)
                        continue;
                buffer += n;
                length -= (size_t)n;
        }
        return 0;
}

/*
 * Whether it means that splice(2) cannot be had, here or now. Everything else is the connection's
 * failure, which the socket tells only once.
 */
static bool is_refusal(int error)
{
        return error == EAGAIN || error == EINTR || error == EINVAL || error == ENOSYS ||
               error == EPERM || error == ENOMEM;
}

/* Input, at most `size` bytes; 0: it is up to read(2); negative errno. */
static ssize_t splice_in(struct bypass *bypass, int descriptor, size_t size)
{
        ssize_t n;

        if (!open_pipe(bypass))
                return 0;
        n = splice(descriptor, NULL, bypass->into, NULL, size, FLAGS);
        return n < 0 ? (is_refusal(errno) ? 0 : -errno) : n;
}

/* What the socket takes of `length` bytes; negative errno. */
static ssize_t splice_out(struct bypass *bypass, int descriptor, size_t length)
{
        ssize_t n = splice(bypass->out_of, NULL, descriptor, NULL, length, FLAGS);

        return n < 0 ? (is_refusal(errno) ? 0 : -errno) : n;
}

int bypass_echo(struct bypass *bypass, int descriptor, char *buffer, size_t size, size_t *ret_n_in,
                size_t *ret_n_out)
{
        ssize_t n_in = splice_in(bypass, descriptor, size), n_out;
        int r;

        *ret_n_in = (size_t)MAX(n_in, 0);
        *ret_n_out = 0;
        if (n_in <= 0)
                return n_in < 0 ? (int)n_in : BYPASS_NOTHING;
        n_out = splice_out(bypass, descriptor, (size_t)n_in);
        *ret_n_out = (size_t)MAX(n_out, 0);
        r = n_out < 0 ? (int)n_out : empty_pipe(bypass, buffer, (size_t)(n_in - n_out));
        if (r < 0)
                bypass_close(bypass);
        return r;
}
