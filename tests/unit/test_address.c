#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "util.h"

static void expect_round_trip(const char *literal, const char *expected)
{
        struct address address, again;
        struct sockaddr_storage sockaddr;
        char text[ADDRESS_TEXT_MAX];
        socklen_t length;

        cr_assert_eq(address_parse(&address, literal, 7), 0, "%s", literal);
        cr_assert_eq(address_format(&address, text), text);
        cr_assert_str_eq(text, expected);
        length = address_to_sockaddr(&address, &sockaddr);
        cr_assert_eq(length, address.family == AF_INET ? sizeof(struct sockaddr_in)
                                                       : sizeof(struct sockaddr_in6));
        cr_assert_eq(address_from_sockaddr(&again, (struct sockaddr *)&sockaddr), 0);
        cr_assert_eq(memcmp(&again, &address, sizeof(address)), 0, "%s", literal);
}

Test(address, literals_survive_parsing_formatting_and_sockaddrs)
{
        expect_round_trip("192.0.2.1", "192.0.2.1:7");
        expect_round_trip("0.0.0.0", "0.0.0.0:7");
        expect_round_trip("255.255.255.255", "255.255.255.255:7");
        expect_round_trip("::", "[::]:7");
        expect_round_trip("::1", "[::1]:7");
        expect_round_trip("2001:DB8:0:0::1", "[2001:db8::1]:7");
        expect_round_trip("2001:0db8:0000:0000:0001:0000:0000:0001", "[2001:db8::1:0:0:1]:7");
        expect_round_trip("::192.0.2.1", "[::192.0.2.1]:7"); /* compatible, but not mapped */
        expect_round_trip("64:ff9b::192.0.2.1", "[64:ff9b::c000:201]:7");
}

Test(address, an_ipv4_mapped_address_counts_as_ipv4)
{
        expect_round_trip("::ffff:192.0.2.1", "192.0.2.1:7");
        expect_round_trip("::FFFF:c000:201", "192.0.2.1:7");
        expect_round_trip("::ffff:0:0", "0.0.0.0:7");
}

Test(address, a_mapped_and_a_plain_ipv4_address_are_the_same_bytes)
{
        struct address mapped, plain;

        cr_assert_eq(address_parse(&mapped, "::ffff:192.0.2.1", 7), 0);
        cr_assert_eq(address_parse(&plain, "192.0.2.1", 7), 0);
        cr_assert_eq(memcmp(&mapped, &plain, sizeof(plain)), 0);
}

Test(address, a_mapped_peer_from_accept_is_ipv4)
{
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(51000)};
        struct address address;
        char text[ADDRESS_TEXT_MAX];

        v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
        v6.sin6_addr.s6_addr[12] = 127;
        v6.sin6_addr.s6_addr[15] = 1;
        cr_assert_eq(address_from_sockaddr(&address, (struct sockaddr *)&v6), 0);
        cr_assert_str_eq(address_format(&address, text), "127.0.0.1:51000");
}

Test(address, every_port_is_formatted)
{
        static const uint16_t ports[] = {0, 1, 7, 9999, 65535};
        struct address address;
        char text[ADDRESS_TEXT_MAX], expected[32];

        for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
                cr_assert_eq(address_parse(&address, "::1", ports[i]), 0);
                snprintf(expected, sizeof(expected), "[::1]:%u", ports[i]);
                cr_assert_str_eq(address_format(&address, text), expected);
        }
}

Test(address, a_zone_names_an_interface)
{
        struct address address;

        if (if_nametoindex("lo") == 0)
                cr_skip("there is no interface lo");
        expect_round_trip("fe80::1%lo", "[fe80::1%lo]:7");
        cr_assert_eq(address_parse(&address, "fe80::1%lo", 7), 0);
        cr_assert_eq(address.scope_id, if_nametoindex("lo"));
}

Test(address, a_zone_of_an_interface_that_has_gone_is_left_out)
{
        const struct address address = {
                .family = AF_INET6, .port = 7, .scope_id = 0x7ffffff0, .ip = {0xfe, 0x80}};
        char text[ADDRESS_TEXT_MAX];

        cr_assert_str_eq(address_format(&address, text), "[fe80::]:7");
}

Test(address, a_mapped_address_has_no_zone)
{
        struct address address = {0};

        if (if_nametoindex("lo") == 0)
                cr_skip("there is no interface lo");
        /* Refused or ignored, but two addresses that print alike must not differ. */
        if (address_parse(&address, "::ffff:192.0.2.1%lo", 7) == 0)
                cr_assert_eq(address.scope_id, 0);
}

Test(address, junk_is_refused_and_leaves_the_address_alone)
{
        static const char *const junk[] = {
                "",
                " ",
                "*",
                "localhost",
                "1.2.3",
                "1.2.3.4.5",
                "1.2.3.256",
                "1.2.3.-1",
                "1.2.3.4 ",
                " 1.2.3.4",
                "01.2.3.4",
                "0x1.2.3.4",
                "1.2.3.4:7",
                "1.2.3.4%lo",
                ":",
                ":::",
                "1::2::3",
                "12345::",
                "[::1]",
                "::1 ",
                "::g",
                "::1%",
                "::1%nosuch",
                "fe80::1%%lo",
                "::1/128",
                "1.2.3.4/32",
                "/run/x",
                "1:2:3:4:5:6:7",
                "%lo",
                "::1.2.3.256",
                "::ffff:1.2.3",
                "1:2:3:4:5:6:7:8:9",
        };
        const struct address before = {.family = 12345, .port = 54321};

        for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
                struct address address = before;

                cr_assert_eq(address_parse(&address, junk[i], 7), -EINVAL, "\"%s\"", junk[i]);
                cr_assert_eq(memcmp(&address, &before, sizeof(before)), 0, "\"%s\"", junk[i]);
        }
}

Test(address, an_endless_literal_is_refused)
{
        char text[4096];
        struct address address;
        struct prefix prefix;

        memset(text, ':', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        cr_assert_eq(address_parse(&address, text, 7), -EINVAL);
        cr_assert_eq(prefix_parse(&prefix, text), -EINVAL);
        memset(text, '1', sizeof(text) - 1);
        cr_assert_eq(prefix_parse(&prefix, text), -EINVAL);
        memcpy(text, "::1%", 4);
        cr_assert_eq(address_parse(&address, text, 7), -EINVAL);
}

Test(address, unix_peers_have_no_more_than_a_name)
{
        const struct sockaddr sockaddr = {.sa_family = AF_UNIX};
        struct address address;
        char text[ADDRESS_TEXT_MAX];

        cr_assert_eq(address_from_sockaddr(&address, &sockaddr), 0);
        cr_assert_eq(address.family, AF_UNIX);
        cr_assert_str_eq(address_format(&address, text), "unix");
}

Test(address, other_families_are_refused)
{
        const struct sockaddr sockaddr = {.sa_family = AF_NETLINK};
        struct address address;

        cr_assert_eq(address_from_sockaddr(&address, &sockaddr), -EAFNOSUPPORT);
}

Test(address, is_24_bytes)
{
        cr_assert_eq(sizeof(struct address), 24);
}
