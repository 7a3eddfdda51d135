#pragma once

/*
 * Addresses of peers and listeners, and networks (CIDR prefixes). An IPv4-mapped IPv6 address
 * (RFC 4291, 2.5.5.2) counts as IPv4 everywhere.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* 24 bytes: one stands in every connection. */
struct address {
        uint16_t family;   /* AF_INET, AF_INET6, or AF_UNIX, which has nothing below */
        uint16_t port;     /* host byte order */
        uint32_t scope_id; /* interface index of a link-local IPv6 address, else 0 */
        uint8_t ip[16];    /* network byte order; IPv4 uses the first four */
};

struct prefix {
        uint16_t family;
        uint16_t length; /* bits: 0-32 or 0-128 */
        uint8_t ip[16];  /* bits beyond the length are zero */
};

/* Room for "[IPv6%interface]:65535" and for "IPv6/128", with the final NUL. */
#define ADDRESS_TEXT_MAX 80

/* Reads an IPv4 or IPv6 literal; IPv6 may carry a %zone. -EINVAL: it is neither. */
int address_parse(struct address *ret_address, const char *text, uint16_t port);

/* Takes over what accept(2) or getsockname(2) gave. A family other than the three is -EAFNOSUPPORT.
 */
int address_from_sockaddr(struct address *ret_address, const struct sockaddr *sockaddr);

/* Fills a sockaddr for bind(2) or connect(2) and returns its length. Not for AF_UNIX. */
socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *ret_sockaddr);

/* "192.0.2.1:7", "[2001:db8::1]:7" or "unix". Returns `text`. */
const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX]);

/*
 * Reads "192.0.2.0/24", "2001:db8::/32", or a bare address, which is a prefix of full length.
 * -EINVAL: not a network. -ERANGE: the length is out of range. -EDOM: bits are set beyond the
 * length; ret_prefix then has them cleared, for the message that says what would be right.
 */
int prefix_parse(struct prefix *ret_prefix, const char *text);

bool prefix_contains(const struct prefix *prefix, const struct address *address);

/* "192.0.2.0/24". Returns `text`. */
const char *prefix_format(const struct prefix *prefix, char text[static ADDRESS_TEXT_MAX]);
