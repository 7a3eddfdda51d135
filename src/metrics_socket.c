#include "metrics_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inherited.h"

/* Those who scrape are few. */
#define BACKLOG 16

static int bind_and_listen(int descriptor, const struct address *address, bool is_any)
{
        struct sockaddr_storage sockaddr;
        socklen_t length = address_to_sockaddr(address, &sockaddr);
        int is_ipv6_only = !is_any;

        if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0)
                return -errno;
        if (address->family == AF_INET6 && setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY,
                                                      &is_ipv6_only, sizeof(is_ipv6_only)) < 0)
                return -errno;
        if (bind(descriptor, (const struct sockaddr *)&sockaddr, length) < 0)
                return -errno;
        return listen(descriptor, BACKLOG) < 0 ? -errno : 0;
}

static void name_real_port(int descriptor, char name[static ADDRESS_TEXT_MAX])
{
        struct sockaddr_storage sockaddr;
        socklen_t length = sizeof(sockaddr);
        struct address bound;

        if (getsockname(descriptor, (struct sockaddr *)&sockaddr, &length) == 0 &&
            address_from_sockaddr(&bound, (struct sockaddr *)&sockaddr) == 0)
                address_format(&bound, name);
}

static int bind_new(const struct address *address, bool is_any)
{
        int descriptor = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int r;

        if (descriptor < 0)
                return -errno;
        r = bind_and_listen(descriptor, address, is_any);
        if (r == 0)
                return descriptor;
        close(descriptor);
        return r;
}

/* The descriptor. */
static int open_at(const struct metrics_options *options, const char *literal,
                   char name[static ADDRESS_TEXT_MAX])
{
        bool is_external, is_any = strcmp(options->address, "*") == 0;
        struct address address;
        int r = address_parse(&address, literal, options->port);

        if (r < 0)
                return r;
        address_format(&address, name);
        r = -ENOENT;
        if (options->inherited)
                r = inherited_take(options->inherited, &address, NULL,
                                   is_any && address.family == AF_INET6, &is_external);
        if (r == -ENOENT)
                r = bind_new(&address, is_any);
        if (r >= 0)
                name_real_port(r, name);
        return r;
}

int metrics_socket_open(const struct metrics_options *options, int *ret_descriptor,
                        char name[static ADDRESS_TEXT_MAX])
{
        bool is_any = strcmp(options->address, "*") == 0;
        int r = open_at(options, is_any ? "::" : options->address, name);

        /* A machine without IPv6. */
        if (r == -EAFNOSUPPORT && is_any)
                r = open_at(options, "0.0.0.0", name);
        if (r < 0)
                return r;
        *ret_descriptor = r;
        return 0;
}
