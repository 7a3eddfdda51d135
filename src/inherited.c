#include "inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "listener_socket.h"
#include "sd_daemon.h"
#include "util.h"

struct inherited_descriptor {
        int number; /* -1: it is somebody else's by now, or closed */
        char *name;
        bool is_external; /* a socket unit's */
        bool is_taken;    /* of an external one: somebody wanted it */
};

/* What a listening socket is bound to. */
struct binding {
        struct address address;
        bool is_dual_stack;
        char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* "@name": an abstract one */
};

static bool is_stored(const char *name)
{
        return strcmp(name, INHERITED_CONNECTION) == 0 || strcmp(name, INHERITED_LISTENER) == 0 ||
               strcmp(name, INHERITED_STATE) == 0;
}

int inherited_init(struct inherited *ret_inherited, int first, size_t n, char **names)
{
        struct inherited_descriptor *descriptors = calloc(MAX(n, 1U), sizeof(*descriptors));

        *ret_inherited = (struct inherited){0};
        if (!descriptors)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                descriptors[i] = (struct inherited_descriptor){
                        .number = first + (int)i,
                        .name = names[i],
                        .is_external = !is_stored(names[i]),
                };
        *ret_inherited =
                (struct inherited){.descriptors = descriptors, .n_descriptors = n, .capacity = n};
        return 0;
}

static int grow(struct inherited *inherited)
{
        size_t capacity = MAX(2 * inherited->capacity, inherited->n_descriptors + 8);
        struct inherited_descriptor *descriptors =
                realloc(inherited->descriptors, capacity * sizeof(*descriptors));

        if (!descriptors)
                return -ENOMEM;
        inherited->descriptors = descriptors;
        inherited->capacity = capacity;
        return 0;
}

int inherited_add(struct inherited *inherited, int descriptor, const char *name)
{
        char *copy = strdup(name);
        int r = copy ? 0 : -ENOMEM;

        if (r == 0 && inherited->n_descriptors >= inherited->capacity)
                r = grow(inherited);
        if (r < 0) {
                free(copy);
                return r;
        }
        inherited->descriptors[inherited->n_descriptors++] = (struct inherited_descriptor){
                .number = descriptor,
                .name = copy,
                .is_external = !is_stored(name),
        };
        return 0;
}

bool inherited_is_legacy(const struct inherited *inherited)
{
        for (size_t i = 0; i < inherited->n_descriptors; i++)
                if (!inherited->descriptors[i].is_external)
                        return true;
        return false;
}

void inherited_for_each_external(const struct inherited *inherited,
                                 void (*visit)(void *user, int descriptor, const char *name),
                                 void *user)
{
        for (size_t i = 0; i < inherited->n_descriptors; i++) {
                const struct inherited_descriptor *descriptor = &inherited->descriptors[i];

                if (descriptor->is_external && descriptor->number >= 0)
                        visit(user, descriptor->number, descriptor->name);
        }
}

int inherited_open(struct inherited *ret_inherited)
{
        char **names = NULL;
        int n, r;

        *ret_inherited = (struct inherited){0};
        n = sd_listen_fds_with_names(true, &names);
        if (n <= 0)
                return n;
        r = inherited_init(ret_inherited, SD_LISTEN_FDS_START, (size_t)n, names);
        for (int i = 0; r < 0 && i < n; i++)
                free(names[i]);
        free(names);
        return r;
}

/* Whether an IPv6 socket on :: gets IPv4, too. */
static bool is_dual_stack(int descriptor, const struct sockaddr_in6 *address)
{
        int is_v6_only = 1;

        if (address->sin6_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&address->sin6_addr))
                return false;
        getsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &is_v6_only,
                   &(socklen_t){sizeof(is_v6_only)});
        return !is_v6_only;
}

static void read_path(struct binding *binding, const struct sockaddr_un *address, socklen_t length)
{
        size_t n = length - offsetof(struct sockaddr_un, sun_path);

        memcpy(binding->path, address->sun_path, n);
        binding->path[n] = '\0';
        if (n > 0 && binding->path[0] == '\0')
                binding->path[0] = '@';
}

/* Negative errno of getsockname(2), or -EAFNOSUPPORT. */
static int read_binding(struct binding *ret_binding, int descriptor)
{
        union {
                struct sockaddr any;
                struct sockaddr_un un;
                struct sockaddr_in6 in6;
                struct sockaddr_storage storage;
        } address = {0};
        socklen_t length = sizeof(address);
        int r;

        *ret_binding = (struct binding){0};
        if (getsockname(descriptor, &address.any, &length) < 0)
                return -errno;
        r = address_from_sockaddr(&ret_binding->address, &address.any);
        if (r < 0)
                return r;
        if (address.any.sa_family == AF_UNIX)
                read_path(ret_binding, &address.un, length);
        ret_binding->is_dual_stack = is_dual_stack(descriptor, &address.in6);
        return 0;
}

