#include "proxy_header.h"

#include <arpa/inet.h>
#include <string.h>

#include "util.h"

/* Version 1, section 2.1. */
static const char V1_START[] = "PROXY ";
static const char V1_TCP4[] = "TCP4 ";
static const char V1_TCP6[] = "TCP6 ";
static const char V1_UNKNOWN[] = "UNKNOWN";

/* Version 2, section 2.2: the signature, version and command, family and protocol, the length of
 * the block that follows. */
static const uint8_t V2_SIGNATURE[12] = "\r\n\r\n\0\r\nQUIT\n";

#define V2_FIXED_LENGTH 16
#define V2_VERSION      2
#define V2_TLV_LENGTH   3    /* type and length */
#define V2_TYPE_CRC32C  0x03 /* section 2.2.3 */

enum { V2_LOCAL, V2_PROXY, N_V2_COMMANDS };

enum { V2_UNSPECIFIED, V2_INET, V2_INET6, V2_UNIX, N_V2_FAMILIES };

enum { V2_STREAM = 1, V2_DATAGRAM };

/* Of the addresses of both ends, by family. */
static const size_t V2_ADDRESSES_LENGTH[N_V2_FAMILIES] = {
        [V2_INET] = 2 * 4 + 2 * 2,
        [V2_INET6] = 2 * 16 + 2 * 2,
        [V2_UNIX] = 2 * 108,
};

/* Whether as much as there is of the two is the same. */
static bool begins_alike(const void *bytes, size_t length, const void *expected, size_t n)
{
        return memcmp(bytes, expected, MIN(length, n)) == 0;
}

/* Takes the text up to the next space, or the end, out of the line; false: it does not fit. */
static bool take_word(const char **line, char *ret_word, size_t size)
{
        size_t length = strcspn(*line, " ");

        if (length >= size)
                return false;
        memcpy(ret_word, *line, length);
        ret_word[length] = '\0';
        *line += length;
        return true;
}

static bool take_space(const char **line)
{
        return *(*line)++ == ' ';
}

/* An address of the announced family; the alphabet of its line has seen to it that no zone is
 * named. IPv6 may end like IPv4, as inet_ntop(3) writes mapped addresses. */
static bool take_address(const char **line, bool is_ipv6, struct address *ret_address)
{
        char word[INET6_ADDRSTRLEN];

        return take_word(line, word, sizeof(word)) && (strchr(word, ':') != NULL) == is_ipv6 &&
               address_parse(ret_address, word, 0) == 0;
}

/* 0 to 65535 in decimal, no leading zero. */
static bool take_port(const char **line, uint16_t *ret_port)
{
        char word[sizeof("65535")];
        unsigned port = 0;

        if (!take_word(line, word, sizeof(word)) || word[0] == '\0' ||
            (word[0] == '0' && word[1] != '\0'))
                return false;
        for (const char *digit = word; *digit; digit++) {
                if (*digit < '0' || *digit > '9')
                        return false;
                port = 10 * port + (unsigned)(*digit - '0');
        }
        *ret_port = (uint16_t)port;
        return port <= UINT16_MAX;
}

/* What follows the family: source, destination, their ports; the line's end. */
static bool parse_v1_addresses(const char *line, bool is_ipv6, struct address *ret_source)
{
        struct address destination;

        return take_address(&line, is_ipv6, ret_source) && take_space(&line) &&
               take_address(&line, is_ipv6, &destination) && take_space(&line) &&
               take_port(&line, &ret_source->port) && take_space(&line) &&
               take_port(&line, &destination.port) && *line == '\0';
}

/*
 * Of a line that has no end yet: whether it may get one. Which bytes may come behind the family is
 * looked at here, too, so that whoever sends something else is not waited for.
 */
