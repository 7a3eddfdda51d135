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

/* Writes what stands before the message; returns its length. */
static size_t write_prefix(char *line, size_t size, enum log_level level)
{
        struct timespec now;
        struct tm utc;
        size_t length;

        if (form == FORM_PLAIN)
                return 0;
        if (form == FORM_JOURNAL)
                return (size_t)snprintf(line, size, "<%d>", LEVELS[level].priority);
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        length = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
        return length + (size_t)snprintf(line + length, size - length,
                                         ".%03ldZ %s: ", now.tv_nsec / 1000000, LEVELS[level].name);
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

static void write_line(enum log_level level, const char *message)
{
        char line[LINE_MAX_BYTES + 64];
        int saved_errno = errno;
        size_t length, written = 0;

        length = write_prefix(line, sizeof(line), level);
        length += escape(line + length, sizeof(line) - length - 1, message);
        line[length++] = '\n';
        while (written < length) {
                ssize_t n = write(STDERR_FILENO, line + written, length - written);

                if (n < 0 && errno != EINTR)
                        break; /* there is nowhere left to say so */
                written += n > 0 ? (size_t)n : 0;
        }
        errno = saved_errno;
}

/* Writes the line, or counts it as lost; the next one that can be written says how many were. */
static void write_if_room(enum log_level level, const char *message)
{
        char notice[64];
        unsigned n;

        if (!has_room()) {
                atomic_fetch_add(&n_lost, 1);
                return;
        }
        n = atomic_exchange(&n_lost, 0);
        if (n > 0) {
                snprintf(notice, sizeof(notice), "%u lines of the log were lost", n);
                write_line(LOG_LEVEL_WARNING, notice);
        }
        write_line(level, message);
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
        write_if_room(level, message);
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

void log_write_limited(struct log_limit *limit, uint64_t now_ms, enum log_level level,
                       const char *format, ...)
{
        char message[LINE_MAX_BYTES], suffix[48] = "";
        unsigned n_suppressed = turn_window(limit, now_ms);
        va_list arguments;

        if (limit->n_written == LOG_LIMIT_BURST) {
                limit->n_suppressed++;
                return;
        }
        limit->n_written++;
        if (!log_is_enabled(level))
                return;
        va_start(arguments, format);
        if (n_suppressed > 0)
                snprintf(suffix, sizeof(suffix), " (%u such lines suppressed before)",
                         n_suppressed);
        vsnprintf(message, sizeof(message) - strlen(suffix), format, arguments);
        va_end(arguments);
        strcat(message, suffix);
        write_if_room(level, message);
}

void log_limit_flush(struct log_limit *limit, uint64_t now_ms, enum log_level level,
                     const char *subject)
{
        unsigned n_suppressed = turn_window(limit, now_ms);

        if (n_suppressed > 0)
                log_write(level, "%u more lines about %s suppressed", n_suppressed, subject);
}
