#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic int format_in_force = RECORD_LOGFMT;
static enum { FORM_PLAIN, FORM_TIME_STAMPS, FORM_JOURNAL } form;

static const struct {
        const char *name;
        int priority; /* of syslog(3) */
} LEVELS[N_LOG_LEVELS] = {
        [LOG_LEVEL_ERROR] = {"error", 3},   [LOG_LEVEL_WARNING] = {"warning", 4},
        [LOG_LEVEL_NOTICE] = {"notice", 5}, [LOG_LEVEL_INFO] = {"info", 6},
        [LOG_LEVEL_DEBUG] = {"debug", 7},
};

void log_setup(void)
{
        form = getenv("JOURNAL_STREAM") ? FORM_JOURNAL : FORM_PLAIN;
}

void log_use_time_stamps(void)
{
        if (form == FORM_PLAIN)
                form = FORM_TIME_STAMPS;
}

void log_set_level(enum log_level level)
{
        atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool log_is_enabled(enum log_level level)
{
        return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

void log_set_format(enum record_format format)
{
        atomic_store_explicit(&format_in_force, (int)format, memory_order_relaxed);
}

static enum record_format current_format(void)
{
        return (enum record_format)atomic_load_explicit(&format_in_force, memory_order_relaxed);
}

/* The time in RFC 3339, UTC, to the millisecond; returns its length. */
static size_t write_time(char *text, size_t size)
{
        struct timespec now;
        struct tm utc;
        size_t length;

        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &utc);
        return length +
               (size_t)snprintf(text + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
}

/* Writes what stands before the message; returns its length. */
static size_t write_prefix(char *line, size_t size, enum log_level level, enum record_format format)
{
        char now[40];
        size_t length = 0;

        if (form == FORM_JOURNAL)
                length = (size_t)snprintf(line, size, "<%d>", LEVELS[level].priority);
        if (form != FORM_TIME_STAMPS && format == RECORD_LOGFMT)
                return length;
        write_time(now, sizeof(now));
        return length + (size_t)snprintf(line + length, size - length,
                                         format == RECORD_JSON
                                                 ? "{\"time\":\"%s\",\"level\":\"%s\","
                                                 : "%s %s: ",
                                         now, LEVELS[level].name);
}

/* Copies the message with control characters escaped, as far as there is room; returns the length.
 */
static size_t escape(char *line, size_t size, const char *message)
{
        size_t length = 0;

        for (; *message != '\0' && length + 5 < size; message++) {
                unsigned char c = (unsigned char)*message;

                if (c >= 0x20 && c != 0x7f)
                        line[length++] = *message;
                else
                        length += (size_t)snprintf(line + length, size - length, "\\x%02x", c);
        }
        return length;
}

static _Atomic unsigned n_lost;

/*
 * While the daemon serves, a reader of the log who has stopped to read must not stop it, too. A
 * pipe that is writable takes a line whole.
 */
static bool has_room(void)
{
        struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};

        return form == FORM_PLAIN || poll(&writable, 1, 0) != 0;
}

static void write_line(enum log_level level, enum record_format format, const char *message)
{
        char line[LINE_MAX_BYTES + 96];
        int saved_errno = errno;
        size_t length, written = 0;

        length = write_prefix(line, sizeof(line), level, format);
        length += escape(line + length, sizeof(line) - length - 2, message);
        if (format == RECORD_JSON)
                line[length++] = '}';
        line[length++] = '\n';
        while (written < length) {
                ssize_t n = write(STDERR_FILENO, line + written, length - written);

                if (n < 0 && errno != EINTR)
                        break; /* there is nowhere left to say so */
                written += n > 0 ? (size_t)n : 0;
        }
        errno = saved_errno;
}

/* Writes words in the format that is in force. */
static void write_words(enum log_level level, const char *words)
{
        struct record record;

        if (current_format() == RECORD_LOGFMT) {
                write_line(level, RECORD_LOGFMT, words);
                return;
        }
        record_begin(&record, RECORD_JSON, NULL);
        record_string(&record, "message", words);
        write_line(level, RECORD_JSON, record.text);
}

/* False: the line is lost. The next one that can be written says how many were. */
static bool find_room(void)
{
        char notice[64];
        unsigned n;

        if (!has_room()) {
                atomic_fetch_add(&n_lost, 1);
                return false;
        }
        n = atomic_exchange(&n_lost, 0);
        if (n > 0) {
                snprintf(notice, sizeof(notice), "%u lines of the log were lost", n);
                write_words(LOG_LEVEL_WARNING, notice);
        }
        return true;
}

void log_write(enum log_level level, const char *format, ...)
{
        char message[LINE_MAX_BYTES];
        va_list arguments;

        if (!log_is_enabled(level))
                return;
        va_start(arguments, format);
        vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        if (find_room())
                write_words(level, message);
}

void log_problem(void *user, const char *line)
{
        (void)user;
        log_error("%s", line);
}

void log_begin(struct record *record, const char *event)
{
        record_begin(record, current_format(), event);
}

void log_record(enum log_level level, const struct record *record)
{
        if (log_is_enabled(level) && find_room())
                write_line(level, record->format, record->text);
}

/* Begins a new window if the last one is over; returns how many lines that one suppressed. */
static unsigned turn_window(struct log_limit *limit, uint64_t now_ms)
{
        unsigned n_suppressed = limit->n_suppressed;

        if (now_ms - limit->window_start_ms < LOG_LIMIT_WINDOW_MS)
                return 0;
        *limit = (struct log_limit){.window_start_ms = now_ms};
        return n_suppressed;
}

/* Whether this line may be written, and how many were suppressed before it. */
static bool is_within(struct log_limit *limit, uint64_t now_ms, unsigned *ret_suppressed)
{
        *ret_suppressed = turn_window(limit, now_ms);
        if (limit->n_written == LOG_LIMIT_BURST) {
                limit->n_suppressed++;
                return false;
        }
        limit->n_written++;
        return true;
}

void log_write_limited(struct log_limit *limit, uint64_t now_ms, enum log_level level,
                       const char *format, ...)
{
        char message[LINE_MAX_BYTES], suffix[48] = "";
        unsigned n_suppressed;
        va_list arguments;

        if (!is_within(limit, now_ms, &n_suppressed) || !log_is_enabled(level))
                return;
        va_start(arguments, format);
        if (n_suppressed > 0)
                snprintf(suffix, sizeof(suffix), " (%u such lines suppressed before)",
                         n_suppressed);
        vsnprintf(message, sizeof(message) - strlen(suffix), format, arguments);
        va_end(arguments);
        strcat(message, suffix);
        if (find_room())
                write_words(level, message);
}

void log_record_limited(struct log_limit *limit, uint64_t now_ms, enum log_level level,
                        struct record *record)
{
        unsigned n_suppressed;

        if (!is_within(limit, now_ms, &n_suppressed))
                return;
        if (n_suppressed > 0)
                record_number(record, "suppressed", n_suppressed);
        log_record(level, record);
}

void log_limit_flush(struct log_limit *limit, uint64_t now_ms, enum log_level level,
                     const char *subject)
{
        unsigned n_suppressed = turn_window(limit, now_ms);

        if (n_suppressed > 0)
                log_write(level, "%u more lines about %s suppressed", n_suppressed, subject);
}