static bool may_become_v1(const char *line, size_t length)
{
        static const struct {
                const char *family, *alphabet;
        } kinds[] = {
                {V1_TCP4, "0123456789. "},
                {V1_TCP6, "0123456789abcdefABCDEF:. "},
        };
        const char *rest;
        size_t n_rest;

        if (!begins_alike(line, length, V1_START, strlen(V1_START)))
                return false;
        if (length <= strlen(V1_START))
                return true;
        rest = line + strlen(V1_START);
        n_rest = length - strlen(V1_START);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                size_t n = strlen(kinds[i].family);

                if (!begins_alike(rest, n_rest, kinds[i].family, n))
                        continue;
                for (size_t j = n; j < n_rest; j++)
                        if (rest[j] == '\0' || !strchr(kinds[i].alphabet, rest[j]))
                                return false;
                return true;
        }
        /* Of what follows here nothing counts but the end. */
        return begins_alike(rest, n_rest, V1_UNKNOWN, strlen(V1_UNKNOWN)) &&
               (n_rest <= strlen(V1_UNKNOWN) || rest[strlen(V1_UNKNOWN)] == ' ');
}

/* A line without its CRLF, which may_become_v1(). */
static bool parse_v1_line(const char *text, size_t length, struct proxy_header *header)
{
        char line[PROXY_HEADER_V1_MAX + 1];
        const char *rest = line + strlen(V1_START);

        memcpy(line, text, length);
        line[length] = '\0';
        if (length < strlen(V1_START) + strlen(V1_TCP4))
                return false;
        header->has_source = !begins_alike(rest, SIZE_MAX, V1_UNKNOWN, strlen(V1_UNKNOWN));
        return !header->has_source ||
               parse_v1_addresses(rest + strlen(V1_TCP4), rest[3] == '6', &header->source);
}

static enum proxy_header_outcome parse_v1(struct proxy_header *header, const char *bytes,
                                          size_t length)
{
        size_t n = MIN(length, PROXY_HEADER_V1_MAX), n_line;
        const char *end = memchr(bytes, '\r', n);

        n_line = end ? (size_t)(end - bytes) : n;
        if (!may_become_v1(bytes, n_line) || memchr(bytes, '\n', n_line) ||
            (end && !parse_v1_line(bytes, n_line, header)))
                return PROXY_HEADER_MALFORMED;
        header->length = n_line + strlen("\r\n");
        if (header->length > n)
                return n < PROXY_HEADER_V1_MAX ? PROXY_HEADER_INCOMPLETE : PROXY_HEADER_TOO_LONG;
        return end[1] == '\n' ? PROXY_HEADER_COMPLETE : PROXY_HEADER_MALFORMED;
}

