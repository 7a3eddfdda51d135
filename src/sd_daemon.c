#include "sd_daemon.h"

#ifndef HAVE_SYSTEMD

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A decimal of the environment; 0: the variable is not there. */
static int read_number(const char *variable)
{
        const char *text = getenv(variable);
        char *end;
        long value;

        if (!text)
                return 0;
        errno = 0;
        value = strtol(text, &end, 10);
        if (errno || end == text || *end || value <= 0 || value > INT_MAX)
                return -EINVAL;
        return (int)value;
}

static void free_names(char **names)
{
        for (char **name = names; name && *name; name++)
                free(*name);
        free(names);
}

/* LISTEN_FDNAMES, split at its colons; each is "unknown" where there is none. */
static int read_names(int n_descriptors, char ***ret_names)
{
        const char *text = getenv("LISTEN_FDNAMES");
        char **names = calloc((size_t)n_descriptors + 1, sizeof(*names));

        for (int i = 0; names && i < n_descriptors; i++) {
                size_t length = text ? strcspn(text, ":") : 0;
                bool is_last = i + 1 == n_descriptors;

                names[i] = text ? strndup(text, length) : strdup("unknown");
                if (!names[i] || (text && is_last != (text[length] == '\0'))) {
                        int r = names[i] ? -EINVAL : -ENOMEM;

                        free_names(names);
                        return r;
                }
                text += text ? length + !is_last : 0;
        }
        *ret_names = names;
        return names ? 0 : -ENOMEM;
}

static int take(char ***ret_names)
{
        int pid = read_number("LISTEN_PID"), n = read_number("LISTEN_FDS"), r;

        if (pid < 0 || n < 0)
                return -EINVAL;
        if (pid != getpid() || n == 0)
                return 0;
        if (n > INT_MAX - SD_LISTEN_FDS_START)
                return -EINVAL;
        for (int i = 0; i < n; i++)
                if (fcntl(SD_LISTEN_FDS_START + i, F_SETFD, FD_CLOEXEC) < 0)
                        return -errno;
        r = read_names(n, ret_names);
        return r < 0 ? r : n;
}

int sd_listen_fds_with_names(int unset_environment, char ***ret_names)
{
        int r = take(ret_names);

        if (unset_environment) {
                unsetenv("LISTEN_PID");
                unsetenv("LISTEN_FDS");
                unsetenv("LISTEN_FDNAMES");
        }
        return r;
}

static int option(int descriptor, int name)
{
        int value = -1;

        getsockopt(descriptor, SOL_SOCKET, name, &value, &(socklen_t){sizeof(value)});
        return value;
}

int sd_is_socket(int descriptor, int family, int type, int listening)
{
        struct stat status;

        if (fstat(descriptor, &status) < 0)
                return -errno;
        return S_ISSOCK(status.st_mode) &&
               (family == AF_UNSPEC || family == option(descriptor, SO_DOMAIN)) &&
               (type == 0 || type == option(descriptor, SO_TYPE)) &&
               (listening < 0 || listening == option(descriptor, SO_ACCEPTCONN));
}

#endif
