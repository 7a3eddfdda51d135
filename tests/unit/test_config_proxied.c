/* Listeners that ask for PROXY headers where nobody's are believed. */

#include <criterion/criterion.h>
#include <string.h>

#include "config_fixture.h"

TestSuite(config_proxied, FIXTURE);

#define PROBLEM "proxy_protocol: needs proxy_sources, which is empty; say whose"

Test(config_proxied, with_sources_it_loads_in_either_order)
{
        expect_good("listeners = ( { proxy_protocol = true; } ); proxy_sources = [ \"::1\" ];");
        cr_assert(loading.config.listeners[0].proxy_protocol);
        cr_assert_eq(loading.config.proxy_sources.n_prefixes, 1);
        expect_good("proxy_sources = [ \"::1\" ]; listeners = ( { proxy_protocol = true; } );");
}

Test(config_proxied, without_sources_the_first_such_listener_is_named_with_its_line)
{
        expect_only_problem("listeners = ( { port = 7; },\n"
                            "  { port = 8;\n"
                            "    proxy_protocol = true; },\n"
                            "  { port = 9; proxy_protocol = true; } );\n",
                            "f:3: listeners[1].", PROBLEM);
        expect_only_problem("proxy_sources = [];\nlisteners = ( { proxy_protocol = true; } );",
                            "f:2: listeners[0].", PROBLEM);
}

Test(config_proxied, a_listener_without_it_needs_none)
{
        expect_good("listeners = ( { proxy_protocol = false; } );");
}

Test(config_proxied, over_a_unix_socket_everybody_is_believed)
{
        expect_good("listeners = ( { address = \"/run/x\"; proxy_protocol = true; } );");
}

Test(config_proxied, what_the_command_line_overrides_counts)
{
        static const char proxied[] = "listeners = ( { proxy_protocol = true; } );";

        LOAD(proxied, "proxy_sources = [ \"::1\" ];");
        cr_assert_geq(loading.result, 0, "%s", problems_text());
        LOAD(proxied, "listeners = ( { port = 7; } );");
        cr_assert_geq(loading.result, 0, "%s", problems_text());
        LOAD("proxy_sources = [ \"::1\" ];", proxied);
        cr_assert_geq(loading.result, 0, "%s", problems_text());
        LOAD("workers = 1;", proxied);
        expect_problems(1);
        expect_problem("command line:1: listeners[0].", PROBLEM);
        LOAD("proxy_sources = [ \"::1\" ];\nlisteners = ( { proxy_protocol = true; } );",
             "proxy_sources = [];");
        expect_problems(1);
        expect_problem("f:2: listeners[0].", PROBLEM);
}

Test(config_proxied, sources_that_are_wrong_are_not_called_empty)
{
        expect_only_problem(
                "listeners = ( { proxy_protocol = true; } ); proxy_sources = [ \"x\" ];",
                "f:1: proxy_sources: ", "not a network");
        expect_only_problem("listeners = ( { proxy_protocol = true; } ); proxy_sources = 5;",
                            "f:1: proxy_sources: ", "");
}
