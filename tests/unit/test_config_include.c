/* @include: whatever it is given. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_fixture.h"

/* A file is opened or it is not: nothing here may wait. */
TestSuite(config_include, FIXTURE, .timeout = 60);

static void make_directory(const char *name)
{
        cr_assert_eq(mkdir(fixture_path(name), 0755), 0);
}

Test(config_include, puts_a_file_in_its_place)
{
        write_text("g", "workers = 3;\n");
        expect_good("@include \"g\"\nmax_connections = 5;");
        cr_assert_eq(loading.config.workers, 3);
        cr_assert_eq(loading.config.max_connections, 5);
}

Test(config_include, is_relative_to_the_including_file_at_every_depth)
{
        make_directory("a");
        make_directory("a/b");
        write_text("a/one", "@include \"b/two\"\n");
        write_text("a/b/two", "@include \"../three\"\n");
        write_text("a/three", "workers = 3;");
        expect_good("@include \"a/one\"\n");
        cr_assert_eq(loading.config.workers, 3);
}

Test(config_include, takes_an_absolute_path)
{
        char text[4200];

        make_directory("a");
        write_text("g", "workers = 3;");
        snprintf(text, sizeof(text), "@include \"%s\"\n", fixture_path("g"));
        write_text("a/one", text);
        expect_good("@include \"a/one\"\n");
        cr_assert_eq(loading.config.workers, 3);
}

Test(config_include, on_the_command_line_is_relative_to_the_working_directory)
{
        write_text("elsewhere/g", "workers = 3;");
        write_text("g", "workers = 4;");
        cr_assert_eq(LOAD("", "@include \"g\""), 0, "%s", problems_text());
        cr_assert_eq(loading.config.workers, 3);
}

Test(config_include, may_stand_inside_a_group_or_list)
{
        write_text("group", "port = 9;\nmode = \"0600\";");
        write_text("elements", "\"::1\",\n\"::2\"");
        expect_good("listeners = (\n  {\n    backlog = 3;\n\t@include \"group\"\n  }\n);\n"
                    "deny = [\n  @include \"elements\"\n];\n");
        cr_assert_eq(loading.config.listeners[0].port, 9);
        cr_assert_eq(loading.config.listeners[0].backlog, 3);
        cr_assert_eq(loading.config.deny.n_prefixes, 2);
}

Test(config_include, problems_name_the_file_and_line_they_are_in)
{
        write_text("g", "\nworkers = -1;\n\ndeny = [ \"x\",\n  \"10.0.0.1/8\"\n];");
        write_text("h", "tcp_keepalive = {\n count = 0;\n};\n");
        load_text("max_connections = -1;\n@include \"g\"\nbacklog = 1;\n\n@include \"h\"\n"
                  "read_buffer = 1;\n");
        expect_problem("f:1: max_connections: ", "is -1");
        expect_problem("g:2: workers: ", "is -1");
        expect_problem("g:4: deny: \"x\"", "");
        expect_problem("f:3: backlog: ", "inside listeners");
        expect_problem("h:2: tcp_keepalive.count: ", "is 0");
        expect_problem("f:6: read_buffer: ", "is 1");
}

Test(config_include, elements_that_were_included_are_named_where_they_stand)
{
        write_text("elements", "\"::1\",\n\"10.0.0.1/8\"\n\n");
        expect_only_problem("deny = [\n  @include \"elements\"\n\n];\n",
                            "elements:2: deny: \"10.0.0.1/8\"", "");
}

Test(config_include, a_syntax_error_names_the_included_file)
{
        write_text("g", "workers = 1;\n\nread_buffer 2;\n");
        expect_only_problem("\n@include \"g\"\n", "g:3: ", "syntax error");
}

Test(config_include, a_repetition_across_files_is_named_where_it_stands)
{
        write_text("g", "\nworkers = 1;\n");
        expect_only_problem("workers = 2;\n@include \"g\"\n", "g:2: workers: ", "second time");
        expect_only_problem("@include \"g\"\nworkers = 2;\n", "f:2: workers: ", "second time");
}

Test(config_include, what_stands_behind_it_on_its_line_counts)
{
        write_text("g", "workers = 3;");
        expect_good("@include \"g\" max_connections = 5; # comment\n");
        cr_assert_eq(loading.config.workers, 3);
        cr_assert_eq(loading.config.max_connections, 5);
        expect_only_problem("\n@include \"g\" max_connections = -5;\n",
                            "f:2: max_connections: ", "is -5");
}

Test(config_include, a_second_one_on_its_line_is_never_left_to_libconfig)
{
        write_text("g", "workers = 3;");
        write_text("h", "max_connections = 5;");
        make_directory("elsewhere/h"); /* libconfig would exit on it */
        load_text("@include \"g\" @include \"h\"\n");
        if (loading.result == 0)
                cr_assert_eq(loading.config.max_connections, 5);
        else
                expect_problem("f:1: ", "");
}

