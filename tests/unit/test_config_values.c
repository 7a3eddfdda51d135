/* What each option takes and refuses: the contract's ranges, and every row of the table. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "config_fixture.h"
#include "config_table.h"
#include "util.h"

TestSuite(config_values, FIXTURE);

/* A text that sets the option, in its section; valid until the next call. */
static const char *set(enum option_section section, const char *name, const char *value)
{
        static char text[1024];

        switch (section) {
        case SECTION_LISTENERS:
                snprintf(text, sizeof(text), "listeners = ( { %s = %s; } );", name, value);
                break;
        case SECTION_KEEPALIVE:
                snprintf(text, sizeof(text), "tcp_keepalive = { %s = %s; };", name, value);
                break;
        case SECTION_METRICS:
                snprintf(text, sizeof(text), "metrics = { %s = %s; };", name, value);
                break;
        default:
                snprintf(text, sizeof(text), "%s = %s;", name, value);
                break;
        }
        return text;
}

static const char *label(enum option_section section)
{
        return section == SECTION_LISTENERS   ? "listeners[0]."
               : section == SECTION_KEEPALIVE ? "tcp_keepalive."
               : section == SECTION_METRICS   ? "metrics."
                                              : "";
}

static void expect_refused(enum option_section section, const char *name, const char *value)
{
        char start[128];

        snprintf(start, sizeof(start), "f:1: %s%s: ", label(section), name);
        expect_only_problem(set(section, name, value), start, "; ");
}

static void expect_refused_all(enum option_section section, const char *name,
                               const char *const values[])
{
        for (; *values; values++)
                expect_refused(section, name, *values);
}

static void expect_taken_all(enum option_section section, const char *name,
                             const char *const values[])
{
        for (; *values; values++)
                expect_good(set(section, name, *values));
}

#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The ranges of the contract, written out here so that the table cannot drift. */
static const struct {
        enum option_section section;
        const char *name;
        const char *const *taken, *const *refused;
} CONTRACT[] = {
        {SECTION_LISTENERS, "port", VALUES("0", "1", "65535", "0xFFFF", "7L"),
         VALUES("-1", "65536", "70000", "65543", "4294967303L", "7.0", "\"7\"")},
        {SECTION_LISTENERS, "backlog", VALUES("1", "65535"), VALUES("0", "-1", "65536")},
        {SECTION_LISTENERS, "protocol", VALUES("\"tcp\""),
         VALUES("\"TCP\"", "\"sctp\"", "\"\"", "0", "\"tcp \"")},
        {SECTION_LISTENERS, "mode", VALUES("\"0000\"", "\"0777\"", "\"660\"", "\"0\""),
         VALUES("\"1000\"", "\"0778\"", "\"00660\"", "\"\"", "\"-1\"", "\"rw\"", "660", "0660")},
        {SECTION_TOP, "workers", VALUES("0", "1024"), VALUES("-1", "1025")},
        {SECTION_TOP, "max_connections", VALUES("0", "2147483647"),
         VALUES("-1", "2147483648L", "9223372036854775807L", "-9223372036854775808L")},
        {SECTION_TOP, "when_full", VALUES("\"wait\"", "\"reject\""), VALUES("\"Wait\"", "\"\"")},
        {SECTION_TOP, "idle_timeout", VALUES("0", "0.0", "0.001", "1", "31536000", "31536000.0"),
         VALUES("-1", "-0.001", "0.0009", "0.0000001", "31536000.001", "31536001", "\"5\"")},
        {SECTION_TOP, "write_timeout", VALUES("0", "31536000"), VALUES("-1", "31536001")},
        {SECTION_TOP, "max_lifetime", VALUES("0", "31536000"), VALUES("-1", "31536001")},
        {SECTION_TOP, "drain_timeout", VALUES("0", "31536000"), VALUES("-1", "31536001")},
        {SECTION_TOP, "read_buffer", VALUES("4096", "16777216"), VALUES("0", "4095", "16777217")},
        {SECTION_TOP, "busy_poll", VALUES("0", "0.000001", "0.001"),
         VALUES("-0.000001", "0.0011", "0.0000001", "1")},
        {SECTION_KEEPALIVE, "idle", VALUES("0", "32767"), VALUES("-1", "32768", "1.5")},
        {SECTION_KEEPALIVE, "interval", VALUES("1", "32767"), VALUES("0", "32768")},
        {SECTION_KEEPALIVE, "count", VALUES("1", "127"), VALUES("0", "128")},
        {SECTION_TOP, "log_level", VALUES("\"error\"", "\"debug\""),
         VALUES("\"trace\"", "\"Info\"", "3")},
};

