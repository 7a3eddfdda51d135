/* What is said about wrong configurations: all of it, in one run, at the right place. */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config_fixture.h"

TestSuite(config_errors, FIXTURE);

Test(config_errors, every_problem_is_reported_in_one_run)
{
        LOAD("workers = -1;\n"
             "listeners = (\n"
             "  { port = 70000; mode = 660; },\n"
             "  { adress = \"::1\";\n"
             "    backlog = 0; }\n"
             ");\n"
             "deny = [ \"10.0.0.1/8\" ];\n"
             "tcp_keepalive = {\n"
             "  count = 0;\n"
             "};\n"
             "metrics = { port = 65536; };\n"
             "idle_timeuot = 3;\n"
             "max_connections = 0x123456789;\n",
             "log_level = \"loud\";", "nonsense = 1;\nwhen_full = 3;");
        expect_problem("f:1: workers: ", "is -1; must be an integer from 0 to 1024");
        expect_problem("f:3: listeners[0].port: ", "is 70000");
        expect_problem("f:3: listeners[0].mode: ", "is 660; must be an octal string");
        expect_problem("f:4: listeners[1].adress: ", "unknown option; the nearest is address");
        expect_problem("f:5: listeners[1].backlog: ", "is 0");
        expect_problem("f:7: deny: ", "\"10.0.0.0/8\"");
        expect_problem("f:9: tcp_keepalive.count: ", "is 0");
        expect_problem("f:11: metrics", "");
        expect_problem("f:12: idle_timeuot: ", "the nearest is idle_timeout");
        expect_problem("f:13: max_connections: ", "too large");
        expect_problem("command line:1: log_level: ", "is \"loud\"");
        expect_problem("command line:2: nonsense: ", "unknown option");
        expect_problem("command line:3: when_full: ", "is 3");
        expect_problems(13);
}

Test(config_errors, a_syntax_error_in_the_file_does_not_hide_those_of_the_command_line)
{
        LOAD("workers = ;\n", "workers = -1;", "workers = = 2;", "worker = 2;");
        expect_problem("f:1: workers: ", "syntax error");
        expect_problem("command line:1: workers: ", "is -1");
        expect_problem("command line:2: workers: ", "syntax error");
        expect_problem("command line:3: worker: ", "the nearest is workers");
        expect_problems(4);
}

Test(config_errors, a_file_that_does_not_exist_does_not_hide_those_of_the_command_line)
{
        const char *override = "workers = -1;";

        load_file("absent", &override, 1);
        expect_problem("absent: ", "does not exist");
        expect_problem("command line:1: workers: ", "is -1");
        expect_problems(2);
}

Test(config_errors, unknown_options_name_their_nearest_neighbour)
{
        expect_only_problem("worker = 1;", "f:1: worker: ", "nearest is workers");
        expect_only_problem("Workers = 1;", "f:1: Workers: ", "nearest is workers");
        expect_only_problem("drain_timout = 1;", "f:1: drain_timout: ", "nearest is drain_timeout");
        expect_only_problem("log_leve = 1;", "f:1: log_leve: ", "nearest is log_level");
        expect_only_problem("write-timeout = 1;", "f:1: write-timeout: ", "is write_timeout");
        expect_only_problem("listeners = ( { prot = 1; } );",
                            "f:1: listeners[0].prot: ", "nearest is port");
        expect_only_problem("tcp_keepalive = { cout = 1; };",
                            "f:1: tcp_keepalive.cout: ", "nearest is count");
}

Test(config_errors, unknown_groups_name_their_nearest_neighbour_too)
{
        expect_only_problem("listener = ( { port = 7; } );",
                            "f:1: listener: ", "nearest is listeners");
        expect_only_problem("keepalive = { idle = 7; };",
                            "f:1: keepalive: ", "nearest is tcp_keepalive");
        expect_only_problem("metric = { };", "f:1: metric: ", "nearest is metrics");
}

Test(config_errors, an_option_in_the_wrong_place_is_told_where_it_belongs)
{
        expect_only_problem("port = 7;", "f:1: port: ", "inside listeners");
        expect_only_problem("interval = 7;", "f:1: interval: ", "inside tcp_keepalive");
        expect_only_problem("listeners = ( { workers = 7; } );",
                            "f:1: listeners[0].workers: ", "outside of any group");
}

Test(config_errors, an_unknown_name_of_any_length_is_survived)
{
        static char text[5000];

        memset(text, 'x', 4000);
        strcpy(text + 4000, " = 1;");
        load_text(text);
        expect_problem("f:1: xxxxxxxx", "");
        expect_problems(1);
}

Test(config_errors, a_second_setting_of_an_option_is_named_where_it_stands)
{
        expect_only_problem("workers = 1;\nlog_level = \"info\";\nworkers = 2;\n",
                            "f:3: workers: ", "second time");
        expect_only_problem("tcp_keepalive = {\n  idle = 1;\n  idle = 2;\n};\n",
                            "f:3: idle: ", "second time");
        expect_only_problem("listeners = (\n {},\n { port = 1;\n port = 2; }\n);",
                            "f:4: port: ", "second time");
}

Test(config_errors, a_second_setting_on_a_line_of_others_is_the_one_that_is_named)
{
        expect_only_problem("workers = 1; log_level = \"info\"; log_level = \"debug\";",
                            "f:1: log_level: ", "second time");
        expect_only_problem("listeners = ( { port = 1; port = 2; } );",
                            "f:1: port: ", "second time");
}

