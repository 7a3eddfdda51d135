/* What is wrong only as a whole: PROXY headers of nobody, metrics at a listener's address. */

#include <criterion/criterion.h>
#include <string.h>

#include "config_fixture.h"
#include "config_table.h"

TestSuite(config_whole, FIXTURE);

#define METRICS_PROBLEM "metrics: take the same address and port as listeners["
#define PROBLEM         "proxy_protocol: needs proxy_sources, which is empty; say whose"

Test(config_whole, with_sources_it_loads_in_either_order)
{
        expect_good("listeners = ( { proxy_protocol = true; } ); proxy_sources = [ \"::1\" ];");
        cr_assert(loading.config.listeners[0].proxy_protocol);
        cr_assert_eq(loading.config.proxy_sources.n_prefixes, 1);
        expect_good("proxy_sources = [ \"::1\" ]; listeners = ( { proxy_protocol = true; } );");
}

Test(config_whole, without_sources_the_first_such_listener_is_named_with_its_line)
{
        expect_only_problem("listeners = ( { port = 7; },\n"
                            "  { port = 8;\n"
                            "    proxy_protocol = true; },\n"
                            "  { port = 9; proxy_protocol = true; } );\n",
                            "f:3: listeners[1].", PROBLEM);
        expect_only_problem("proxy_sources = [];\nlisteners = ( { proxy_protocol = true; } );",
                            "f:2: listeners[0].", PROBLEM);
}

Test(config_whole, a_listener_without_it_needs_none)
{
        expect_good("listeners = ( { proxy_protocol = false; } );");
}

Test(config_whole, over_a_unix_socket_everybody_is_believed)
{
        expect_good("listeners = ( { address = \"/run/x\"; proxy_protocol = true; } );");
}

Test(config_whole, what_the_command_line_overrides_counts)
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

Test(config_whole, sources_that_are_wrong_are_not_called_empty)
{
        expect_only_problem(
                "listeners = ( { proxy_protocol = true; } ); proxy_sources = [ \"x\" ];",
                "f:1: proxy_sources: ", "not a network");
        expect_only_problem("listeners = ( { proxy_protocol = true; } ); proxy_sources = 5;",
                            "f:1: proxy_sources: ", "");
}

Test(config_whole, metrics_and_a_listener_cannot_have_the_same_address)
{
        if (!is_supported(option_find(SECTION_METRICS, "port")))
                cr_skip_test("this build has no metrics");
        expect_only_problem("listeners = ( { port = 7; }, { port = 9007; } );\nmetrics = {};",
                            "f:2: " METRICS_PROBLEM, "1]; change the port of one");
        expect_only_problem("metrics = { port = 7; };", "f:1: " METRICS_PROBLEM, "0];");
        expect_only_problem("metrics = { address = \"*\"; port = 8; };\n"
                            "listeners = ( { address = \"::1\"; port = 8; } );",
                            "f:1: " METRICS_PROBLEM, "0];");
        expect_good("listeners = ( { address = \"::1\"; port = 9007; } ); metrics = {};");
        expect_good("listeners = ( { address = \"/run/x\"; port = 9007; } ); metrics = {};");
        expect_good("listeners = ( { port = 0; } ); metrics = { port = 0; };");
}

Test(config_whole, what_is_wrong_with_metrics_or_a_listener_is_no_clash_as_well)
{
        if (!is_supported(option_find(SECTION_METRICS, "port")))
                cr_skip_test("this build has no metrics");
        expect_only_problem("metrics = { port = 7; address = 5; };", "f:1: metrics.address", "");
        expect_only_problem("metrics = { port = 9; };\nlisteners = ( { port = 9; x = 1; } );",
                            "f:2: listeners[0].x", "");
}

Test(config_whole, metrics_of_the_command_line_are_named_there)
{
        if (!is_supported(option_find(SECTION_METRICS, "port")))
                cr_skip_test("this build has no metrics");
        LOAD("metrics = { port = 8; };", "metrics = { port = 7; };");
        expect_problems(1);
        expect_problem("command line:1: " METRICS_PROBLEM, "0];");
        LOAD("metrics = { port = 7; };", "metrics = { port = 8; };");
        cr_assert_geq(loading.result, 0, "%s", problems_text());
        LOAD("metrics = { port = 8; };", "listeners = ( { port = 8; } );");
        expect_problems(1);
        expect_problem("f:1: " METRICS_PROBLEM, "0];");
}
