#include "socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

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

bool socket_has_input(int descriptor)
{
        int n_unread;

        return ioctl(descriptor, FIONREAD, &n_unread) == 0 && n_unread > 0;
}

bool socket_is_settled(int descriptor)
{
        int n_unsent;

        return !socket_has_input(descriptor) && ioctl(descriptor, SIOCOUTQ, &n_unsent) == 0 &&
               n_unsent == 0;
}
