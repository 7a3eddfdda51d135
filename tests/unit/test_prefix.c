#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "util.h"

/* The bits of an address, of which only the first `length` are kept. */
static void keep_bits(uint8_t ip[16], unsigned length)
{
        for (unsigned bit = length; bit < 128; bit++)
                ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

/* An address of all ones but for what lies behind `length`. */
static struct address ones(int family, unsigned length)
{
        struct address address = {.family = (uint16_t)family};

        memset(address.ip, 0xff, family == AF_INET ? 4 : 16);
        keep_bits(address.ip, length);
        return address;
}

static int parse_with_length(struct prefix *prefix, const struct address *address, unsigned length)
{
        const struct prefix network = {.family = address->family, .length = (uint16_t)length};
        struct prefix whole = network;
        char text[ADDRESS_TEXT_MAX];

        memcpy(whole.ip, address->ip, sizeof(whole.ip));
        return prefix_parse(prefix, prefix_format(&whole, text));
}

static void flip(struct address *address, unsigned bit)
{
        address->ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
}

static void expect_every_length(int family, unsigned bits)
{
        for (unsigned length = 0; length <= bits; length++) {
                struct address network = ones(family, length);
                struct prefix prefix;

                cr_assert_eq(parse_with_length(&prefix, &network, length), 0, "/%u", length);
                cr_assert_eq(prefix.family, family);
                cr_assert_eq(prefix.length, length);
                cr_assert_arr_eq(prefix.ip, network.ip, 16);
                for (unsigned bit = 0; bit < bits; bit++) {
                        struct address peer = network;

                        flip(&peer, bit);
                        cr_assert_eq(prefix_contains(&prefix, &peer), bit >= length,
                                     "/%u with bit %u", length, bit);
                }
        }
}

Test(prefix, ipv4_decides_on_exactly_the_bits_of_its_length)
{
        expect_every_length(AF_INET, 32);
}

Test(prefix, ipv6_decides_on_exactly_the_bits_of_its_length)
{
        expect_every_length(AF_INET6, 128);
}

/* Each single bit beyond each length is found, and cleared in the proposal. */
static void expect_host_bits_found(int family, unsigned bits)
{
        for (unsigned length = 0; length < bits; length++) {
                for (unsigned bit = length; bit < bits; bit++) {
                        const struct address network = ones(family, length);
                        struct address host = network;
                        struct prefix prefix;

                        flip(&host, bit);
                        cr_assert_eq(parse_with_length(&prefix, &host, length), -EDOM,
                                     "/%u with bit %u", length, bit);
                        cr_assert_arr_eq(prefix.ip, network.ip, 16);
                        cr_assert_eq(prefix.length, length);
                }
        }
}

Test(prefix, ipv4_bits_beyond_the_length_are_found_and_cleared)
{
        expect_host_bits_found(AF_INET, 32);
}

Test(prefix, ipv6_bits_beyond_the_length_are_found_and_cleared)
{
        expect_host_bits_found(AF_INET6, 128);
}

static void expect_parsed(const char *text, const char *expected)
{
        struct prefix prefix;
        char formatted[ADDRESS_TEXT_MAX];

        cr_assert_eq(prefix_parse(&prefix, text), 0, "%s", text);
        cr_assert_eq(prefix_format(&prefix, formatted), formatted);
        cr_assert_str_eq(formatted, expected);
}

Test(prefix, a_bare_address_has_full_length)
{
        expect_parsed("192.0.2.1", "192.0.2.1/32");
        expect_parsed("2001:db8::1", "2001:db8::1/128");
}

Test(prefix, a_mapped_network_becomes_an_ipv4_one)
{
        expect_parsed("::ffff:192.0.2.0/120", "192.0.2.0/24");
        expect_parsed("::ffff:192.0.2.1", "192.0.2.1/32");
        expect_parsed("::ffff:192.0.2.1/128", "192.0.2.1/32");
        expect_parsed("::ffff:0:0/96", "0.0.0.0/0");
}

Test(prefix, a_mapped_network_wider_than_ipv4_is_refused)
{
        struct prefix prefix;

        cr_assert_eq(prefix_parse(&prefix, "::ffff:0:0/95"), -ERANGE);
        cr_assert_eq(prefix_parse(&prefix, "::ffff:0:0/0"), -ERANGE);
}

Test(prefix, a_length_out_of_range_is_told_from_junk)
{
        static const char *const texts[] = {
                "192.0.2.0/33",     "192.0.2.0/128",        "192.0.2.0/99999999999999999999999",
                "2001:db8::/129",   "192.0.2.0/4294967296", "192.0.2.0/18446744073709551616",
                "2001:db8::/65536",
        };
        struct prefix prefix;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                cr_assert_eq(prefix_parse(&prefix, texts[i]), -ERANGE, "%s", texts[i]);
}

Test(prefix, junk_is_refused)
{
        static const char *const texts[] = {
                "",
                "/",
                "/8",
                "192.0.2.0/",
                "192.0.2.0/ 8",
                "192.0.2.0/8 ",
                "192.0.2.0/+8",
                "192.0.2.0/-1",
                "192.0.2.0/0x8",
                "192.0.2.0/8/8",
                "192.0.2.0//8",
                "192.0.2/24",
                "192.0.2.0/255.255.255.0",
                "::/1.0",
                "*",
                "localhost",
                "fe80::%lo/64",
                "fe80::/64%lo",
                " ::/0",
                "192.0.2.0/a",
                "unix",
        };
        struct prefix prefix;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                cr_assert_eq(prefix_parse(&prefix, texts[i]), -EINVAL, "\"%s\"", texts[i]);
}

Test(prefix, families_do_not_mix)
{
        struct prefix all_ipv4, all_ipv6;
        const struct address v4 = {.family = AF_INET}, v6 = {.family = AF_INET6},
                             local = {.family = AF_UNIX};

        cr_assert_eq(prefix_parse(&all_ipv4, "0.0.0.0/0"), 0);
        cr_assert_eq(prefix_parse(&all_ipv6, "::/0"), 0);
        cr_assert(prefix_contains(&all_ipv4, &v4));
        cr_assert(prefix_contains(&all_ipv6, &v6));
        cr_assert_not(prefix_contains(&all_ipv4, &v6));
        cr_assert_not(prefix_contains(&all_ipv6, &v4));
        cr_assert_not(prefix_contains(&all_ipv4, &local));
        cr_assert_not(prefix_contains(&all_ipv6, &local));
}