Test(config_include, means_nothing_in_a_comment_or_string)
{
        expect_good("# @include \"g\"\n// @include \"g\"\n/*\n@include \"g\"\n*/\n");
        load_text("log_level = \"\n@include \\\"g\\\"\n\";\n");
        expect_problem("f:1: log_level: ", "is \"");
}

Test(config_include, a_comment_around_it_ends_behind_it)
{
        write_text("g", "workers = 3;");
        expect_good("/* */\n@include \"g\" /*\n@include \"absent\"\n*/\n");
        cr_assert_eq(loading.config.workers, 3);
}

Test(config_include, a_missing_file_is_named_where_it_is_included)
{
        expect_only_problem("\n\n@include \"g\"\n", "f:3: @include: ", "No such file");
}

Test(config_include, every_missing_file_is_named_and_so_is_what_else_is_wrong)
{
        load_text("@include \"g\"\nworkers = -1;\n@include \"h\"\n");
        expect_problem("f:1: @include: ", "g\"");
        expect_problem("f:2: workers: ", "is -1");
        expect_problem("f:3: @include: ", "h\"");
        expect_problems(3);
}

Test(config_include, a_directory_is_named_and_does_not_end_the_process)
{
        make_directory("g");
        expect_only_problem("@include \"g\"\n", "f:1: @include: ", "is a directory");
        expect_only_problem("@include \"\"\n", "f:1: @include: ", "is a directory");
}

Test(config_include, a_pipe_that_nobody_writes_is_not_waited_for)
{
        cr_assert_eq(mkfifo(fixture_path("g"), 0600), 0);
        expect_only_problem("@include \"g\"\n", "f:1: @include: ", "neither a file nor a device");
}

Test(config_include, a_cycle_of_any_length_is_found)
{
        expect_only_problem("\n@include \"f\"\n", "f:2: @include: ", "include itself");
        write_text("g", "@include \"h\"\n");
        write_text("h", "@include \"g\"\n@include \"f\"\n");
        load_text("@include \"g\"\n");
        expect_problems(1);
        expect_problem("", "include itself");
}

Test(config_include, ten_deep_is_allowed_and_eleven_is_not)
{
        char name[16], text[32];

        for (int i = 1; i < 11; i++) {
                snprintf(name, sizeof(name), "g%d", i);
                snprintf(text, sizeof(text), "@include \"g%d\"\n", i + 1);
                write_text(name, text);
        }
        write_text("g10", "workers = 3;");
        expect_good("@include \"g1\"\n");
        cr_assert_eq(loading.config.workers, 3);
        write_text("g10", "@include \"g11\"\n");
        write_text("g11", "workers = 3;");
        expect_only_problem("@include \"g1\"\n", "g10:1: @include: ", "10 deep");
}

Test(config_include, a_path_without_an_end_is_named)
{
        expect_only_problem("workers = 1;\n@include \"g\nworkers = 2;\n",
                            "f:2: @include: ", "does not end");
        expect_only_problem("@include \"g\\\"\n", "f:1: @include: ", "does not end");
        expect_only_problem("@include \"", "f:1: @include: ", "does not end");
}

Test(config_include, a_path_with_quotes_and_backslashes_is_taken_as_it_is)
{
        write_text("a\"b\\c", "workers = 3;");
        expect_good("@include \"a\\\"b\\\\c\"\n");
        cr_assert_eq(loading.config.workers, 3);
}

Test(config_include, other_forms_are_syntax_errors)
{
        write_text("g", "workers = 3;");
        expect_only_problem("@include\"g\"\n", "f:1: ", "syntax error");
        expect_only_problem("@include g\n", "f:1: ", "syntax error");
        expect_only_problem("workers = 1; @include \"g\"\n", "f:1: ", "syntax error");
        expect_only_problem("@included \"g\"\n", "f:1: ", "syntax error");
}

Test(config_include, an_included_file_must_end_its_own_strings_and_comments)
{
        write_text("g", "workers = 1;\n/* never\n");
        expect_only_problem("@include \"g\"\n*/\n", "g:2: ", "comment begins");
        write_text("g", "log_level = \"in");
        expect_only_problem("@include \"g\"\nfo\";\n", "g:1: ", "string begins");
}

Test(config_include, a_hexadecimal_number_is_named_in_its_own_file)
{
        write_text("g", "\n\nmax_connections = 0x1234567890;\n");
        expect_only_problem("@include \"g\"\n", "g:3: max_connections: ", "too large");
}

Test(config_include, a_value_that_was_included_belongs_to_its_option)
{
        write_text("g", "0x1234567890\n");
        expect_only_problem("max_connections =\n@include \"g\"\n;\n",
                            "g:1: max_connections: ", "too large");
}
