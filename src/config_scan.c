#include "config_scan.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reports a number that libconfig would take for another one. */
static void report_number(const struct config_scanner *scanner, const char *problem)
{
        config_problem(scanner->problems, scanner->file, scanner->line, "%s: %s",
                       scanner->option[0] != '\0' ? scanner->option : "no option", problem);
}

/* libconfig reads hexadecimal digits into 32 bits, or with an L into 64, and drops the rest. */
static void check_hexadecimal(const struct config_scanner *scanner, const char *digits,
                              size_t n_digits, bool is_long)
{
        while (n_digits > 0 && *digits == '0') {
                digits++;
                n_digits--;
        }
        if (n_digits <= (is_long ? 15U : 8U))
                return;
        report_number(scanner, "the hexadecimal number is too large; write it in decimal");
}

/* libconfig reads decimal digits into 32 bits, unless an L follows them. */
static void check_decimal(const struct config_scanner *scanner, const char *digits)
{
        char *end;
        unsigned long long value = strtoull(digits, &end, 10);

        if (*end != 'L' && *end != 'e' && *end != 'E' && value > INT32_MAX)
                report_number(scanner, "the number is too large; beyond 2147483647 it needs an L");
}

/* The byte before this one on its line. */
static char byte_before(const struct config_scanner *scanner, const char *p)
{
        return p > scanner->begin ? p[-1] : '\n';
}

/* Takes a word or number; returns where it ends. */
static char *scan_word(struct config_scanner *scanner, char *word, const char *end)
{
        char *p = word;

        while (p < end && (isalnum((unsigned char)*p) || strchr("_-*", *p)))
                p++;
        if (p - word > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'X')) {
                size_t n = strspn(word + 2, "0123456789abcdefABCDEF");

                check_hexadecimal(scanner, word + 2, n, word[2 + n] == 'L');
        } else if (isdigit((unsigned char)*word) && byte_before(scanner, word) != '.' &&
                   *p != '.') {
                check_decimal(scanner, word);
        }
        snprintf(scanner->name, sizeof(scanner->name), "%.*s", (int)(p - word), word);
        return p;
}

/* One step in SCAN_TEXT; returns where to go on. */
static char *scan_text(struct config_scanner *scanner, char *p, char *end)
{
        if (*p == '#' || (*p == '/' && p[1] == '/')) {
                memset(p, ' ', (size_t)(end - p));
                return end;
        }
        if (*p == '"' || (*p == '/' && p[1] == '*')) {
                scanner->state = *p == '"' ? SCAN_STRING : SCAN_COMMENT;
                scanner->opened_line = scanner->line;
                if (scanner->state == SCAN_STRING)
                        return p + 1;
                memset(p, ' ', 2);
                return p + 2;
        }
        if (*p == '.' && !isdigit((unsigned char)p[1]) &&
            !isdigit((unsigned char)byte_before(scanner, p)))
                report_number(scanner, "a point without digits is no number; write 0.0");
        if (isalnum((unsigned char)*p))
                return scan_word(scanner, p, end);
        if (*p == '=' || *p == ':')
                memcpy(scanner->option, scanner->name, sizeof(scanner->option));
        return p + 1;
}

void config_scan_line(struct config_scanner *scanner, char *p, char *end)
{
        scanner->begin = p;
        while (p < end) {
                switch (scanner->state) {
                case SCAN_TEXT:
                        p = scan_text(scanner, p, end);
                        break;
                case SCAN_STRING:
                        if (*p == '"')
                                scanner->state = SCAN_TEXT;
                        p += *p == '\\' && p + 1 < end ? 2 : 1;
                        break;
                case SCAN_COMMENT:
                        if (*p == '*' && p[1] == '/') {
                                scanner->state = SCAN_TEXT;
                                *p++ = ' ';
                        }
                        *p++ = ' ';
                        break;
                }
        }
}
