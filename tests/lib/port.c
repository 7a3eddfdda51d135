#include "port.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_PORT 10000
#define N_PORTS    20000

/* Whether the wildcard address of a family can be bound; then nobody has any address with it. */
static bool can_bind(int family, const struct sockaddr *address, socklen_t length)
{
        int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_bound;

        if (descriptor < 0)
                return true; /* a machine without this family */
        if (family == AF_INET6)
                setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
        is_bound = bind(descriptor, address, length) == 0;
        close(descriptor);
        return is_bound;
}

static bool is_free(uint16_t port)
{
        const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

        return can_bind(AF_INET, (const struct sockaddr *)&v4, sizeof(v4)) &&
               can_bind(AF_INET6, (const struct sockaddr *)&v6, sizeof(v6));
}

uint16_t free_port(void)
{
        /* Tests run side by side: each process begins somewhere else. */
        static unsigned n_given;
        unsigned first = (unsigned)getpid() * 7919 + n_given;

        for (unsigned i = 0; i < N_PORTS; i++) {
                uint16_t port = (uint16_t)(FIRST_PORT + (first + i) % N_PORTS);

                n_given++;
                if (is_free(port))
                        return port;
        }
        cr_assert(false, "no port is free");
        return 0;
}