/* What is wrong with it as a listening stream socket, or NULL. */
static const char *check(int descriptor)
{
        int protocol = IPPROTO_TCP;

        if (sd_is_socket(descriptor, AF_UNSPEC, 0, -1) <= 0)
                return "it is not a socket";
        if (sd_is_socket(descriptor, AF_UNSPEC, SOCK_STREAM, -1) <= 0)
                return "it is not a stream socket";
        if (sd_is_socket(descriptor, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
                return "it does not listen";
        if (sd_is_socket(descriptor, AF_UNIX, 0, -1) > 0)
                return NULL;
        getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &protocol, &(socklen_t){sizeof(protocol)});
        return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP ? NULL : "it is not TCP's";
}

/* Port 0 stands for any. */
static bool is_bound_to(const struct binding *binding, const struct address *address,
                        const char *path, bool wants_dual_stack)
{
        struct address wanted = *address;

        if (wanted.family != binding->address.family)
                return false;
        if (wanted.family == AF_UNIX)
                return strcmp(binding->path, path) == 0;
        if (wanted.port == 0)
                wanted.port = binding->address.port;
        return memcmp(&binding->address, &wanted, sizeof(wanted)) == 0 &&
               binding->is_dual_stack == wants_dual_stack;
}

/*
 * The directory of a Unix socket's file may have gone with an earlier echod. Nobody can connect to
 * it then.
 */
static bool is_reachable(const struct inherited_descriptor *descriptor,
                         const struct binding *binding)
{
        struct stat status;

        return descriptor->is_external || binding->address.family != AF_UNIX ||
               (lstat(binding->path, &status) == 0 && S_ISSOCK(status.st_mode));
}

/* The descriptor's number, which the caller owns; see the header on copies. */
static int hand_out(struct inherited_descriptor *descriptor)
{
        int number = descriptor->number;

        if (!descriptor->is_external) {
                descriptor->number = -1;
                return number;
        }
        descriptor->is_taken = true;
        number = fcntl(number, F_DUPFD_CLOEXEC, SD_LISTEN_FDS_START);
        return number < 0 ? -errno : number;
}

int inherited_take(struct inherited *inherited, const struct address *address, const char *path,
                   bool wants_dual_stack, bool *ret_is_external)
{
        bool is_any_port = address->family != AF_UNIX && address->port == 0;

        for (size_t i = 0; i < inherited->n_descriptors; i++) {
                struct inherited_descriptor *descriptor = &inherited->descriptors[i];
                struct binding binding;

                if (descriptor->number < 0 ||
                    (!descriptor->is_external && strcmp(descriptor->name, INHERITED_LISTENER) != 0))
                        continue;
                if (check(descriptor->number) || read_binding(&binding, descriptor->number) < 0)
                        continue;
                if (!is_bound_to(&binding, address, path, wants_dual_stack) ||
                    (is_any_port && descriptor->is_taken) || !is_reachable(descriptor, &binding))
                        continue;
                *ret_is_external = descriptor->is_external;
                return hand_out(descriptor);
        }
        return -ENOENT;
}

static bool has_name(const struct inherited_descriptor *descriptor, const char *name)
{
        return descriptor->number >= 0 && strcmp(descriptor->name, name) == 0;
}

int inherited_take_all(struct inherited *inherited, const char *name, int **ret_descriptors,
                       size_t *ret_n_descriptors)
{
        size_t n = 0;
        int *numbers;

        *ret_descriptors = NULL;
        *ret_n_descriptors = 0;
        for (size_t i = 0; i < inherited->n_descriptors; i++)
                n += has_name(&inherited->descriptors[i], name);
        if (n == 0)
                return 0;
        numbers = malloc(n * sizeof(*numbers));
        if (!numbers)
                return -ENOMEM;
        for (size_t i = 0, taken = 0; taken < n; i++) {
                if (!has_name(&inherited->descriptors[i], name))
                        continue;
                numbers[taken++] = inherited->descriptors[i].number;
                inherited->descriptors[i].number = -1;
        }
        *ret_descriptors = numbers;
        *ret_n_descriptors = n;
        return 0;
}

/* "descriptor 3 (echod.socket, 127.0.0.1:8): what is wrong with it" */
static void describe(const struct inherited_descriptor *descriptor, char *line, size_t size)
{
        const char *problem = check(descriptor->number);
        char text[ADDRESS_TEXT_MAX];
        struct binding binding;

        if (read_binding(&binding, descriptor->number) < 0)
                snprintf(text, sizeof(text), "no address");
        else if (binding.is_dual_stack)
                snprintf(text, sizeof(text), "*:%u", binding.address.port);
        else
                address_format(&binding.address, text);
        snprintf(line, size, "descriptor %d (%s, %s) from the service manager: %s",
                 descriptor->number, descriptor->name, binding.path[0] ? binding.path : text,
                 problem ? problem : "no listener of the configuration is for it");
}

static void close_descriptor(struct inherited_descriptor *descriptor)
{
        if (descriptor->number >= 0)
                close(descriptor->number);
        descriptor->number = -1;
}

/* Closes what an earlier echod left. The file of a Unix socket that nobody else has goes, too. */
static void discard(struct inherited_descriptor *descriptor)
{
        bool is_listener = has_name(descriptor, INHERITED_LISTENER);
        struct binding binding = {0};

        if (is_listener)
                read_binding(&binding, descriptor->number);
        close_descriptor(descriptor);
        if (binding.path[0] == '/')
                listener_socket_remove_stale(binding.path);
}

unsigned inherited_settle(struct inherited *inherited,
                          void (*report)(void *user, const char *problem), void *user)
{
        unsigned n_unexpected = 0;

        for (size_t i = 0; i < inherited->n_descriptors; i++) {
                struct inherited_descriptor *descriptor = &inherited->descriptors[i];
                char line[512];

                if (!descriptor->is_external) {
                        discard(descriptor);
                } else if (!descriptor->is_taken) {
                        describe(descriptor, line, sizeof(line));
                        report(user, line);
                        n_unexpected++;
                }
        }
        return n_unexpected;
}

void inherited_free(struct inherited *inherited)
{
        for (size_t i = 0; i < inherited->n_descriptors; i++) {
                close_descriptor(&inherited->descriptors[i]);
                free(inherited->descriptors[i].name);
        }
        free(inherited->descriptors);
        *inherited = (struct inherited){0};
}
