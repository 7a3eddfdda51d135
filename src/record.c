#include "record.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, for what is no UTF-8 */

void record_begin(struct record *record, enum record_format format, const char *event)
{
        record->format = format;
        record->length = 0;
        record->text[0] = '\0';
        if (!event)
                return;
        if (format == RECORD_JSON)
                record_string(record, "event", event);
        else
                record->length = (size_t)snprintf(record->text, RECORD_MAX, "%s", event);
}

/* Adds the bytes, all or none. */
static bool append(struct record *record, const char *bytes, size_t length)
{
        if (length >= RECORD_MAX - record->length)
                return false;
        memcpy(record->text + record->length, bytes, length);
        record->length += length;
        record->text[record->length] = '\0';
        return true;
}

/* Adds the separator, the key, and a value that needs no quotes; all or nothing. */
static bool append_field(struct record *record, const char *key, const char *value)
{
        char field[128];
        bool is_first = record->length == 0;
        int n;

        if (record->format == RECORD_JSON)
                n = snprintf(field, sizeof(field), "%s\"%s\":%s", is_first ? "" : ",", key, value);
        else
                n = snprintf(field, sizeof(field), "%s%s=%s", is_first ? "" : " ", key, value);
        return (size_t)n < sizeof(field) && append(record, field, (size_t)n);
}

/* The length of the UTF-8 character that begins here (RFC 3629); 0: none does. */
static size_t character_length(const char *text)
{
        const unsigned char *c = (const unsigned char *)text;
        static const struct {
                unsigned char first_min, first_max, second_min, second_max;
                size_t length;
        } forms[] = {
                {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
        };

        if (c[0] < 0x80)
                return 1;
        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                size_t n = 2;

                if (c[0] < forms[i].first_min || c[0] > forms[i].first_max)
                        continue;
                if (c[1] < forms[i].second_min || c[1] > forms[i].second_max)
                        return 0;
                while (n < forms[i].length && (c[n] & 0xc0) == 0x80)
                        n++;
                return n == forms[i].length ? n : 0;
        }
        return 0;
}

/* Writes one character of the text, escaped; returns how many bytes of the text that was. */
static size_t escape(const char *text, char ret_escaped[static 8])
{
        unsigned char c = (unsigned char)*text;
        size_t length = character_length(text);

        if (c == '"' || c == '\\')
                snprintf(ret_escaped, 8, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
                snprintf(ret_escaped, 8, "\\u%04x", c);
        else if (length == 0)
                snprintf(ret_escaped, 8, "%s", REPLACEMENT);
        else
                snprintf(ret_escaped, 8, "%.*s", (int)length, text);
        return MAX(length, (size_t)1);
}

/* Adds the text between quotes, as much of it as there is room for. */
static void append_quoted(struct record *record, const char *text)
{
        char escaped[8];

        append(record, "\"", 1);
        while (*text != '\0') {
                text += escape(text, escaped);
                if (strlen(escaped) + 2 > RECORD_MAX - record->length)
                        break;
                append(record, escaped, strlen(escaped));
        }
        append(record, "\"", 1);
}

static bool needs_quotes(const char *text)
{
        if (*text == '\0')
                return true;
        for (; *text != '\0'; text++)
                if ((unsigned char)*text <= ' ' || strchr("\"=\\\x7f", *text) ||
                    ((unsigned char)*text >= 0x80 && character_length(text) == 0))
                        return true;
                else if ((unsigned char)*text >= 0x80)
                        text += character_length(text) - 1;
        return false;
}

void record_string(struct record *record, const char *key, const char *value)
{
        size_t before = record->length, room;
        bool is_quoted = record->format == RECORD_JSON || needs_quotes(value);

        if (!append_field(record, key, ""))
                return;
        room = RECORD_MAX - 1 - record->length;
        if (!is_quoted && strlen(value) <= room)
                append(record, value, strlen(value));
        else if (room >= strlen("\"\""))
                append_quoted(record, value);
        else
                record->text[record->length = before] = '\0';
}

void record_number(struct record *record, const char *key, uint64_t value)
{
        record_decimal(record, key, value, 0);
}

void record_decimal(struct record *record, const char *key, uint64_t value, unsigned n_decimals)
{
        char text[32];
        uint64_t unit = 1;

        for (unsigned i = 0; i < n_decimals; i++)
                unit *= 10;
        if (n_decimals == 0)
                snprintf(text, sizeof(text), "%" PRIu64, value);
        else
                snprintf(text, sizeof(text), "%" PRIu64 ".%0*" PRIu64, value / unit,
                         (int)n_decimals, value % unit);
        append_field(record, key, text);
}
