#include "config_syntax.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for an option's name, with ": " behind it. */
#define WORD_MAX 64

/* The first word of a line, which is an option's name if it is anything. */
static void first_word(const struct config_source *source, unsigned line,
                       char word[static WORD_MAX])
{
        size_t length;
        const char *text;

        word[0] = '\0';
        if (line == 0 || line > source->n_lines)
                return;
        text = source->text + source->lines[line - 1].offset;
        text += strspn(text, " \t");
        length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        if (length > 0)
                snprintf(word, WORD_MAX, "%.*s: ", (int)MIN(length, WORD_MAX - 3U), text);
}

/* Whether the text up to and with `end` sets a name twice. */
static bool repeats(char *text, char *end)
{
        char after = end[1];
        config_t parsed;
        bool is_repeated;

        end[1] = '\0';
        config_init(&parsed);
        is_repeated = config_read_string(&parsed, text) == CONFIG_FALSE &&
                      strcmp(config_error_text(&parsed), "duplicate setting name") == 0;
        config_destroy(&parsed);
        end[1] = after;
        return is_repeated;
}

/*
 * The name that is set a second time in this line: the one before the first = or : up to which the
 * text has that problem. libconfig does not tell.
 */
static void repeated_word(const struct config_source *source, unsigned line,
                          char word[static WORD_MAX])
{
        static const char blank[] = " \t\r\n\f";
        CLEANUP_FREE char *text = strdup(source->text);
        char *begin, *end;

        word[0] = '\0';
        if (!text || source->n_lines == 0)
                return;
        end = text + source->lines[MIN(MAX(line, 1U), source->n_lines) - 1].offset;
        while ((end = strpbrk(end, "=:")) && !repeats(text, end))
                end++;
        if (!end)
                return;
        while (end > text && strchr(blank, end[-1]))
                end--;
        begin = end;
        while (begin > text && !strchr(" \t\r\n\f;,{", begin[-1]))
                begin--;
        snprintf(word, WORD_MAX, "%.*s: ", (int)MIN(end - begin, WORD_MAX - 3), begin);
}

void config_syntax_report(struct config_problems *problems, const struct config_source *source,
                          const config_t *parsed)
{
        unsigned line = (unsigned)config_error_line(parsed);
        const struct config_source_line *place = config_source_line(source, line);
        const char *error = config_error_text(parsed);
        char word[WORD_MAX];

        if (strcmp(error, "duplicate setting name") == 0) {
                repeated_word(source, line, word);
                config_problem(problems, place->file, place->number,
                               "%sis set a second time; remove one of the two", word);
                return;
        }
        first_word(source, line, word);
        if (strcmp(error, "syntax error") == 0)
                config_problem(problems, place->file, place->number,
                               "%ssyntax error here or just before; an option is written as "
                               "NAME = VALUE; with strings in \"quotes\"",
                               word);
        else
                config_problem(problems, place->file, place->number,
                               "%s%s; all elements of an array have one type", word, error);
}
