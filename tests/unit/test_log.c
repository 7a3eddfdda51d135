#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define CAPTURE_MAX 65536

static char captured[CAPTURE_MAX];
static int capture_descriptor, real_stderr;

/* From here on standard error is a file in memory. */
static void capture_begin(void)
{
        unsetenv("JOURNAL_STREAM");
        capture_descriptor = memfd_create("stderr", MFD_CLOEXEC);
        real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        cr_assert(capture_descriptor >= 0 && real_stderr >= 0);
        fcntl(capture_descriptor, F_SETFL, O_APPEND);
        cr_assert_eq(dup2(capture_descriptor, STDERR_FILENO), STDERR_FILENO);
}

static void capture_end(void)
{
        dup2(real_stderr, STDERR_FILENO);
        close(real_stderr);
        close(capture_descriptor);
}

TestSuite(log, .init = capture_begin, .fini = capture_end);

/* All that was logged since the last call. */
static const char *logged(void)
{
        ssize_t n = pread(capture_descriptor, captured, sizeof(captured) - 1, 0);

        cr_assert_geq(n, 0);
        cr_assert_eq(ftruncate(capture_descriptor, 0), 0);
        captured[n] = '\0';
        return captured;
}

static bool matches(const char *text, const char *pattern)
{
        regex_t regex;
        int r;

        cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
        r = regexec(&regex, text, 0, NULL, 0);
        regfree(&regex);
        return r == 0;
}

Test(log, a_command_writes_bare_lines)
{
        log_setup();
        log_error("%s is %d", "port", 70000);
        cr_assert_str_eq(logged(), "port is 70000\n");
}

Test(log, the_journal_gets_priorities)
{
        setenv("JOURNAL_STREAM", "8:1234", 1);
        log_setup();
        log_set_level(LOG_LEVEL_DEBUG);
        log_error("a");
        log_warning("b");
        log_notice("c");
        log_info("d");
        log_debug("e");
        cr_assert_str_eq(logged(), "<3>a\n<4>b\n<5>c\n<6>d\n<7>e\n");
}

Test(log, the_journal_gets_no_time_stamps)
{
        setenv("JOURNAL_STREAM", "8:1234", 1);
        log_setup();
        log_use_time_stamps();
        log_info("ready");
        cr_assert_str_eq(logged(), "<6>ready\n");
}

Test(log, a_daemon_writes_time_stamps_of_rfc_3339_and_levels)
{
        log_setup();
        log_use_time_stamps();
        log_info("ready");
        cr_assert(matches(logged(), "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:"
                                    "[0-6][0-9]\\.[0-9]{3}Z info: ready\n$"),
                  "%s", captured);
        log_error("broken");
        cr_assert(matches(logged(), "Z error: broken\n$"), "%s", captured);
}

/* Not time(2), which may still be in the second before. */
static time_t now_s(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return now.tv_sec;
}

Test(log, time_stamps_are_utc_whatever_the_zone)
{
        time_t before = now_s(), after;
        char first[32], last[32];
        struct tm utc;

        setenv("TZ", "Asia/Kathmandu", 1);
        tzset();
        log_use_time_stamps();
        log_info("x");
        after = now_s();
        strftime(first, sizeof(first), "%Y-%m-%dT%H:%M:%S", gmtime_r(&before, &utc));
        strftime(last, sizeof(last), "%Y-%m-%dT%H:%M:%S", gmtime_r(&after, &utc));
        logged();
        cr_assert(strncmp(captured, first, 19) >= 0 && strncmp(captured, last, 19) <= 0, "%s",
                  captured);
}

Test(log, starts_at_info)
{
        log_notice("notice");
        log_info("info");
        log_debug("debug");
        cr_assert_str_eq(logged(), "notice\ninfo\n");
}

Test(log, each_level_lets_through_itself_and_what_is_more_important)
{
        static const char *const expected[N_LOG_LEVELS] = {"0\n", "0\n1\n", "0\n1\n2\n",
                                                           "0\n1\n2\n3\n", "0\n1\n2\n3\n4\n"};

        for (enum log_level threshold = 0; threshold < N_LOG_LEVELS; threshold++) {
                log_set_level(threshold);
                for (enum log_level level = 0; level < N_LOG_LEVELS; level++) {
                        log_write(level, "%d", (int)level);
                        cr_assert_eq(log_is_enabled(level), level <= threshold);
                }
                cr_assert_str_eq(logged(), expected[threshold]);
        }
}

Test(log, a_message_cannot_begin_a_line_of_its_own)
{
        setenv("JOURNAL_STREAM", "8:1234", 1);
        log_setup();
        log_info("peer said %s", "a\n<0>panic\r\nb");
        cr_assert_str_eq(logged(), "<6>peer said a\\x0a<0>panic\\x0d\\x0ab\n");
}

