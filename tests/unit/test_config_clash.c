/* Listeners that would bind the same address. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "config_clash.h"
#include "config_fixture.h"
#include "util.h"

TestSuite(config_clash, FIXTURE);

static bool clash(const char *a, int port_a, const char *b, int port_b)
{
        struct config_listener x = {.port = port_a}, y = {.port = port_b};
        bool is_clash;

        strcpy(x.address, a);
        strcpy(y.address, b);
        is_clash = config_clash(&x, &y);
        cr_assert_eq(config_clash(&y, &x), is_clash, "%s and %s the other way round", a, b);
        return is_clash;
}

static void expect(bool expected, const char *a, const char *b)
{
        cr_assert_eq(clash(a, 7, b, 7), expected, "%s and %s", a, b);
        cr_assert_not(clash(a, 7, b, 8) && a[0] != '/', "%s and %s on different ports", a, b);
        cr_assert_not(clash(a, 0, b, 0) && a[0] != '/', "%s and %s on any port", a, b);
}

Test(config_clash, the_same_address_and_port)
{
        expect(true, "*", "*");
        expect(true, "192.0.2.1", "192.0.2.1");
        expect(true, "::1", "::1");
}

Test(config_clash, different_addresses_do_not)
{
        expect(false, "192.0.2.1", "192.0.2.2");
        expect(false, "::1", "::2");
        expect(false, "127.0.0.1", "::1");
}

Test(config_clash, a_wildcard_takes_every_address_of_its_family)
{
        expect(true, "*", "0.0.0.0");
        expect(true, "*", "::");
        expect(true, "*", "192.0.2.1");
        expect(true, "*", "::1");
        expect(true, "0.0.0.0", "192.0.2.1");
        expect(true, "::", "::1");
        expect(false, "0.0.0.0", "::");
        expect(false, "0.0.0.0", "::1");
        expect(false, "::", "192.0.2.1");
}

Test(config_clash, it_is_the_address_that_counts_and_not_its_spelling)
{
        expect(true, "::1", "0:0:0:0:0:0:0:1");
        expect(true, "2001:DB8::1", "2001:db8::1");
        expect(true, "192.0.2.1", "::ffff:192.0.2.1");
        expect(true, "0.0.0.0", "::ffff:192.0.2.1");
}

Test(config_clash, a_wildcard_may_be_spelt_in_other_ways)
{
        expect(true, "::0", "::1");
        expect(true, "0:0:0:0:0:0:0:0", "::1");
        expect(true, "::ffff:0.0.0.0", "127.0.0.1");
}

Test(config_clash, paths_have_no_port)
{
        cr_assert(clash("/run/x", 7, "/run/x", 7));
        cr_assert(clash("/run/x", 7, "/run/x", 8));
        cr_assert(clash("/run/x", 0, "/run/x", 0));
        cr_assert_not(clash("/run/x", 7, "/run/y", 7));
        cr_assert_not(clash("/run/x", 7, "*", 7));
}

Test(config_clash, a_clash_is_reported_at_the_second_with_the_line_of_the_first)
{
        expect_only_problem("listeners = (\n  { address = \"::1\"; port = 9; },\n"
                            "  { address = \"127.0.0.1\"; port = 9; },\n"
                            "  { address = \"*\"; port = 9; }\n);\n",
                            "f:4: listeners[2].address: ", "listeners[0] in line 2");
}

Test(config_clash, each_listener_that_clashes_is_reported)
{
        load_text("listeners = (\n { },\n { },\n { }\n);\n");
        expect_problem("f:3: listeners[1].address: ", "listeners[0]");
        expect_problem("f:4: listeners[2].address: ", "listeners[0]");
        expect_problems(2);
}

/* What the faulty one was meant to be nobody knows; it is not the default that is in its place. */
Test(config_clash, a_faulty_listener_clashes_with_nothing)
{
        expect_only_problem("listeners = (\n  { port = 70000; },\n  { }\n);\n",
                            "f:2: listeners[0].port: ", "is 70000");
        expect_only_problem("listeners = (\n  { },\n  { port = 70000; }\n);\n",
                            "f:3: listeners[1].port: ", "is 70000");
}