Test(config_values, the_ranges_of_the_contract_hold)
{
        for (size_t i = 0; i < ARRAY_SIZE(CONTRACT); i++) {
                expect_taken_all(CONTRACT[i].section, CONTRACT[i].name, CONTRACT[i].taken);
                expect_refused_all(CONTRACT[i].section, CONTRACT[i].name, CONTRACT[i].refused);
        }
}

/* Which of the kinds of value below may be right for a type. */
static bool may_take(enum option_type type, char kind)
{
        static const char *const kinds[] = {
                [OPTION_BOOL] = "b",     [OPTION_INTEGER] = "i",   [OPTION_NUMBER] = "if",
                [OPTION_SECONDS] = "if", [OPTION_CHOICE] = "s",    [OPTION_ADDRESS] = "s",
                [OPTION_MODE] = "s",     [OPTION_NETWORKS] = "al", [OPTION_HOST] = "s",
        };

        return strchr(kinds[type], kind);
}

Test(config_values, every_option_refuses_values_of_every_other_type)
{
        static const struct {
                char kind;
                const char *value;
        } values[] = {{'b', "true"}, {'i', "1"},  {'f', "1.5"}, {'s', "\"tcp\""},
                      {'a', "[]"},   {'l', "()"}, {'g', "{}"},  {'g', "{ port = 7; }"}};

        for (const struct option *option = OPTIONS; option->name; option++) {
                if (!is_supported(option))
                        continue;
                for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                        if (!may_take(option->type, values[i].kind))
                                expect_refused(option->section, option->name, values[i].value);
        }
}

Test(config_values, every_row_of_the_table_takes_its_limits_and_nothing_beyond)
{
        char value[64];

        for (const struct option *option = OPTIONS; option->name; option++) {
                if (option->type != OPTION_INTEGER || !is_supported(option))
                        continue;
                snprintf(value, sizeof(value), "%.0f", option->min);
                expect_good(set(option->section, option->name, value));
                snprintf(value, sizeof(value), "%.0f", option->max);
                expect_good(set(option->section, option->name, value));
                snprintf(value, sizeof(value), "%.0fL", option->min - 1);
                expect_refused(option->section, option->name, value);
                snprintf(value, sizeof(value), "%.0fL", option->max + 1);
                expect_refused(option->section, option->name, value);
        }
}

Test(config_values, a_refusal_says_what_was_found_and_what_would_be_right)
{
        expect_only_problem("listeners = ( { port = 70000; } );", "f:1: listeners[0].port: ",
                            "is 70000; must be an integer from 0 to 65535");
        expect_only_problem("when_full = \"drop\";",
                            "f:1: when_full: ", "is \"drop\"; must be \"wait\" or \"reject\"");
        expect_only_problem("tcp_nodelay = 1;",
                            "f:1: tcp_nodelay: ", "is 1; must be true or false");
        expect_only_problem("deny = \"::1\";", "f:1: deny: ", "is \"::1\"; must be networks");
        expect_only_problem("idle_timeout = -1.5;", "f:1: idle_timeout: ", "is -1.5");
        expect_only_problem("idle_timeout = -1.5;", "f:1: idle_timeout: ", "; must be seconds");
}

