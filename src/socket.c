#include "socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* TCP_CLOSE_WAIT of <netinet/tcp.h>, whose struct tcp_info has no bytes: the peer has ended. */
#define CLOSE_WAIT 8

int socket_set_option(int descriptor, int level, int option, int value)
{
        return setsockopt(descriptor, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

void socket_reset(int descriptor)
{
        /* Fails on a Unix socket, where there is no such thing. */
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                   sizeof(struct linger));
        close(descriptor);
}

int socket_error(int descriptor)
{
        int error = 0;

        if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)}) < 0)
                return errno;
        return error;
}

static bool has_input(int descriptor)
{
        int n_unread;

        return ioctl(descriptor, FIONREAD, &n_unread) == 0 && n_unread > 0;
}

/* TCP: unacknowledged bytes; Unix: unread ones. */
static int n_unsent_on(int descriptor)
{
        int n_unsent;

        return ioctl(descriptor, SIOCOUTQ, &n_unsent) == 0 ? n_unsent : 0;
}

bool socket_is_moving(int descriptor, int *n_unsent)
{
        int n_before = *n_unsent;

        *n_unsent = n_unsent_on(descriptor);
        return has_input(descriptor) || (*n_unsent > 0 && *n_unsent != n_before);
}

bool socket_is_settled(int descriptor)
{
        return !has_input(descriptor) && n_unsent_on(descriptor) == 0;
}

bool socket_is_even(int descriptor)
{
        struct tcp_info info = {0};
        socklen_t length = sizeof(info);
        uint64_t n_received;

        /* A reset is not to be had on a Unix socket, so there is nothing to tell apart. */
        if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
                return socket_is_settled(descriptor);
        n_received = info.tcpi_bytes_received;
        if (info.tcpi_state == CLOSE_WAIT)
                n_received--; /* the end counts, too */
        return n_received == info.tcpi_bytes_acked;
}

uint64_t socket_cookie(int descriptor)
{
        uint64_t cookie = 0;

        getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &(socklen_t){sizeof(cookie)});
        return cookie;
}

bool socket_is_transient(int error)
{
        switch (error) {
        case ECONNABORTED:
        case EINTR:
        case EPERM:
        case EPROTO:
        case ENOPROTOOPT:
        case ENETDOWN:
        case ENETUNREACH:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENONET:
        case EOPNOTSUPP:
                return true;
        default:
                return false;
        }
}