Test(log, every_control_character_is_escaped_and_nothing_else)
{
        for (unsigned c = 1; c < 256; c++) {
                const char text[] = {'<', (char)c, '>', '\0'};
                char escaped[16];

                snprintf(escaped, sizeof(escaped), "<\\x%02x>\n", c);
                log_info("%s", text);
                if (c < 0x20 || c == 0x7f)
                        cr_assert_str_eq(logged(), escaped);
                else
                        cr_assert(logged()[1] == (char)c && strlen(captured) == 4, "%u", c);
        }
}

Test(log, utf_8_passes_unharmed)
{
        log_info("你好 %s", "世界！");
        cr_assert_str_eq(logged(), "你好 世界！\n");
}

/* Logs a text of `length` bytes `c` and returns the length of the line, without its newline. */
static size_t logged_length(size_t length, char c)
{
        static char text[CAPTURE_MAX];

        memset(text, c, length);
        text[length] = '\0';
        log_info("%s", text);
        logged();
        cr_assert_eq(strchr(captured, '\n') - captured, (ptrdiff_t)strlen(captured) - 1,
                     "one line, with an end");
        return strlen(captured) - 1;
}

Test(log, a_line_of_2000_bytes_is_whole)
{
        for (size_t length = 0; length <= 2000; length += 50)
                cr_assert_eq(logged_length(length, 'x'), length);
}

Test(log, a_longer_line_is_cut_and_ends)
{
        for (size_t length = 2001; length < 2300; length++) {
                size_t cut = logged_length(length, 'x');

                cr_assert(cut >= 2000 && cut <= length && cut <= 2200, "%zu: %zu", length, cut);
        }
        cr_assert_leq(logged_length(60000, 'x'), 2200);
}

Test(log, escapes_are_not_cut_in_their_middle)
{
        for (size_t length = 400; length < 2300; length++) {
                size_t cut = logged_length(length, '\n');

                cr_assert(cut % 4 == 0 && cut >= 1600 && cut <= 2200, "%zu: %zu", length, cut);
        }
}

Test(log, a_long_line_with_a_time_stamp_ends_too)
{
        log_use_time_stamps();
        cr_assert_leq(logged_length(60000, 'x'), 2200);
        cr_assert_leq(logged_length(60000, '\n'), 2200);
}

Test(log, an_empty_message_is_a_line)
{
        log_info("%s", "");
        cr_assert_str_eq(logged(), "\n");
}

Test(log, keeps_errno)
{
        errno = ETIMEDOUT;
        log_info("x");
        cr_assert_eq(errno, ETIMEDOUT);
        close(STDERR_FILENO);
        log_info("nobody hears");
        cr_assert_eq(errno, ETIMEDOUT);
}

/* JSON is for a daemon; both forms have the same braces around. */
static void begin_json(bool is_journal)
{
        if (is_journal)
                setenv("JOURNAL_STREAM", "8:1234", 1);
        log_setup();
        log_use_time_stamps();
        log_set_format(RECORD_JSON);
}

#define JSON_TIME "\"time\":\"20[0-9]{2}-[0-9-]{5}T[0-9:]{8}\\.[0-9]{3}Z\""

Test(log, json_has_time_level_and_message)
{
        begin_json(false);
        log_warning("\"%s\"", "a\nb");
        cr_assert(matches(logged(), "^\\{" JSON_TIME ",\"level\":\"warning\","
                                    "\"message\":\"\\\\\"a\\\\u000ab\\\\\"\"\\}\n$"),
                  "%s", captured);
}

Test(log, under_the_journal_only_the_priority_stands_before_the_json)
{
        begin_json(true);
        log_notice("x");
        cr_assert(matches(logged(), "^<5>\\{" JSON_TIME ",\"level\":\"notice\","
                                    "\"message\":\"x\"\\}\n$"),
                  "%s", captured);
}

Test(log, a_record_is_written_in_the_format_it_was_begun_in)
{
        struct record before, after;

        log_setup();
        log_begin(&before, "closed");
        record_number(&before, "in", 1);
        begin_json(true);
        log_begin(&after, "closed");
        record_number(&after, "in", 2);
        log_record(LOG_LEVEL_INFO, &before);
        log_record(LOG_LEVEL_INFO, &after);
        cr_assert(matches(logged(), "^<6>closed in=1\n<6>\\{.*\"event\":\"closed\",\"in\":2\\}\n$"),
                  "%s", captured);
}

Test(log, a_record_below_the_level_is_not_written)
{
        struct record record;

        log_begin(&record, "closed");
        log_record(LOG_LEVEL_DEBUG, &record);
        cr_assert_str_eq(logged(), "");
}

Test(log, an_overlong_message_is_cut_and_its_json_closed)
{
        static char text[10000];

        begin_json(false);
        for (size_t n = 1900; n < 2300; n++) {
                memset(text, n % 2 ? '"' : 'x', n);
                text[n] = '\0';
                log_info("%s", text);
                cr_assert(matches(logged(), "[x\"]\"\\}\n$"), "%s", captured);
        }
}