Test(config_values, an_address_is_a_star_a_literal_or_a_path)
{
        expect_taken_all(SECTION_LISTENERS, "address",
                         VALUES("\"*\"", "\"0.0.0.0\"", "\"::\"", "\"::ffff:192.0.2.1\"",
                                "\"/run/echod/echo.sock\"", "\"/\""));
        expect_refused_all(SECTION_LISTENERS, "address",
                           VALUES("\"\"", "\"localhost\"", "\"run/x\"", "\"192.0.2.1:7\"",
                                  "\"[::1]\"", "\"192.0.2.0/24\"", "\"/a b\"", "\"/a\\nb\"",
                                  "\"/a\\\"b\"", "\"/a\\\\b\"", "\"**\"", "\"/a\\x7fb\"", "7"));
}

Test(config_values, a_path_has_at_most_107_bytes)
{
        char value[256];

        snprintf(value, sizeof(value), "\"/%0106d\"", 0);
        expect_good(set(SECTION_LISTENERS, "address", value));
        cr_assert_eq(strlen(loading.config.listeners[0].address), 107);
        snprintf(value, sizeof(value), "\"/%0107d\"", 0);
        expect_refused(SECTION_LISTENERS, "address", value);
}

Test(config_values, networks_may_be_an_array_or_a_list)
{
        expect_taken_all(SECTION_TOP, "deny",
                         VALUES("[]", "()", "[ \"::1\" ]", "( \"::1\", \"10.0.0.0/8\" )"));
        expect_refused_all(SECTION_TOP, "deny",
                           VALUES("[ \"x\" ]", "[ 1 ]", "( \"::1\", 5 )", "( [] )", "( {} )",
                                  "[ \"10.0.0.0/33\" ]", "[ \"10.0.0.1/8\" ]", "[ \"\" ]"));
}

Test(config_values, host_bits_are_answered_with_the_network_that_would_be_right)
{
        expect_only_problem("deny = [ \"192.0.2.77/24\" ];", "f:1: deny: \"192.0.2.77/24\"",
                            "write \"192.0.2.0/24\"");
}

Test(config_values, a_mapped_network_that_is_too_wide_is_not_called_too_long)
{
        load_text("deny = [ \"::ffff:0:0/64\" ];");
        expect_problems(1);
        cr_assert_null(strstr(loading.lines[0], "too long"), "%s", loading.lines[0]);
}

Test(config_values, a_rate_is_a_fraction_or_an_integer_and_not_negative)
{
        expect_good("connection_rate_per_source = 0.5;");
        cr_assert_float_eq(loading.config.connection_rate_per_source, 0.5, 0);
        expect_good("connection_rate_per_source = 1000000000;");
        cr_assert_float_eq(loading.config.connection_rate_per_source, 1e9, 0);
        expect_refused(SECTION_TOP, "connection_rate_per_source", "-0.5");
        expect_refused(SECTION_TOP, "connection_rate_per_source", "1000000001");
        expect_refused(SECTION_TOP, "connection_rate_per_source", "\"1\"");
}

#ifdef HAVE_MICROHTTPD
Test(config_values, metrics_are_served_if_there_is_such_a_group_be_it_empty)
{
        expect_good("");
        cr_assert_not(loading.config.metrics.is_enabled);
        expect_good("metrics = {};");
        cr_assert(loading.config.metrics.is_enabled);
        cr_assert_str_eq(loading.config.metrics.address, "127.0.0.1");
        cr_assert_eq(loading.config.metrics.port, 9007);
        LOAD("metrics = { address = \"::1\"; };", "metrics = { port = 0; };");
        cr_assert_eq(loading.result, 0);
        cr_assert_str_eq(loading.config.metrics.address, "::1");
        cr_assert_eq(loading.config.metrics.port, 0);
}

