#include "listener_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket.h"
#include "util.h"

/* Linux lets accepted sockets inherit all of these, so that they cost a connection nothing. */
int listener_socket_set_options(int descriptor, const struct listener_options *options)
{
        const struct {
                int level, name, value;
        } wanted[] = {
                {IPPROTO_TCP, TCP_NODELAY, options->tcp_nodelay},
                {SOL_SOCKET, SO_OOBINLINE, 1}, /* urgent bytes are bytes too */
                {SOL_SOCKET, SO_KEEPALIVE, options->keepalive_idle_s > 0},
                {IPPROTO_TCP, TCP_KEEPIDLE, MAX(options->keepalive_idle_s, 1)},
                {IPPROTO_TCP, TCP_KEEPINTVL, options->keepalive_interval_s},
                {IPPROTO_TCP, TCP_KEEPCNT, options->keepalive_count},
        };

        if (options->address.family == AF_UNIX)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
                int r = socket_set_option(descriptor, wanted[i].level, wanted[i].name,
                                          wanted[i].value);

                if (r < 0)
                        return r;
        }
        return 0;
}

static struct sockaddr_un unix_address(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        memcpy(address.sun_path, path, strlen(path));
        return address;
}

void listener_socket_remove_stale(const char *path)
{
        const struct sockaddr_un address = unix_address(path);
        struct stat status;
        int probe;

        if (lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode))
                return;
        probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (probe < 0)
                return;
        if (connect(probe, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
            errno == ECONNREFUSED)
                unlink(path);
        close(probe);
}

/* Nobody can connect before the mode is set: the socket does not listen yet. */
static int bind_unix(int descriptor, const struct listener_options *options)
{
        const struct sockaddr_un address = unix_address(options->path);
        mode_t umask_before;
        int r;

        listener_socket_remove_stale(options->path);
        umask_before = umask(0177);
        r = bind(descriptor, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        umask(umask_before);
        if (r == 0 && chmod(options->path, options->mode) < 0) {
                r = -errno;
                unlink(options->path);
        }
        return r;
}

static int bind_ip(int descriptor, const struct listener_options *options)
{
        struct sockaddr_storage address;
        socklen_t length = address_to_sockaddr(&options->address, &address);
        int r = socket_set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);

        /* IPv4 has a socket of its own. */
        if (r == 0 && options->address.family == AF_INET6)
                r = socket_set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        if (r == 0 && bind(descriptor, (const struct sockaddr *)&address, length) < 0)
                r = -errno;
        return r;
}

int listener_socket_open(const struct listener_options *options, bool is_shared,
                         int *ret_descriptor)
{
        int descriptor =
                socket(options->address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r;

        if (descriptor < 0)
                return -errno;
        r = listener_socket_set_options(descriptor, options);
        if (r == 0 && is_shared && options->address.family != AF_UNIX)
                r = socket_set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
        if (r == 0)
                r = options->address.family == AF_UNIX ? bind_unix(descriptor, options)
                                                       : bind_ip(descriptor, options);
        if (r < 0) {
                close(descriptor);
                return r;
        }
        *ret_descriptor = descriptor;
        return 0;
}

int listener_socket_adopt(int descriptor, const struct listener_options *options, bool is_own)
{
        int flags = fcntl(descriptor, F_GETFL);

        if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        if (is_own && options->address.family == AF_UNIX && chmod(options->path, options->mode) < 0)
                return -errno;
        return listener_socket_set_options(descriptor, options);
}
