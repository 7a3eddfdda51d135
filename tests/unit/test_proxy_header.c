#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_header.h"
#include "util.h"

/* Version 2: the signature, and PROXY over TCP with 16 bits of length. */
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define LOCAL     "\x20"
#define PROXY     "\x21"
#define TCP4      "\x11"
#define TCP6      "\x21"
#define UNIX      "\x31"
/* 192.0.2.1:51000 to 192.0.2.7:7 */
#define ADDRESSES4 "\xc0\x00\x02\x01\xc0\x00\x02\x07\xc7\x38\x00\x07"
/* [2001:db8::1]:51000 to [2001:db8::7]:7 */
#define ADDRESSES6                                                     \
        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0" \
        "\0\0\0\0\0\0\0\0\0\0\x07\xc7\x38\x00\x07"

struct text {
        const char *bytes;
        size_t length;
};

#define TEXT(literal)                           \
        (struct text)                           \
        {                                       \
                literal, sizeof("" literal) - 1 \
        }

/* In memory of its own, so that a look behind the end is found by a sanitizer. */
static enum proxy_header_outcome parse(struct proxy_header *header, struct text text, size_t length)
{
        uint8_t *copy = malloc(length);
        enum proxy_header_outcome outcome;

        cr_assert(copy || length == 0);
        memcpy(copy, text.bytes, length);
        outcome = proxy_header_parse(header, copy, length);
        free(copy);
        return outcome;
}

static struct text followed(struct text text, char *buffer, const char *by)
{
        memcpy(buffer, text.bytes, text.length);
        memcpy(buffer + text.length, by, strlen(by));
        return (struct text){buffer, text.length + strlen(by)};
}

/* Expects a whole header; cut anywhere it is incomplete, and what follows it changes nothing. */
static struct proxy_header expect_whole(struct text text)
{
        static const char *const followers[] = {"", "x", "\r\n", "PROXY TCP4 ", "\r\n\r\n"};
        struct proxy_header header;
        char buffer[2 * PROXY_HEADER_MAX];

        for (size_t n = 0; n < text.length; n++)
                cr_assert_eq(parse(&header, text, n), PROXY_HEADER_INCOMPLETE, "%.*s: after %zu",
                             (int)text.length, text.bytes, n);
        for (size_t i = 0; i < ARRAY_SIZE(followers); i++) {
                struct text longer = followed(text, buffer, followers[i]);

                cr_assert_eq(parse(&header, longer, longer.length), PROXY_HEADER_COMPLETE, "%.*s",
                             (int)text.length, text.bytes);
                cr_assert_eq(header.length, text.length);
        }
        return header;
}

static void expect_source(struct text text, const char *expected)
{
        struct proxy_header header = expect_whole(text);
        char formatted[ADDRESS_TEXT_MAX];

        cr_assert(header.has_source);
        cr_assert_str_eq(address_format(&header.source, formatted), expected);
}

static void expect_own(struct text text)
{
        cr_assert_not(expect_whole(text).has_source, "%.*s", (int)text.length, text.bytes);
}

/* Expects that it is found out after exactly `n` bytes. */
static void expect_at(enum proxy_header_outcome outcome, struct text text, size_t n)
{
        struct proxy_header header;

        cr_assert_leq(n, text.length);
        for (size_t i = 0; i <= text.length; i++)
                cr_assert_eq(parse(&header, text, i), i < n ? PROXY_HEADER_INCOMPLETE : outcome,
                             "%.*s: after %zu", (int)text.length, text.bytes, i);
}

#define MALFORMED(literal) expect_at(PROXY_HEADER_MALFORMED, TEXT(literal), sizeof(literal) - 1)

