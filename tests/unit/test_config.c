#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_fixture.h"
#include "log.h"

TestSuite(config, FIXTURE);

Test(config, an_empty_file_gives_the_defaults_of_the_contract)
{
        const struct config *c = &loading.config;

        expect_good("");
        cr_assert_eq(c->n_listeners, 1);
        cr_assert_str_eq(c->listeners[0].address, "*");
        cr_assert_eq(c->listeners[0].port, 7);
        cr_assert_eq(c->listeners[0].protocol, PROTOCOL_TCP);
        cr_assert_eq(c->listeners[0].backlog, 1024);
        cr_assert_eq(c->listeners[0].mode, 0660);
        cr_assert_not(c->listeners[0].proxy_protocol);
        cr_assert_eq(c->workers, 0);
        cr_assert_eq(c->max_connections, 0);
        cr_assert_eq(c->max_connections_per_source, 0);
        cr_assert(c->connection_rate_per_source >= 0 && c->connection_rate_per_source <= 0);
        cr_assert_eq(c->when_full, WHEN_FULL_WAIT);
        cr_assert_eq(c->allow.n_prefixes + c->deny.n_prefixes + c->proxy_sources.n_prefixes, 0);
        cr_assert_eq(c->idle_timeout_ms, 0);
        cr_assert_eq(c->write_timeout_ms, 30000);
        cr_assert_eq(c->max_lifetime_ms, 0);
        cr_assert_eq(c->drain_timeout_ms, 30000);
        cr_assert_eq(c->read_buffer, 131072);
        cr_assert_eq(c->busy_poll_us, 50);
        cr_assert(c->tcp_nodelay);
        cr_assert_eq(c->tcp_keepalive.idle_s, 0);
        cr_assert_eq(c->tcp_keepalive.interval_s, 75);
        cr_assert_eq(c->tcp_keepalive.count, 9);
        cr_assert_eq(c->log_level, LOG_LEVEL_INFO);
        cr_assert_not(c->log_connections);
}

Test(config, every_option_reaches_its_field)
{
        const struct config *c = &loading.config;

        expect_good("listeners = ( { address = \"::1\"; port = 1; protocol = \"tcp\"; backlog = 2;"
                    " mode = \"0600\"; proxy_protocol = false; }, { address = \"/run/x\"; } );\n"
                    "workers = 3; max_connections = 4; when_full = \"reject\";\n"
                    "allow = [ \"10.0.0.0/8\", \"::/0\" ]; deny = ( \"10.1.0.0/16\" );\n"
                    "idle_timeout = 5; write_timeout = 6.5; max_lifetime = 7; drain_timeout = 8;\n"
                    "read_buffer = 9000; busy_poll = 0.00001; tcp_nodelay = false;\n"
                    "tcp_keepalive = { idle = 10; interval = 11; count = 12; };\n"
                    "log_level = \"debug\"; log_connections = true;\n");
        cr_assert_eq(c->n_listeners, 2);
        cr_assert_str_eq(c->listeners[0].address, "::1");
        cr_assert(c->listeners[0].port == 1 && c->listeners[0].backlog == 2);
        cr_assert_eq(c->listeners[0].mode, 0600);
        cr_assert_str_eq(c->listeners[1].address, "/run/x");
        cr_assert_eq(c->listeners[1].backlog, 1024, "the default within a group");
        cr_assert(c->workers == 3 && c->max_connections == 4 && c->when_full == WHEN_FULL_REJECT);
        cr_assert(c->allow.n_prefixes == 2 && c->deny.n_prefixes == 1);
        cr_assert(c->allow.prefixes[0].family == AF_INET && c->allow.prefixes[0].length == 8);
        cr_assert(c->allow.prefixes[1].family == AF_INET6 && c->deny.prefixes[0].length == 16);
        cr_assert(c->idle_timeout_ms == 5000 && c->write_timeout_ms == 6500);
        cr_assert(c->max_lifetime_ms == 7000 && c->drain_timeout_ms == 8000);
        cr_assert(c->read_buffer == 9000 && c->busy_poll_us == 10 && !c->tcp_nodelay);
        cr_assert(c->tcp_keepalive.idle_s == 10 && c->tcp_keepalive.interval_s == 11);
        cr_assert(c->tcp_keepalive.count == 12 && c->log_connections);
        cr_assert_eq(c->log_level, LOG_LEVEL_DEBUG);
}

Test(config, log_levels_have_the_numbers_of_the_log)
{
        static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
        char text[64];

        for (int level = 0; level < N_LOG_LEVELS; level++) {
                snprintf(text, sizeof(text), "log_level = \"%s\";", names[level]);
                expect_good(text);
                cr_assert_eq(loading.config.log_level, level);
        }
}

Test(config, seconds_are_rounded_to_the_nearest_millisecond)
{
        expect_good("idle_timeout = 0.001; write_timeout = 1.0004; max_lifetime = 0.3;");
        cr_assert_eq(loading.config.idle_timeout_ms, 1);
        cr_assert_eq(loading.config.write_timeout_ms, 1000);
        cr_assert_eq(loading.config.max_lifetime_ms, 300);
}

