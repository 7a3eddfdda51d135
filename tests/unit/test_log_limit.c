#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"

#define CAPTURE_MAX 65536
#define START_MS    1000000

static char captured[CAPTURE_MAX];
static int capture_descriptor;
static struct log_limit limit;

static void capture_begin(void)
{
        capture_descriptor = memfd_create("stderr", MFD_CLOEXEC);
        cr_assert_geq(capture_descriptor, 0);
        cr_assert_eq(dup2(capture_descriptor, STDERR_FILENO), STDERR_FILENO);
}

TestSuite(log_limit, .init = capture_begin);

/* What was logged since the last call; standard error shares the offset. */
static const char *logged(void)
{
        ssize_t n = pread(capture_descriptor, captured, sizeof(captured) - 1, 0);

        cr_assert_geq(n, 0);
        cr_assert_eq(ftruncate(capture_descriptor, 0), 0);
        cr_assert_eq(lseek(capture_descriptor, 0, SEEK_SET), 0);
        captured[n] = '\0';
        return captured;
}

static void write_lines(unsigned n, uint64_t now_ms)
{
        for (unsigned i = 0; i < n; i++)
                log_write_limited(&limit, now_ms, LOG_LEVEL_INFO, "refused %u", i);
}

static unsigned count_lines(void)
{
        unsigned n = 0;

        for (const char *p = logged(); (p = strchr(p, '\n')); p++)
                n++;
        return n;
}

Test(log_limit, writes_a_burst_whole)
{
        write_lines(LOG_LIMIT_BURST, START_MS);
        cr_assert_eq(count_lines(), LOG_LIMIT_BURST);
        cr_assert_str_eq(captured, "refused 0\nrefused 1\nrefused 2\nrefused 3\nrefused 4\n"
                                   "refused 5\nrefused 6\nrefused 7\nrefused 8\nrefused 9\n");
}

Test(log_limit, suppresses_what_comes_after_the_burst_up_to_the_last_millisecond)
{
        write_lines(LOG_LIMIT_BURST + 3, START_MS);
        cr_assert_eq(count_lines(), LOG_LIMIT_BURST);
        write_lines(1, START_MS + LOG_LIMIT_WINDOW_MS - 1);
        cr_assert_str_eq(logged(), "");
}

Test(log_limit, the_first_line_of_the_next_window_says_how_many_were_suppressed)
{
        write_lines(LOG_LIMIT_BURST + 3, START_MS);
        write_lines(4, START_MS + LOG_LIMIT_WINDOW_MS - 1);
        logged();
        write_lines(2, START_MS + LOG_LIMIT_WINDOW_MS);
        cr_assert_str_eq(logged(), "refused 0 (7 such lines suppressed before)\nrefused 1\n");
}

Test(log_limit, a_window_begins_with_its_first_line)
{
        write_lines(1, START_MS);
        write_lines(1, START_MS + LOG_LIMIT_WINDOW_MS + 100);
        write_lines(LOG_LIMIT_BURST, START_MS + 2 * LOG_LIMIT_WINDOW_MS + 99);
        cr_assert_eq(count_lines(), 1 + LOG_LIMIT_BURST);
        write_lines(1, START_MS + 2 * LOG_LIMIT_WINDOW_MS + 100);
        cr_assert_str_eq(logged(), "refused 0 (1 such lines suppressed before)\n");
}

Test(log_limit, a_later_window_has_a_whole_burst_again)
{
        write_lines(1000, START_MS);
        logged();
        write_lines(1000, START_MS + LOG_LIMIT_WINDOW_MS);
        cr_assert_eq(count_lines(), LOG_LIMIT_BURST);
}

Test(log_limit, no_line_is_lost_from_the_count_over_many_windows)
{
        unsigned n_seen = 0, n_suppressed;

        for (unsigned window = 0; window < 20; window++) {
                write_lines(window * 7, START_MS + window * (uint64_t)LOG_LIMIT_WINDOW_MS);
                for (const char *p = logged(); *p != '\0'; p = strchr(p, '\n') + 1) {
                        n_seen++;
                        if (sscanf(p, "refused %*u (%u such", &n_suppressed) == 1)
                                n_seen += n_suppressed;
                }
        }
        log_limit_flush(&limit, START_MS + 20 * LOG_LIMIT_WINDOW_MS, LOG_LEVEL_INFO, "refusals");
        cr_assert_eq(sscanf(logged(), "%u more", &n_suppressed), 1, "%s", captured);
        cr_assert_eq(n_seen + n_suppressed, 7 * 190);
}