Test(config_errors, the_same_option_in_two_groups_is_no_repetition)
{
        expect_good("listeners = ( { port = 1; }, { port = 2; } );");
}

Test(config_errors, elements_of_a_list_are_named_by_their_own_line)
{
        static const char first[] = "deny = [\n  \"10.0.0.1/8\",\n  \"::1\",\n  \"::2\"\n];\n";
        static const char middle[] = "deny = [\n  \"::1\",\n  \"10.0.0.1/8\",\n  \"::2\"\n];\n";
        static const char last[] = "deny = [\n  \"::1\",\n  \"::2\",\n  \"10.0.0.1/8\"\n\n\n];\n";

        expect_only_problem(first, "f:2: deny: \"10.0.0.1/8\"", "");
        expect_only_problem(middle, "f:3: deny: \"10.0.0.1/8\"", "");
        expect_only_problem(last, "f:4: deny: \"10.0.0.1/8\"", "");
}

Test(config_errors, an_element_is_not_taken_for_another_that_contains_it)
{
        expect_only_problem("deny = [ \"1.0.0.1/3\"\n, \"1.0.0.1/32\" ];\n",
                            "f:1: deny: \"1.0.0.1/3\"", "");
}

Test(config_errors, an_element_is_not_taken_for_a_comment_that_quotes_it)
{
        expect_only_problem("deny = [\n  \"10.0.0.1/8\"\n  # once \"10.0.0.1/8\"\n];\n",
                            "f:2: deny: \"10.0.0.1/8\"", "");
}

Test(config_errors, an_element_that_is_no_string_is_named_by_its_own_line)
{
        expect_only_problem("deny = (\n  1,\n  \"::1\"\n);\n", "f:2: deny: element 1", "");
        expect_only_problem("deny = (\n  \"::1\",\n  1\n\n);\n", "f:3: deny: element 2", "");
        expect_only_problem("deny = (\n  \"::1\",\n  { }\n\n);\n", "f:3: deny: element 2", "");
}

Test(config_errors, every_bad_network_of_a_list_is_reported)
{
        load_text("deny = [\n  \"x\",\n  \"::1\",\n  \"10.0.0.1/8\"\n];\n");
        expect_problem("f:2: deny: \"x\"", "not a network");
        expect_problem("f:4: deny: \"10.0.0.1/8\"", "bits");
        expect_problems(2);
}

Test(config_errors, a_value_on_another_line_is_named_by_its_option)
{
        expect_only_problem("workers\n=\n-1\n;\n", "f:1: workers: ", "is -1");
}

Test(config_errors, listeners_must_be_a_list_of_groups)
{
        expect_only_problem("\nlisteners = ();", "f:2: listeners: ", "at least one group");
        expect_only_problem("listeners = [];", "f:1: listeners: ", "at least one group");
        expect_only_problem("listeners = { port = 7; };", "f:1: listeners: ", "list");
        expect_only_problem("listeners = 7;", "f:1: listeners: ", "list");
        expect_only_problem("listeners = (\n  { },\n  7\n);", "f:3: listeners[1]: ", "group");
        expect_only_problem("listeners = (\n  { },\n  \"x\"\n);", "f:3: listeners[1]: ", "group");
        expect_only_problem("tcp_keepalive = 60;", "f:1: tcp_keepalive: ", "must be a group");
        expect_only_problem("tcp_keepalive = ( { } );", "f:1: tcp_keepalive: ", "must be a group");
}

Test(config_errors, syntax_errors_name_their_line)
{
        expect_only_problem("workers = 1\nlog_connections = true;\nidle_timeout 3;\n",
                            "f:3: ", "syntax error");
        expect_only_problem("workers = 1;\n\nlisteners = ( { }, );\n", "f:3: ", "syntax error");
        expect_only_problem("workers = 1;\n}\n", "f:2: ", "syntax error");
        expect_only_problem("workers = 1;\ntcp_keepalive = {\n", "f:2: ", "syntax error");
        expect_only_problem("log_level = info;", "f:1: log_level: ", "\"quotes\"");
        expect_only_problem("deny = [ \"::1\", 5 ];", "f:1: deny: ", "one type");
}

Test(config_errors, a_number_without_an_option_makes_a_whole_line_too)
{
        load_text("0x123456789012;");
        cr_assert_lt(loading.result, 0);
        cr_assert_gt(loading.n_lines, 0);
}

Test(config_errors, strings_and_comments_without_an_end_are_named_where_they_begin)
{
        expect_only_problem("workers = 1;\nlog_level = \"info;\n\n\n", "f:2: ", "string begins");
        expect_only_problem("workers = 1;\n\n/* log\nlevel\n", "f:3: ", "comment begins");
        expect_only_problem("/*/", "f:1: ", "comment begins");
        expect_only_problem("log_level = \"info\\\";", "f:1: ", "string begins");
        expect_only_problem("\"", "f:1: ", "string begins");
}

Test(config_errors, what_stands_in_comments_and_strings_is_not_looked_at)
{
        expect_good("# workers = -1; \"\n// /*\n/* \" # @include \"x\" 0x123456789012\n */\n"
                    "workers = /* \" */ 1; # it's /* fine\n");
        expect_only_problem("log_level = \"/* 0x123456789012 */ # // \";",
                            "f:1: log_level: ", "is \"/* 0x123456789012");
}
