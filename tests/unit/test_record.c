#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "record.h"

static struct record record;

/* The record that has one text in it. */
static const char *with_text(enum record_format format, const char *text)
{
        record_begin(&record, format, NULL);
        record_string(&record, "key", text);
        return record.text;
}

Test(record, logfmt_is_the_event_and_its_fields_in_order)
{
        record_begin(&record, RECORD_LOGFMT, "closed");
        record_string(&record, "peer", "[2001:db8::1]:51000");
        record_number(&record, "in", 18446744073709551615U);
        record_decimal(&record, "duration", 12345, 3);
        cr_assert_str_eq(record.text,
                         "closed peer=[2001:db8::1]:51000 in=18446744073709551615 duration=12.345");
        cr_assert_eq(record.length, strlen(record.text));
}

Test(record, json_is_the_members_of_an_object)
{
        record_begin(&record, RECORD_JSON, "closed");
        record_string(&record, "peer", "[2001:db8::1]:51000");
        record_number(&record, "in", 0);
        record_decimal(&record, "rtt_ms", 21, 2);
        cr_assert_str_eq(record.text, "\"event\":\"closed\",\"peer\":\"[2001:db8::1]:51000\","
                                      "\"in\":0,\"rtt_ms\":0.21");
        cr_assert_eq(record.length, strlen(record.text));
}

Test(record, decimals_are_padded)
{
        record_begin(&record, RECORD_LOGFMT, "e");
        record_decimal(&record, "a", 7, 3);
        record_decimal(&record, "b", 1000, 3);
        record_decimal(&record, "c", 1000000001, 9);
        cr_assert_str_eq(record.text, "e a=0.007 b=1.000 c=1.000000001");
}

Test(record, logfmt_quotes_what_would_not_come_apart_again)
{
        cr_assert_str_eq(with_text(RECORD_LOGFMT, "plain/text:7"), "key=plain/text:7");
        cr_assert_str_eq(with_text(RECORD_LOGFMT, "你好"), "key=你好");
        cr_assert_str_eq(with_text(RECORD_LOGFMT, ""), "key=\"\"");
        cr_assert_str_eq(with_text(RECORD_LOGFMT, "a b"), "key=\"a b\"");
        cr_assert_str_eq(with_text(RECORD_LOGFMT, "a=b"), "key=\"a=b\"");
        cr_assert_str_eq(with_text(RECORD_LOGFMT, "a\"b"), "key=\"a\\\"b\"");
        cr_assert_str_eq(with_text(RECORD_LOGFMT, "a\\b"), "key=\"a\\\\b\"");
        cr_assert_str_eq(with_text(RECORD_LOGFMT, "a\nin=7"), "key=\"a\\u000ain=7\"");
        cr_assert_str_eq(with_text(RECORD_LOGFMT, "a\x7f"), "key=\"a\\u007f\"");
}

Test(record, json_escapes_quotes_backslashes_and_control_characters)
{
        cr_assert_str_eq(with_text(RECORD_JSON, "\",\"admin\":\""),
                         "\"key\":\"\\\",\\\"admin\\\":\\\"\"");
        cr_assert_str_eq(with_text(RECORD_JSON, "a\\"), "\"key\":\"a\\\\\"");
        for (char c = 1; c < 0x20; c++) {
                char expected[32];

                snprintf(expected, sizeof(expected), "\"key\":\"\\u%04x\"", (unsigned)c);
                cr_assert_str_eq(with_text(RECORD_JSON, (const char[]){c, '\0'}), expected);
        }
}

Test(record, utf_8_of_every_length_passes)
{
        cr_assert_str_eq(with_text(RECORD_JSON, "é你\U0001f600\U0010ffff\ud7ff\ue000"),
                         "\"key\":\"é你\U0001f600\U0010ffff\ud7ff\ue000\"");
}

/* Bytes that no UTF-8 has: stray, cut off, overlong, a surrogate, beyond U+10FFFF. */
Test(record, what_is_not_utf_8_is_replaced_byte_by_byte)
{
        static const struct {
                const char *text;
                unsigned n_replaced;
        } bad[] = {
                {"\x80", 1},
                {"\xff", 1},
                {"\xc3", 1},
                {"\xe4\xbd", 2},
                {"\xf0\x9f\x98", 3},
                {"\xc0\xaf", 2},
                {"\xe0\x80\xaf", 3},
                {"\xed\xa0\x80", 3},
                {"\xf4\x90\x80\x80", 4},
                {"\xf5\x80", 2},
                {"\xf0\x80\x80\x80", 4},
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                char expected[64] = "\"key\":\"";

                for (unsigned n = 0; n < bad[i].n_replaced; n++)
                        strcat(expected, "\ufffd");
                strcat(expected, "\"");
                cr_assert_str_eq(with_text(RECORD_JSON, bad[i].text), expected, "%zu", i);
                snprintf(expected, sizeof(expected), "key=\"");
                for (unsigned n = 0; n < bad[i].n_replaced; n++)
                        strcat(expected, "\ufffd");
                strcat(expected, "\"");
                cr_assert_str_eq(with_text(RECORD_LOGFMT, bad[i].text), expected, "%zu", i);
        }
}

/* At every length of a text that is too long, the closing quote is there and nothing is torn. */
Test(record, a_text_is_cut_between_characters_and_the_quote_closes)
{
        static char text[3 * RECORD_MAX];

        for (size_t n = 0; n + 4 < sizeof(text); n += 3) {
                memcpy(text + n, "你", 4);
                with_text(RECORD_JSON, text);
                cr_assert_eq(record.text[record.length - 1], '"');
                cr_assert_eq((record.length - strlen("\"key\":\"\"")) % 3, 0);
                cr_assert_eq(record.length, strlen(record.text));
        }
        cr_assert_geq(record.length, RECORD_MAX - 4);
}

Test(record, an_escape_is_not_torn)
{
        static char text[RECORD_MAX];

        for (size_t n = RECORD_MAX / 6 - 5; n < RECORD_MAX / 6 + 5; n++) {
                memset(text, '\x01', n);
                with_text(RECORD_JSON, text);
                cr_assert_str_eq(record.text + record.length - 7, "\\u0001\"", "%zu", n);
        }
}

/* Whatever is in the record already, a field is whole or absent. */
Test(record, a_field_without_room_is_left_out)
{
        static char text[RECORD_MAX];

        for (size_t n = RECORD_MAX - 60; n < RECORD_MAX; n++) {
                size_t length;

                memset(text, 'x', n);
                with_text(RECORD_LOGFMT, text);
                length = record.length;
                record_number(&record, "number", 123456);
                cr_assert(record.length == length || record.length == length + 14);
                length = record.length;
                record_string(&record, "quoted", "a b");
                cr_assert(record.length == length || record.text[record.length - 1] == '"');
                cr_assert_lt(record.length, (size_t)RECORD_MAX);
                cr_assert_eq(record.length, strlen(record.text));
        }
}
