#pragma once

/*
 * The log: one line an event on standard error, written with one write(2), from any thread. A line
 * is a message in words or a record of fields. Control characters are escaped. While the daemon
 * serves, a line that standard error has no room for is dropped, and the number of those said
 * later. A line begins with
 *  - the <N> of sd-daemon(3), under systemd, where JOURNAL_STREAM is set;
 *  - else, while the daemon serves, a time stamp (RFC 3339, UTC) and the level;
 *  - else nothing: before that, echod is a command like any other.
 * With log_set_format(RECORD_JSON) a line is a JSON object with the time, the level, and the
 * message or the record's fields; only the <N> may stand before it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "record.h"
#include "util.h"

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_NOTICE,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
        N_LOG_LEVELS,
};

/* Looks whether the journal reads along. To be called first. */
void log_setup(void);

/* From now on lines have time stamps, unless the journal gives them its own. */
void log_use_time_stamps(void);

/* Sets the least important level that is still written; starts as info. Any thread. */
void log_set_level(enum log_level level);

bool log_is_enabled(enum log_level level);

/* Sets how lines are written from now on; starts as logfmt. Any thread. */
void log_set_format(enum record_format format);

/* Writes a line. A longer one than 2,000 bytes is cut. */
void log_write(enum log_level level, const char *format, ...) FORMAT_PRINTF(2, 3);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Logs an error that is a line already: a callback of those who find several. */
void log_problem(void *user, const char *line);

/* Starts a record of that event in the log's format; fields are added by record.h. */
void log_begin(struct record *record, const char *event);

void log_record(enum log_level level, const struct record *record);

/* What clients can trigger is limited to so many lines in so many milliseconds. */
#define LOG_LIMIT_BURST     10
#define LOG_LIMIT_WINDOW_MS 5000

/* One for each kind of line; starts zeroed. Owned by one thread. */
struct log_limit {
        uint64_t window_start_ms;
        unsigned n_written;
        unsigned n_suppressed;
};

/*
 * Writes a line unless too many came before it; the first one after some were suppressed says how
 * many. Where no further line may come, log_limit_flush() says it.
 */
void log_write_limited(struct log_limit *limit, uint64_t now_ms, enum log_level level,
                       const char *format, ...) FORMAT_PRINTF(4, 5);

/* The same for a record, which then has a field `suppressed`. */
void log_record_limited(struct log_limit *limit, uint64_t now_ms, enum log_level level,
                        struct record *record);

/* Once the window is over: writes how many lines about `subject` were suppressed, if any. */
void log_limit_flush(struct log_limit *limit, uint64_t now_ms, enum log_level level,
                     const char *subject);