Test(log_limit, a_clock_that_starts_at_zero_is_no_window_of_its_own)
{
        write_lines(LOG_LIMIT_BURST + 1, 0);
        cr_assert_eq(count_lines(), LOG_LIMIT_BURST);
        write_lines(1, LOG_LIMIT_WINDOW_MS);
        cr_assert_str_eq(logged(), "refused 0 (1 such lines suppressed before)\n");
}

Test(log_limit, kinds_of_lines_do_not_share_a_limit)
{
        struct log_limit other = {0};

        write_lines(1000, START_MS);
        logged();
        log_write_limited(&other, START_MS, LOG_LEVEL_INFO, "another kind");
        cr_assert_str_eq(logged(), "another kind\n");
}

Test(log_limit, a_level_that_is_off_stays_off)
{
        log_write_limited(&limit, START_MS, LOG_LEVEL_DEBUG, "x");
        cr_assert_str_eq(logged(), "");
}

Test(log_limit, an_overlong_line_still_says_how_many_were_suppressed)
{
        static char text[10000];

        memset(text, 'x', sizeof(text) - 1);
        write_lines(LOG_LIMIT_BURST + 5, START_MS);
        logged();
        log_write_limited(&limit, START_MS + LOG_LIMIT_WINDOW_MS, LOG_LEVEL_INFO, "%s", text);
        cr_assert_not_null(strstr(logged(), "(5 such lines suppressed before)"));
}

Test(log_limit, flush_waits_for_the_end_of_the_window)
{
        write_lines(LOG_LIMIT_BURST + 5, START_MS);
        logged();
        log_limit_flush(&limit, START_MS + LOG_LIMIT_WINDOW_MS - 1, LOG_LEVEL_INFO, "refusals");
        cr_assert_str_eq(logged(), "");
        log_limit_flush(&limit, START_MS + LOG_LIMIT_WINDOW_MS, LOG_LEVEL_INFO, "refusals");
        cr_assert_str_eq(logged(), "5 more lines about refusals suppressed\n");
        log_limit_flush(&limit, START_MS + 2 * LOG_LIMIT_WINDOW_MS, LOG_LEVEL_INFO, "refusals");
        cr_assert_str_eq(logged(), "");
}

Test(log_limit, flush_has_nothing_to_say_when_nothing_was_suppressed)
{
        write_lines(LOG_LIMIT_BURST, START_MS);
        logged();
        log_limit_flush(&limit, START_MS + LOG_LIMIT_WINDOW_MS, LOG_LEVEL_INFO, "refusals");
        cr_assert_str_eq(logged(), "");
}

Test(log_limit, what_flush_said_is_not_said_again)
{
        write_lines(LOG_LIMIT_BURST + 5, START_MS);
        log_limit_flush(&limit, START_MS + LOG_LIMIT_WINDOW_MS, LOG_LEVEL_INFO, "refusals");
        logged();
        write_lines(1, START_MS + LOG_LIMIT_WINDOW_MS + 1);
        cr_assert_str_eq(logged(), "refused 0\n");
}

static void write_records(unsigned n, uint64_t now_ms)
{
        for (unsigned i = 0; i < n; i++) {
                struct record record;

                log_begin(&record, "refused");
                record_number(&record, "i", i);
                log_record_limited(&limit, now_ms, LOG_LEVEL_INFO, &record);
        }
}

Test(log_limit, a_record_says_in_a_field_how_many_were_suppressed)
{
        write_records(LOG_LIMIT_BURST + 3, START_MS);
        cr_assert_eq(count_lines(), LOG_LIMIT_BURST);
        write_records(2, START_MS + LOG_LIMIT_WINDOW_MS);
        cr_assert_str_eq(logged(), "refused i=0 suppressed=3\nrefused i=1\n");
}