Test(config_values, metrics_have_an_ip_address_and_no_path)
{
        expect_taken_all(SECTION_METRICS, "address",
                         VALUES("\"*\"", "\"::\"", "\"192.0.2.1\"", "\"::ffff:192.0.2.1\""));
        expect_refused_all(SECTION_METRICS, "address",
                           VALUES("\"/run/metrics\"", "\"\"", "\"localhost\"", "9007"));
        expect_only_problem("metrics = ();", "f:1: metrics: ", "must be a group");
}
#else
Test(config_values, a_build_without_metrics_says_so)
{
        expect_only_problem("metrics = { port = 9007; };", "f:1: metrics: ", "not supported");
}
#endif

/* What libconfig made of it may be wrong in a way of its own, so there may be two problems. */
static void expect_caught(const char *value, const char *fragment)
{
        load_text(set(SECTION_TOP, "max_connections", value));
        cr_assert_lt(loading.result, 0, "%s loads", value);
        expect_problem("f:1: max_connections: ", fragment);
}

/* libconfig reads a decimal number into 32 bits and drops the rest. */
Test(config_values, decimal_numbers_beyond_32_bits_are_caught_and_not_believed)
{
        static const char *const values[] = {"2147483648",
                                             "4294967296",
                                             "4294967297",
                                             "-4294967296",
                                             "-4294967295",
                                             "8589934593",
                                             "99999999999999999999999",
                                             "-99999999999999999999999"};

        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                expect_caught(values[i], "");
        expect_only_problem("idle_timeout = 4294967297;", "f:1: idle_timeout: ", "");
}

Test(config_values, long_digits_behind_a_point_are_no_large_number)
{
        expect_taken_all(SECTION_TOP, "idle_timeout",
                         VALUES("1.00000000000001", "1.5000000000000000", "00000000000.5",
                                "4.5e00000000000"));
}

/* The same with 64 bits. */
Test(config_values, long_numbers_beyond_64_bits_are_caught_and_not_believed)
{
        expect_refused_all(SECTION_TOP, "max_connections",
                           VALUES("99999999999999999999999L", "18446744073709551617L",
                                  "-18446744073709551615L", "4294967297L"));
}

Test(config_values, hexadecimal_numbers_beyond_32_or_64_bits_are_caught_and_not_believed)
{
        expect_caught("0x100000001", "too large");
        expect_caught("0x100000000", "too large");
        expect_caught("0X100000001", "too large");
        expect_caught("0x10000000000000001L", "too large");
        expect_caught("0xFFFFFFFFFFFFFFFFL", "too large");
        expect_caught("0x80000000", "");
        expect_caught("0xFFFFFFFF", "");
        expect_caught("0x100000001L", "must be");
}

Test(config_values, hexadecimal_numbers_are_caught_in_every_section)
{
        expect_only_problem(set(SECTION_TOP, "idle_timeout", "0x100000001"),
                            "f:1: idle_timeout: ", "too large");
        expect_only_problem(set(SECTION_LISTENERS, "port", "0x100000007"), "f:1: ", "too large");
        expect_only_problem(set(SECTION_KEEPALIVE, "count", "0x100000007"), "f:1: ", "too large");
}

Test(config_values, zeros_in_front_make_no_number_too_large)
{
        expect_taken_all(SECTION_TOP, "workers",
                         VALUES("0x000000000000001", "00000000000000000000001",
                                "0x00000000000000000000000001L", "0x3ffL"));
}

Test(config_values, fractions_beyond_the_range_of_a_double_are_refused)
{
        expect_refused_all(SECTION_TOP, "idle_timeout", VALUES("1.0e400", "-1.0e400", "1.0e15"));
}

Test(config_values, what_is_no_number_is_refused)
{
        static const char *const values[] = {"nan",  "inf", "-inf", "NaN",   "1.0e", "--1",
                                             "1..2", "0x",  "-0x5", "1_000", "30s",  "1 2"};

        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                load_text(set(SECTION_TOP, "idle_timeout", values[i]));
                cr_assert_lt(loading.result, 0, "idle_timeout = %s loads", values[i]);
                cr_assert_gt(loading.n_lines, 0);
        }
}

Test(config_values, a_point_without_digits_is_no_number)
{
        load_text("idle_timeout = .;");
        cr_assert_lt(loading.result, 0);
}