Test(config, an_override_wins_over_the_file_and_a_later_one_over_it)
{
        cr_assert_eq(LOAD("workers = 1; max_connections = 5;", "workers = 2;", "workers = 3"), 0);
        cr_assert_eq(loading.config.workers, 3);
        cr_assert_eq(loading.config.max_connections, 5);
}

Test(config, an_override_replaces_lists_whole_and_keepalive_option_by_option)
{
        cr_assert_eq(LOAD("listeners = ( { port = 1; }, { port = 2; } );"
                          "deny = [ \"10.0.0.0/8\", \"::1\" ];"
                          "tcp_keepalive = { idle = 60; count = 3; };",
                          "listeners = ( { address = \"/x\"; } ); deny = [ \"::2\" ];",
                          "tcp_keepalive = { count = 4; };"),
                     0);
        cr_assert_eq(loading.config.n_listeners, 1);
        cr_assert_eq(loading.config.listeners[0].port, 7);
        cr_assert_eq(loading.config.deny.n_prefixes, 1);
        cr_assert_eq(loading.config.tcp_keepalive.idle_s, 60);
        cr_assert_eq(loading.config.tcp_keepalive.count, 4);
}

Test(config, an_empty_list_of_overrides_or_an_empty_override_changes_nothing)
{
        cr_assert_eq(LOAD("workers = 1;", "", " \n "), CONFIG_LOADED);
        cr_assert_eq(loading.config.workers, 1);
}

static void ignore(void *user, const char *line)
{
        (void)user;
        (void)line;
}

Test(config, an_optional_file_may_be_absent_and_overrides_still_count)
{
        const char *override = "workers = 2;";
        struct config_problems problems = {.report = ignore};
        const struct config_origin origin = {.path = fixture_path("absent"),
                                             .is_optional = true,
                                             .overrides = &override,
                                             .n_overrides = 1};

        cr_assert_eq(config_load(&loading.config, &origin, &problems), CONFIG_FILE_ABSENT);
        cr_assert_eq(problems.n_problems, 0);
        cr_assert_eq(loading.config.workers, 2);
}

Test(config, an_optional_file_that_is_absent_excuses_no_bad_override)
{
        const char *override = "workers = -2;";
        struct config_problems problems = {.report = ignore};
        const struct config_origin origin = {.path = fixture_path("absent"),
                                             .is_optional = true,
                                             .overrides = &override,
                                             .n_overrides = 1};

        cr_assert_eq(config_load(&loading.config, &origin, &problems), -EINVAL);
        cr_assert_eq(problems.n_problems, 1);
}

Test(config, freeing_nothing_or_twice_does_no_harm)
{
        struct config config = CONFIG_NULL;

        config_free(&config);
        expect_good("deny = [ \"::1\" ];");
        config_free(&loading.config);
        config_free(&loading.config);
}

static char names[256];

static void collect(void *user, const char *option)
{
        cr_assert_eq(user, names);
        strcat(strcat(names, option), " ");
}

Test(config, what_needs_a_restart_is_kept_and_named)
{
        struct config current;

        expect_good("workers = 1; read_buffer = 8192; max_connections = 1;");
        current = loading.config;
        loading.config = CONFIG_NULL;
        expect_good("workers = 2; read_buffer = 9000; max_connections = 2;");
        config_keep_restart_only(&loading.config, &current, collect, names);
        cr_assert_str_eq(names, "workers read_buffer ");
        cr_assert_eq(loading.config.workers, 1);
        cr_assert_eq(loading.config.read_buffer, 8192);
        cr_assert_eq(loading.config.max_connections, 2, "this one does not");
        config_free(&current);
}

Test(config, nothing_is_named_when_nothing_needs_a_restart)
{
        struct config current;

        expect_good("workers = 1;");
        current = loading.config;
        loading.config = CONFIG_NULL;
        expect_good("workers = 1; deny = [ \"::/0\" ]; log_level = \"error\"; idle_timeout = 5;");
        config_keep_restart_only(&loading.config, &current, collect, names);
        cr_assert_str_eq(names, "");
        config_free(&current);
}

#ifdef HAVE_MICROHTTPD
/* Loads one and then the other; what of the metrics' group is named, and in force. */
static void expect_metrics_kept(const char *before, const char *after, const char *named)
{
        struct config current;

        names[0] = '\0';
        expect_good(before);
        current = loading.config;
        loading.config = CONFIG_NULL;
        expect_good(after);
        config_keep_restart_only(&loading.config, &current, collect, names);
        cr_assert_str_eq(names, named, "%s, then %s", before, after);
        cr_assert(config_equals(&loading.config, &current));
        config_free(&current);
}

Test(config, metrics_need_a_restart_as_a_whole)
{
        expect_metrics_kept("", "metrics = {};", "metrics ");
        expect_metrics_kept("metrics = {};", "", "metrics ");
        expect_metrics_kept("metrics = {};", "metrics = { port = 1; };", "metrics ");
        expect_metrics_kept("metrics = {};", "metrics = { address = \"*\"; };", "metrics ");
        expect_metrics_kept("metrics = {};", "metrics = { port = 9007; };", "");
        expect_metrics_kept("metrics = { address = \"*\"; };", "metrics = { address = \"*\"; };",
                            "");
}
#endif