static uint16_t read_u16(const uint8_t *bytes)
{
        return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* CRC32c (Castagnoli) as RFC 4960, appendix B, has it: reflected, carried on from `crc`. */
static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, size_t length)
{
        for (size_t i = 0; i < length; i++) {
                crc ^= bytes[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
        return crc;
}

/* Whether the checksum at that offset is the header's, taken with zeros in its place. */
static bool is_checksum_right(const uint8_t *bytes, size_t length, size_t offset)
{
        static const uint8_t zeros[4] = {0};
        size_t behind = offset + sizeof(zeros);
        uint32_t crc = crc32c(UINT32_MAX, bytes, offset);

        crc = crc32c(crc, zeros, sizeof(zeros));
        crc = ~crc32c(crc, bytes + behind, length - behind);
        return crc == ((uint32_t)read_u16(bytes + offset) << 16 | read_u16(bytes + offset + 2));
}

/*
 * Walks the TLVs from `offset` to the header's end and finds the checksum, 0 if there is none.
 * False: they do not end where the header does, or there are two checksums.
 */
static bool walk_tlvs(const uint8_t *bytes, size_t length, size_t offset, size_t *ret_checksum)
{
        *ret_checksum = 0;
        while (offset < length) {
                size_t value = offset + V2_TLV_LENGTH, n;

                if (value > length)
                        return false;
                n = read_u16(bytes + offset + 1);
                if (n > length - value)
                        return false;
                if (bytes[offset] == V2_TYPE_CRC32C) {
                        if (n != sizeof(uint32_t) || *ret_checksum > 0)
                                return false;
                        *ret_checksum = value;
                }
                offset = value + n;
        }
        return true;
}

/* The source's address, at the block's beginning. */
static struct address read_v2_source(unsigned family, const uint8_t *block)
{
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        struct address source = {.family = AF_UNIX};

        if (family == V2_INET) {
                source.family = AF_INET;
                source.port = read_u16(block + 8);
                memcpy(source.ip, block, 4);
        } else if (family == V2_INET6) {
                memcpy(&v6.sin6_addr, block, 16);
                v6.sin6_port = htons(read_u16(block + 32));
                address_from_sockaddr(&source, (const struct sockaddr *)&v6);
        }
        return source;
}

/* What is wrong with the fixed part, as far as it is there; or PROXY_HEADER_INCOMPLETE. */
static enum proxy_header_outcome check_v2_fixed(const uint8_t *bytes, size_t length)
{
        unsigned version = length > 12 ? bytes[12] >> 4 : V2_VERSION;
        unsigned command = length > 12 ? bytes[12] & 0xf : V2_LOCAL;
        bool is_proxied = command == V2_PROXY && length > 13; /* else the family does not count */
        unsigned family = is_proxied ? bytes[13] >> 4 : V2_UNSPECIFIED;
        unsigned protocol = is_proxied ? bytes[13] & 0xf : V2_UNSPECIFIED;

        if (!begins_alike(bytes, length, V2_SIGNATURE, sizeof(V2_SIGNATURE)) ||
            version != V2_VERSION || command >= N_V2_COMMANDS || family >= N_V2_FAMILIES ||
            protocol >= V2_DATAGRAM)
                return PROXY_HEADER_MALFORMED;
        if (length < V2_FIXED_LENGTH)
                return PROXY_HEADER_INCOMPLETE;
        if (V2_FIXED_LENGTH + read_u16(bytes + 14) > PROXY_HEADER_MAX)
                return PROXY_HEADER_TOO_LONG;
        if (protocol == V2_STREAM && read_u16(bytes + 14) < V2_ADDRESSES_LENGTH[family])
                return PROXY_HEADER_MALFORMED;
        return PROXY_HEADER_INCOMPLETE;
}

static enum proxy_header_outcome parse_v2(struct proxy_header *header, const uint8_t *bytes,
                                          size_t length)
{
        enum proxy_header_outcome outcome = check_v2_fixed(bytes, length);
        unsigned family, protocol;
        size_t tlvs, checksum;

        if (outcome != PROXY_HEADER_INCOMPLETE || length < V2_FIXED_LENGTH)
                return outcome;
        header->length = V2_FIXED_LENGTH + read_u16(bytes + 14);
        if (length < header->length)
                return PROXY_HEADER_INCOMPLETE;
        family = bytes[13] >> 4;
        protocol = bytes[13] & 0xf;
        header->has_source =
                (bytes[12] & 0xf) == V2_PROXY && family != V2_UNSPECIFIED && protocol == V2_STREAM;
        tlvs = V2_FIXED_LENGTH + (family < N_V2_FAMILIES ? V2_ADDRESSES_LENGTH[family] : 0);
        /* Where there is no source, the block may be laid out as nobody knows; then it is no more
         * than skipped. */
        if (tlvs > header->length || !walk_tlvs(bytes, header->length, tlvs, &checksum))
                return header->has_source ? PROXY_HEADER_MALFORMED : PROXY_HEADER_COMPLETE;
        if (checksum > 0 && !is_checksum_right(bytes, header->length, checksum))
                return PROXY_HEADER_MALFORMED;
        if (header->has_source)
                header->source = read_v2_source(family, bytes + V2_FIXED_LENGTH);
        return PROXY_HEADER_COMPLETE;
}

enum proxy_header_outcome proxy_header_parse(struct proxy_header *ret_header, const uint8_t *bytes,
                                             size_t length)
{
        struct proxy_header header = {0};
        enum proxy_header_outcome outcome;

        if (length == 0)
                return PROXY_HEADER_INCOMPLETE;
        outcome = bytes[0] == V2_SIGNATURE[0] ? parse_v2(&header, bytes, length)
                                              : parse_v1(&header, (const char *)bytes, length);
        if (outcome == PROXY_HEADER_COMPLETE)
                *ret_header = header;
        return outcome;
}
