#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};

/* ::ffff:192.0.2.1 becomes 192.0.2.1. */
static void unmap(struct address *address)
{
        if (address->family != AF_INET6 || memcmp(address->ip, MAPPED, sizeof(MAPPED)) != 0)
                return;
        address->family = AF_INET;
        memmove(address->ip, address->ip + sizeof(MAPPED), 4);
        memset(address->ip + 4, 0, 12);
        address->scope_id = 0;
}

static int parse_ipv6(struct address *address, const char *text)
{
        char literal[ADDRESS_TEXT_MAX];
        const char *zone = strchr(text, '%');
        size_t length = zone ? (size_t)(zone - text) : strlen(text);

        if (length >= sizeof(literal))
                return -EINVAL;
        memcpy(literal, text, length);
        literal[length] = '\0';
        if (inet_pton(AF_INET6, literal, address->ip) != 1)
                return -EINVAL;
        address->family = AF_INET6;
        if (!zone)
                return 0;
        address->scope_id = if_nametoindex(zone + 1);
        return address->scope_id ? 0 : -EINVAL;
}

int address_parse(struct address *ret_address, const char *text, uint16_t port)
{
        struct address address = {.port = port};

        if (inet_pton(AF_INET, text, address.ip) == 1) {
                address.family = AF_INET;
        } else {
                int r = parse_ipv6(&address, text);

                if (r < 0)
                        return r;
                unmap(&address);
        }
        *ret_address = address;
        return 0;
}

int address_from_sockaddr(struct address *ret_address, const struct sockaddr *sockaddr)
{
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)sockaddr;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sockaddr;
        struct address address = {.family = sockaddr->sa_family};

        switch (sockaddr->sa_family) {
        case AF_INET:
                address.port = ntohs(v4->sin_port);
                memcpy(address.ip, &v4->sin_addr, 4);
                break;
        case AF_INET6:
                address.port = ntohs(v6->sin6_port);
                address.scope_id = v6->sin6_scope_id;
                memcpy(address.ip, &v6->sin6_addr, 16);
                unmap(&address);
                break;
        case AF_UNIX:
                break;
        default:
                return -EAFNOSUPPORT;
        }
        *ret_address = address;
        return 0;
}

socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *ret_sockaddr)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)ret_sockaddr;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_sockaddr;

        memset(ret_sockaddr, 0, sizeof(*ret_sockaddr));
        if (address->family == AF_INET) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons(address->port);
                memcpy(&v4->sin_addr, address->ip, 4);
                return sizeof(*v4);
        }
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(address->port);
        v6->sin6_scope_id = address->scope_id;
        memcpy(&v6->sin6_addr, address->ip, 16);
        return sizeof(*v6);
}

const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX])
{
        char ip[INET6_ADDRSTRLEN] = "?", interface[IF_NAMESIZE + 1] = "%";

        if (address->family == AF_UNIX)
                return strcpy(text, "unix");
        inet_ntop(address->family, address->ip, ip, sizeof(ip));
        if (!address->scope_id || !if_indextoname(address->scope_id, interface + 1))
                interface[0] = '\0';
        if (address->family == AF_INET)
                snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", ip, address->port);
        else
                snprintf(text, ADDRESS_TEXT_MAX, "[%s%s]:%u", ip, interface, address->port);
        return text;
}

/* Clears the bits beyond the prefix's length; true if one was set. */
static bool clear_host_bits(struct prefix *prefix)
{
        bool any = false;

        for (unsigned i = 0; i < sizeof(prefix->ip); i++) {
                unsigned kept_bits = prefix->length <= i * 8 ? 0 : MIN(prefix->length - i * 8, 8U);
                uint8_t mask = (uint8_t)(0xff00U >> kept_bits);

                any = any || (prefix->ip[i] & ~mask);
                prefix->ip[i] &= mask;
        }
        return any;
}

/* Reads the decimal after the slash. */
static int parse_length(uint16_t *ret_length, const char *text, unsigned max)
{
        char *end;
        unsigned long length;

        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        length = strtoul(text, &end, 10);
        if (*end != '\0')
                return -EINVAL;
        if (length > max)
                return -ERANGE;
        *ret_length = (uint16_t)length;
        return 0;
}

int prefix_parse(struct prefix *ret_prefix, const char *text)
{
        struct address address;
        struct prefix prefix = {0};
        char literal[ADDRESS_TEXT_MAX];
        const char *slash = strchrnul(text, '/');
        bool is_ipv6;
        int r;

        if ((size_t)(slash - text) >= sizeof(literal) || strchr(text, '%'))
                return -EINVAL;
        memcpy(literal, text, (size_t)(slash - text));
        literal[slash - text] = '\0';
        r = address_parse(&address, literal, 0);
        if (r < 0)
                return r;

        is_ipv6 = strchr(literal, ':');
        prefix.length = is_ipv6 ? 128 : 32;
        if (*slash == '/') {
                r = parse_length(&prefix.length, slash + 1, prefix.length);
                if (r < 0)
                        return r;
        }
        if (is_ipv6 && address.family == AF_INET) { /* ::ffff:192.0.2.0/120 is 192.0.2.0/24 */
                if (prefix.length < 96)
                        return -ERANGE;
                prefix.length -= 96;
        }
        prefix.family = address.family;
        memcpy(prefix.ip, address.ip, sizeof(prefix.ip));
        r = clear_host_bits(&prefix) ? -EDOM : 0;
        *ret_prefix = prefix;
        return r;
}

bool prefix_contains(const struct prefix *prefix, const struct address *address)
{
        unsigned bytes = prefix->length / 8, bits = prefix->length % 8;

        if (prefix->family != address->family || memcmp(prefix->ip, address->ip, bytes) != 0)
                return false;
        return bits == 0 || ((prefix->ip[bytes] ^ address->ip[bytes]) >> (8 - bits)) == 0;
}

const char *prefix_format(const struct prefix *prefix, char text[static ADDRESS_TEXT_MAX])
{
        char ip[INET6_ADDRSTRLEN] = "?";

        inet_ntop(prefix->family, prefix->ip, ip, sizeof(ip));
        snprintf(text, ADDRESS_TEXT_MAX, "%s/%u", ip, prefix->length);
        return text;
}