Test(proxy_header, v1_gives_the_source)
{
        expect_source(TEXT("PROXY TCP4 192.0.2.1 192.0.2.7 51000 7\r\n"), "192.0.2.1:51000");
        expect_source(TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
                      "255.255.255.255:65535");
        expect_source(TEXT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0");
        expect_source(TEXT("PROXY TCP6 2001:db8::1 2001:DB8::7 51000 7\r\n"),
                      "[2001:db8::1]:51000");
        expect_source(TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

/* As HAProxy writes a client that came by IPv4 to a socket of both families. */
Test(proxy_header, a_mapped_source_counts_as_ipv4)
{
        expect_source(TEXT("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.7 51000 7\r\n"),
                      "192.0.2.1:51000");
        expect_source(TEXT(SIGNATURE PROXY TCP6 "\x00\x24"
                                                "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01"
                                                "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07"
                                                "\xc7\x38\x00\x07"),
                      "192.0.2.1:51000");
}

Test(proxy_header, v1_unknown_means_the_sockets_own_whatever_follows)
{
        expect_own(TEXT("PROXY UNKNOWN\r\n"));
        expect_own(TEXT("PROXY UNKNOWN \r\n"));
        expect_own(TEXT("PROXY UNKNOWN any \x01\xff\0 thing\r\n"));
        expect_own(TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"));
}

Test(proxy_header, what_is_no_header_is_malformed_at_the_first_wrong_byte)
{
        MALFORMED("h");
        MALFORMED("\n");
        MALFORMED("\0");
        MALFORMED("PROXy");
        MALFORMED("PROXY\t");
        MALFORMED("PROXY  ");
        MALFORMED("PROXY U ");
        MALFORMED("PROXY TCP5");
        MALFORMED("PROXY t");
        MALFORMED("PROXY UD");
        MALFORMED("PROXY TCP4\t");
        MALFORMED("PROXY UNKNOWNS");
        MALFORMED("PROXY\r");
        MALFORMED("PROXY TCP4 \r");
        MALFORMED("PROXY TCP4\r");
        MALFORMED("PROXY UNKNOW\r");
        MALFORMED("PROXY TCP4 1.2.3.4 x");
        MALFORMED("PROXY TCP4 1.2.3.4 a");
        MALFORMED("PROXY TCP4 1.2.3.4 \n");
        MALFORMED("PROXY TCP6 ::1 g");
        MALFORMED("PROXY TCP6 fe80::1%");
        MALFORMED("PROXY UNKNOWN\n");
        MALFORMED("PROXY UNKNOWN any\n");
        MALFORMED("PROXY UNKNOWN any\r ");
        MALFORMED("PROXY UNKNOWN any\r\r");
        MALFORMED("\r\r");
        MALFORMED("\r\n\r\n\r");
        MALFORMED("\r\n\r\n\0\r\nQUIT\r");
}

/* A byte at a time a line can only be judged whole. */
Test(proxy_header, a_line_is_strict)
{
        static const char *const lines[] = {
                "PROXY TCP4 192.0.2.1 192.0.2.7 51000 7 ",
                "PROXY TCP4 192.0.2.1 192.0.2.7 51000",
                "PROXY TCP4 192.0.2.1 192.0.2.7 51000 ",
                "PROXY TCP4 192.0.2.1  192.0.2.7 51000 7",
                "PROXY TCP4  192.0.2.1 192.0.2.7 51000 7",
                "PROXY TCP4 192.0.2.1 192.0.2.7  51000 7",
                "PROXY TCP4 192.0.2.1 192.0.2.7 51000  7",
                "PROXY TCP4 192.0.2.01 192.0.2.7 51000 7",
                "PROXY TCP4 192.0.2.1 192.0.2.007 51000 7",
                "PROXY TCP4 192.0.2.256 192.0.2.7 51000 7",
                "PROXY TCP4 192.0.2 192.0.2.7 51000 7",
                "PROXY TCP4 192.0.2.1 192.0.2.7 051000 7",
                "PROXY TCP4 192.0.2.1 192.0.2.7 51000 07",
                "PROXY TCP4 192.0.2.1 192.0.2.7 65536 7",
                "PROXY TCP4 192.0.2.1 192.0.2.7 51000 65536",
                "PROXY TCP4 192.0.2.1 192.0.2.7 99999 7",
                "PROXY TCP4 192.0.2.1 192.0.2.7 510000 7",
                "PROXY TCP4 192.0.2.1 192.0.2.7 5.000 7",
                "PROXY TCP4 192.0.2.1 192.0.2.7 51000 .",
                "PROXY TCP4 192.0.2.1 51000 7",
                "PROXY TCP6 192.0.2.1 192.0.2.7 51000 7",
                "PROXY TCP6 2001:db8::1 192.0.2.7 51000 7",
                "PROXY TCP6 2001:db8:::1 2001:db8::7 51000 7",
                "PROXY TCP6 2001:db8::1::2 2001:db8::7 51000 7",
                "PROXY TCP6 02001:db8::1 2001:db8::7 51000 7",
                "PROXY TCP6 1:2:3:4:5:6:7:8:9 2001:db8::7 51000 7",
                "PROXY TCP6 1:2:3:4:5:6:7 2001:db8::7 51000 7",
                "PROXY TCP6 2001:db8::1 2001:db8::7 a 7",
                "PROXY TCP6 2001:db8::1 2001:db8::7 51000 : ",
                "PROXY TCP4 ",
        };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                struct text text = {lines[i], strlen(lines[i])};
                char buffer[PROXY_HEADER_V1_MAX + 2];

                text = followed(text, buffer, "\r");
                expect_at(PROXY_HEADER_MALFORMED, text, text.length);
        }
}

Test(proxy_header, a_line_without_an_end_is_too_long_after_107_bytes)
{
        char line[PROXY_HEADER_V1_MAX + 20];

        memset(line, ' ', sizeof(line));
        memcpy(line, "PROXY UNKNOWN", 13);
        expect_at(PROXY_HEADER_TOO_LONG, (struct text){line, sizeof(line)}, PROXY_HEADER_V1_MAX);
        line[PROXY_HEADER_V1_MAX - 1] = '\r';
        line[PROXY_HEADER_V1_MAX] = '\n';
        expect_at(PROXY_HEADER_TOO_LONG, (struct text){line, sizeof(line)}, PROXY_HEADER_V1_MAX);
        memcpy(line + PROXY_HEADER_V1_MAX - 2, "\r\n", 2);
        expect_own((struct text){line, PROXY_HEADER_V1_MAX});
}

Test(proxy_header, v2_gives_the_source)
{
        expect_source(TEXT(SIGNATURE PROXY TCP4 "\x00\x0c" ADDRESSES4), "192.0.2.1:51000");
        expect_source(TEXT(SIGNATURE PROXY TCP6 "\x00\x24" ADDRESSES6), "[2001:db8::1]:51000");
}

Test(proxy_header, v2_over_a_unix_socket_is_a_unix_client)
{
        char header[16 + 216] = SIGNATURE PROXY UNIX "\x00\xd8/run/client.sock";

        expect_source((struct text){header, sizeof(header)}, "unix");
}

Test(proxy_header, v2_local_and_unspecified_mean_the_sockets_own)
{
        expect_own(TEXT(SIGNATURE LOCAL "\x00\x00\x00"));
        expect_own(TEXT(SIGNATURE PROXY "\x00\x00\x00"));
        expect_own(TEXT(SIGNATURE PROXY "\x01\x00\x00"));
        expect_own(TEXT(SIGNATURE PROXY "\x10\x00\x0c" ADDRESSES4));
        /* With an address, whose family is ignored, that nobody is to look at. */
        expect_own(TEXT(SIGNATURE LOCAL TCP4 "\x00\x0c" ADDRESSES4));
        expect_own(TEXT(SIGNATURE LOCAL "\xff\x00\x0c" ADDRESSES4));
        expect_own(TEXT(SIGNATURE LOCAL "\x00\x00\x0c" ADDRESSES4));
        expect_own(TEXT(SIGNATURE LOCAL UNIX "\x00\x01?"));
}

Test(proxy_header, v2_is_judged_as_soon_as_its_fixed_part_tells)
{
        MALFORMED("\r\n\r\n\0\r\nQUIT\r");
        MALFORMED(SIGNATURE "\x11");              /* version 1 */
        MALFORMED(SIGNATURE "\x31");              /* version 3 */
        MALFORMED(SIGNATURE "\x22");              /* neither LOCAL nor PROXY */
        MALFORMED(SIGNATURE PROXY "\x12");        /* over UDP */
        MALFORMED(SIGNATURE PROXY "\x22");        /* over UDP */
        MALFORMED(SIGNATURE PROXY "\x32");        /* a Unix datagram socket */
        MALFORMED(SIGNATURE PROXY "\x02");        /* a datagram of nobody knows what */
        MALFORMED(SIGNATURE PROXY "\x13");        /* no protocol */
        MALFORMED(SIGNATURE PROXY "\x41");        /* no family */
        MALFORMED(SIGNATURE PROXY TCP4 "\0\x0b"); /* too short for its addresses */
        MALFORMED(SIGNATURE PROXY TCP6 "\0\x23");
        MALFORMED(SIGNATURE PROXY UNIX "\0\xd7");
}

/* A header of `length` bytes with NOOP TLVs up to its end. */
static struct text padded(char *buffer, size_t length)
{
        static const char start[] = SIGNATURE PROXY TCP4 "??" ADDRESSES4 "\x04";
        size_t block = length - 16, value = length - 31;

        memset(buffer, 0xaa, length);
        memcpy(buffer, start, sizeof(start) - 1);
        buffer[14] = (char)(block >> 8);
        buffer[15] = (char)block;
        buffer[29] = (char)(value >> 8);
        buffer[30] = (char)value;
        return (struct text){buffer, length};
}

Test(proxy_header, v2_ends_at_4096_bytes)
{
        char buffer[PROXY_HEADER_MAX + 1];

        expect_source(padded(buffer, PROXY_HEADER_MAX), "192.0.2.1:51000");
        expect_at(PROXY_HEADER_TOO_LONG, padded(buffer, PROXY_HEADER_MAX + 1), 16);
        memcpy(buffer + 14, "\xff\xff", 2);
        expect_at(PROXY_HEADER_TOO_LONG, (struct text){buffer, PROXY_HEADER_MAX}, 16);
}

Test(proxy_header, v2_tlvs_are_skipped)
{
        expect_source(TEXT(SIGNATURE PROXY TCP4 "\x00\x0f" ADDRESSES4 "\x04\0\0"),
                      "192.0.2.1:51000");
        expect_source(TEXT(SIGNATURE PROXY TCP4 "\x00\x1e" ADDRESSES4 "\x01\0\x02h2\x02\0\5a.net"
                                                "\xea\0\x02\x01\xff"),
                      "192.0.2.1:51000");
}

Test(proxy_header, v2_tlvs_must_end_where_the_header_does)
{
        static const struct text texts[] = {
                {SIGNATURE PROXY TCP4 "\x00\x0d" ADDRESSES4 "\x04", 29},
                {SIGNATURE PROXY TCP4 "\x00\x0e" ADDRESSES4 "\x04\0", 30},
                {SIGNATURE PROXY TCP4 "\x00\x0f" ADDRESSES4 "\x04\0\x01", 31},
                {SIGNATURE PROXY TCP4 "\x00\x0f" ADDRESSES4 "\x04\xff\xff", 31},
                {SIGNATURE PROXY TCP4 "\x00\x10" ADDRESSES4 "\x04\0\0\x04", 32},
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                expect_at(PROXY_HEADER_MALFORMED, texts[i], texts[i].length);
}

/* CRC32c by its polynomial, bit by bit from the front: not as proxy_header.c does it. */
static uint32_t slow_crc32c(const uint8_t *bytes, size_t length)
{
        uint32_t crc = UINT32_MAX, reflected = 0;

        for (size_t i = 0; i < 8 * length; i++) {
                uint32_t bit = bytes[i / 8] >> (i % 8) & 1;

                crc = (crc >> 31) != bit ? crc << 1 ^ 0x1edc6f41 : crc << 1;
        }
        for (unsigned i = 0; i < 32; i++)
                reflected |= (crc >> i & 1) << (31 - i);
        return ~reflected;
}

/* Puts the checksum in place of the four zeros at `offset`. */
static void sum_up(char *bytes, size_t length, size_t offset)
{
        uint32_t crc = slow_crc32c((const uint8_t *)bytes, length);

        for (unsigned i = 0; i < 4; i++)
                bytes[offset + i] = (char)(crc >> (24 - 8 * i));
}

Test(proxy_header, the_checksum_of_this_test_is_crc32c)
{
        static const uint8_t digits[] = "123456789"; /* the check value of the catalogues */

        cr_assert_eq(slow_crc32c(digits, 9), 0xe3069283);
}

/* Expects the header with its checksum to be whole, and malformed with any bit of it changed. */
static void expect_guarded(char *bytes, size_t length, size_t checksum)
{
        struct proxy_header header;

        sum_up(bytes, length, checksum);
        expect_whole((struct text){bytes, length});
        for (size_t bit = 16 * 8; bit < length * 8; bit++) {
                enum proxy_header_outcome outcome;

                if (bit / 8 >= checksum - 3 && bit / 8 < checksum)
                        continue; /* type and length: it is no checksum then */
                bytes[bit / 8] ^= (char)(1 << bit % 8);
                outcome = parse(&header, (struct text){bytes, length}, length);
                bytes[bit / 8] ^= (char)(1 << bit % 8);
                cr_assert_eq(outcome, PROXY_HEADER_MALFORMED, "bit %zu", bit);
        }
}

Test(proxy_header, v2_checksum_is_verified)
{
        char proxied[] = SIGNATURE PROXY TCP4 "\x00\x13" ADDRESSES4 "\x03\0\x04\0\0\0\0";
        char between[] = SIGNATURE PROXY TCP6 "\x00\x33" ADDRESSES6 "\x04\0\2xy\x03\0\x04\0\0\0\0"
                                              "\x04\0\0";
        char local[] = SIGNATURE LOCAL "\0\x00\x07\x03\0\x04\0\0\0\0";

        expect_guarded(proxied, sizeof(proxied) - 1, 31);
        expect_guarded(local, sizeof(local) - 1, 19);
        sum_up(between, sizeof(between) - 1, 60);
        expect_source((struct text){between, sizeof(between) - 1}, "[2001:db8::1]:51000");
}

Test(proxy_header, v2_checksum_of_another_length_is_malformed)
{
        static const struct text text = {
                SIGNATURE PROXY TCP4 "\x00\x12" ADDRESSES4 "\x03\0\x03\0\0\0", 34};

        expect_at(PROXY_HEADER_MALFORMED, text, 34);
}

/* Either would be right if the other one were none. */
Test(proxy_header, v2_checksum_given_twice_is_malformed)
{
        char bytes[] =
                SIGNATURE PROXY TCP4 "\x00\x1a" ADDRESSES4 "\x03\0\x04\0\0\0\0\x03\0\x04\0\0\0\0";

        sum_up(bytes, 42, 38);
        expect_at(PROXY_HEADER_MALFORMED, (struct text){bytes, 42}, 42);
        memset(bytes + 38, 0, 4);
        sum_up(bytes, 42, 31);
        expect_at(PROXY_HEADER_MALFORMED, (struct text){bytes, 42}, 42);
}
