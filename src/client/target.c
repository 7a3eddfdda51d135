#include "target.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <uv.h>

#include "util.h"

#define PORT_RANGE "/proc/sys/net/ipv4/ip_local_port_range"

/* Of the ports from which the kernel chooses. The last ones it finds slowly, and some of them are
 * taken by others. */
static uint64_t connections_each_source(void)
{
        unsigned first, last, n = 0;
        FILE *file = fopen(PORT_RANGE, "re");

        if (file && fscanf(file, "%u %u", &first, &last) == 2 && first <= last)
                n = last - first + 1;
        if (file)
                fclose(file);
        if (n == 0)
                n = 28232; /* unless somebody has changed that */
        return MAX(n * 7 / 10, 1);
}

static int make_room(struct target *target, size_t n_addresses)
{
        target->addresses = calloc(n_addresses, sizeof(*target->addresses));
        return target->addresses ? 0 : -ENOMEM;
}

static int take_path(struct target *target)
{
        struct sockaddr_un path = {.sun_family = AF_UNIX};
        int r;

        if (strlen(target->host) >= sizeof(path.sun_path))
                return -ENAMETOOLONG;
        strcpy(path.sun_path, target->host);
        r = make_room(target, 1);
        if (r < 0)
                return r;
        memcpy(&target->addresses[0].sockaddr, &path, sizeof(path));
        target->addresses[0].length = sizeof(path);
        target->n_addresses = 1;
        return 0;
}

static int take_list(struct target *target, const struct addrinfo *list)
{
        size_t n = 0;
        int r;

        for (const struct addrinfo *info = list; info; info = info->ai_next)
                n++;
        r = make_room(target, n);
        if (r < 0)
                return r;
        for (const struct addrinfo *info = list; info; info = info->ai_next) {
                struct target_address *address = &target->addresses[target->n_addresses++];

                memcpy(&address->sockaddr, info->ai_addr, info->ai_addrlen);
                address->length = info->ai_addrlen;
        }
        return 0;
}

static int take_name(struct target *target, int family)
{
        const struct addrinfo hints = {
                .ai_family = family,
                .ai_socktype = SOCK_STREAM,
                .ai_flags = AI_NUMERICSERV,
        };
        uv_getaddrinfo_t request;
        char service[8];
        uv_loop_t loop;
        int r = uv_loop_init(&loop);

        if (r < 0)
                return r;
        snprintf(service, sizeof(service), "%u", target->port);
        r = uv_getaddrinfo(&loop, &request, NULL, target->host, service, &hints);
        uv_loop_close(&loop);
        if (r < 0)
                return r;
        r = take_list(target, request.addrinfo);
        uv_freeaddrinfo(request.addrinfo);
        return r;
}

int target_resolve(struct target *ret_target, const char *host, uint16_t port, int family)
{
        int n;

        *ret_target = (struct target){
                .host = host,
                .port = port,
                .n_each_source = connections_each_source(),
        };
        n = snprintf(ret_target->name, sizeof(ret_target->name), "%s", host);
        if (target_is_path(ret_target))
                return take_path(ret_target);
        if (n < TARGET_NAME_MAX)
                snprintf(ret_target->name + n, TARGET_NAME_MAX - (size_t)n, " port %u", port);
        return take_name(ret_target, family);
}

void target_free(struct target *target)
{
        free(target->addresses);
}

bool target_is_path(const struct target *target)
{
        return strchr(target->host, '/');
}

const char *target_format(const struct target_address *address, char text[static TARGET_TEXT_MAX])
{
        if (address->sockaddr.ss_family == AF_UNIX)
                strcpy(text, ((const struct sockaddr_un *)&address->sockaddr)->sun_path);
        else
                getnameinfo((const struct sockaddr *)&address->sockaddr, address->length, text,
                            TARGET_TEXT_MAX, NULL, 0, NI_NUMERICHOST);
        return text;
}

bool target_has_sources(const struct target_address *address)
{
        const struct sockaddr_in *to = (const struct sockaddr_in *)&address->sockaddr;

        return to->sin_family == AF_INET && ntohl(to->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

bool target_source(const struct target *target, const struct target_address *address, uint64_t n,
                   struct sockaddr_in *ret_source)
{
        uint32_t source;

        if (!target_has_sources(address))
                return false;
        source = (uint32_t)(n / target->n_each_source % TARGET_SOURCES);
        if (source == 0)
                return false;
        *ret_source = (struct sockaddr_in){
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + source),
        };
        return true;
}
