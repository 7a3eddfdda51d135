/* A good configuration, cut, torn and stirred: it loads, or says what is wrong, and never more. */

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"

#define PIECES_MAX 512

TestSuite(config_cuts, FIXTURE);

/* Every kind of token and of option. */
static const char GOOD[] =
        "# echod\n"
        "listeners = (\n"
        "  { address = \"*\"; port = 0x7; protocol = \"tcp\"; backlog = 1024L; },\n"
        "  { address : \"/run/\\x65.sock\", mode = \"0660\", proxy_protocol = FALSE; }\n"
        ");\n"
        "workers = 2; // threads\n"
        "@include \"limits\"\n"
        "allow = [ \"10.0.0.0/8\", \"::ffff:192.0.2.0/120\" ];\n"
        "deny = ( \"2001:db8::/32\", \"10.1.0.0\" \"/16\" );\n"
        "proxy_sources = [ ]; connection_rate_per_source = .0;\n"
        "idle_timeout = 1.5; write_timeout = 3.0e1; max_lifetime = 0;\n"
        "/* a comment\n"
        "   of two lines */\n"
        "tcp_keepalive : { idle = 60, interval = 10; count = 3; };\n"
        "tcp_nodelay = true; log_level = \"info\";\n"
        "log_connections = false;\n";
static const char LIMITS[] = "max_connections = 1000;\nwhen_full = \"reject\";\n";

static void begin(void)
{
        write_text("limits", LIMITS);
        write_text("elsewhere/limits", LIMITS);
        expect_good(GOOD);
}

/* That every line of it has its form, config_fixture.c sees to. */
static void expect_answer(int result, const char *text)
{
        if (result != CONFIG_LOADED)
                cr_assert(result == -EINVAL && loading.n_lines > 0, "%d, %zu problems:\n%s", result,
                          loading.n_lines, text);
        else
                cr_assert_eq(loading.n_lines, 0);
}

static void try(const char *text)
{
        expect_answer(load_text(text), text);
}

/* Copies with `length` bytes from `offset` on replaced; the caller frees it. */
static char *replaced(size_t offset, size_t length, const char *with)
{
        char *text = malloc(sizeof(GOOD) + strlen(with));

        cr_assert_not_null(text);
        memcpy(text, GOOD, offset);
        strcpy(text + offset, with);
        strcat(text, GOOD + offset + length);
        return text;
}

static void try_replaced(size_t offset, size_t length, const char *with)
{
        char *text = replaced(offset, length, with);

        try(text);
        free(text);
}

/* The length of the token or the blanks at the beginning. */
static size_t token_length(const char *text)
{
        const char *end;

        if (isspace((unsigned char)*text))
                return strspn(text, " \n");
        if (*text == '"')
                return (size_t)(strchr(text + 1, '"') - text) + 1;
        if (*text == '#' || strncmp(text, "//", 2) == 0)
                return strcspn(text, "\n");
        end = strncmp(text, "/*", 2) == 0 ? strstr(text, "*/") : NULL;
        if (end)
                return (size_t)(end - text) + 2;
        if (isalnum((unsigned char)*text) || strchr("@._", *text))
                return strspn(text, "@._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789");
        return 1;
}

static size_t piece_offsets[PIECES_MAX], piece_lengths[PIECES_MAX], n_pieces;

static void find_pieces(void)
{
        for (size_t offset = 0; offset < sizeof(GOOD) - 1;
             offset += piece_lengths[n_pieces], n_pieces++) {
                cr_assert_lt(n_pieces, PIECES_MAX - 1);
                piece_offsets[n_pieces] = offset;
                piece_lengths[n_pieces] = token_length(GOOD + offset);
                cr_assert_gt(piece_lengths[n_pieces], 0);
        }
        cr_assert_gt(n_pieces, 200);
}

Test(config_cuts, the_front_of_a_file_cut_at_every_byte)
{
        begin();
        for (size_t length = 0; length < sizeof(GOOD); length++)
                try_replaced(length, sizeof(GOOD) - 1 - length, "");
}

Test(config_cuts, the_back_of_a_file_cut_at_every_byte)
{
        begin();
        for (size_t offset = 0; offset < sizeof(GOOD); offset++)
                try(GOOD + offset);
}

Test(config_cuts, an_option_of_the_command_line_cut_at_every_byte)
{
        begin();
        for (size_t length = 0; length < sizeof(GOOD); length++) {
                char *text = replaced(length, sizeof(GOOD) - 1 - length, "");

                expect_answer(LOAD("", text), text);
                free(text);
        }
}

Test(config_cuts, an_included_file_cut_at_every_byte)
{
        char text[sizeof(LIMITS)];

        begin();
        for (size_t length = 0; length < sizeof(LIMITS); length++) {
                memcpy(text, LIMITS, length);
                text[length] = '\0';
                write_text("limits", text);
                try(GOOD);
        }
}

Test(config_cuts, a_file_cut_before_every_token)
{
        begin();
        find_pieces();
        for (size_t i = 0; i < n_pieces; i++)
                try_replaced(piece_offsets[i], sizeof(GOOD) - 1 - piece_offsets[i], "\n");
}

Test(config_cuts, every_token_left_out)
{
        begin();
        find_pieces();
        for (size_t i = 0; i < n_pieces; i++)
                try_replaced(piece_offsets[i], piece_lengths[i], "");
}

Test(config_cuts, every_token_replaced_by_every_kind_of_token)
{
        static const char *const others[] = {";",    "=",
                                             "{",    "}",
                                             "(",    ")",
                                             "[",    "]",
                                             ",",    "\"\"",
                                             "-1",   "1.5",
                                             "true", "x",
                                             "@",    "99999999999999999999999",
                                             "\"",   "/*",
                                             "#",    "\\",
                                             "0x",   "\n@include \"limits\"\n"};

        begin();
        find_pieces();
        for (size_t i = 0; i < n_pieces; i++)
                for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++)
                        try_replaced(piece_offsets[i], piece_lengths[i], others[j]);
}

Test(config_cuts, every_byte_replaced_by_another)
{
        static const char *const others[] = {"\"", "\xff", "\n", "\\"};

        begin();
        for (size_t offset = 0; offset < sizeof(GOOD) - 1; offset++)
                for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++)
                        try_replaced(offset, 1, others[j]);
}
