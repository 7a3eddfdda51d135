#include "handed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"

#define FIRST 3
#define N_MAX 16

struct handed {
        size_t n;
        const int *descriptors;
        const char *names;
};

/* In the child. The copies go out of each other's way first. */
static void hand_over(const void *user)
{
        const struct handed *handed = user;
        int copies[N_MAX];
        char number[16];

        for (size_t i = 0; i < handed->n; i++)
                copies[i] = fcntl(handed->descriptors[i], F_DUPFD_CLOEXEC, FIRST + N_MAX);
        for (size_t i = 0; i < handed->n; i++)
                dup2(copies[i], FIRST + (int)i);
        snprintf(number, sizeof(number), "%zu", handed->n);
        setenv("LISTEN_FDS", number, 1);
        snprintf(number, sizeof(number), "%d", (int)getpid());
        setenv("LISTEN_PID", number, 1);
        if (handed->names)
                setenv("LISTEN_FDNAMES", handed->names, 1);
}

struct daemon *handed_spawn(size_t n, const int descriptors[], const char *names,
                            const char *const arguments[])
{
        const struct handed handed = {.n = n, .descriptors = descriptors, .names = names};

        cr_assert_leq(n, N_MAX);
        return daemon_spawn_prepared(arguments, hand_over, &handed);
}

int handed_socket(int type, const char *address, bool is_v6_only, uint16_t *port)
{
        struct sockaddr_storage sockaddr;
        socklen_t length = client_sockaddr(&sockaddr, address, *port);
        int fd = socket(sockaddr.ss_family, type | SOCK_CLOEXEC, 0);

        cr_assert_geq(fd, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (sockaddr.ss_family == AF_INET6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){is_v6_only}, sizeof(int));
        cr_assert_eq(bind(fd, (const struct sockaddr *)&sockaddr, length), 0, "%s: %s", address,
                     strerror(errno));
        if (type == SOCK_STREAM)
                cr_assert_eq(listen(fd, 100), 0);
        cr_assert_eq(getsockname(fd, (struct sockaddr *)&sockaddr, &length), 0);
        *port = ntohs(sockaddr.ss_family == AF_INET
                              ? ((struct sockaddr_in *)&sockaddr)->sin_port
                              : ((struct sockaddr_in6 *)&sockaddr)->sin6_port);
        return fd;
}

int handed_unix_socket(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert_geq(fd, 0);
        strcpy(address.sun_path, path);
        cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0, "%s: %s",
                     path, strerror(errno));
        cr_assert_eq(listen(fd, 100), 0);
        return fd;
}
