#include "arrival_log.h"

#include <string.h>

#include "connection.h"
#include "util.h"

static void on_summary(uv_timer_t *summary);

int arrival_log_init(struct arrival_log *log, uv_loop_t *loop)
{
        *log = (struct arrival_log){0};
        return uv_timer_init(loop, &log->summary);
}

static uint64_t now_ms(const struct arrival_log *log)
{
        return uv_now(log->summary.loop);
}

/* Where the event's line would be suppressed, a summary follows when the window is over. */
static struct log_limit *limit_of(struct arrival_log *log, enum arrival_event event)
{
        if (!uv_is_active((uv_handle_t *)&log->summary))
                uv_timer_start(&log->summary, on_summary, LOG_LIMIT_WINDOW_MS, 0);
        return &log->limits[event];
}

static void begin(struct record *record, const char *event, const struct arrival *arrival)
{
        char text[ADDRESS_TEXT_MAX];

        log_begin(record, event);
        record_string(record, "peer", address_format(&arrival->peer, text));
        record_string(record, "listener", arrival->listener);
}

void arrival_log_refused(struct arrival_log *log, const struct arrival *arrival,
                         enum admission_verdict verdict, const char *problem)
{
        struct record record;

        begin(&record, "refused", arrival);
        record_string(&record, "reason", admission_verdict_name(verdict));
        if (problem)
                record_string(&record, "problem", problem);
        log_record_limited(limit_of(log, ARRIVAL_REFUSED), now_ms(log), LOG_LEVEL_NOTICE, &record);
}

void arrival_log_full(struct arrival_log *log, uint64_t max_connections)
{
        log_write_limited(limit_of(log, ARRIVAL_FULL), now_ms(log), LOG_LEVEL_NOTICE,
                          "max_connections reached: %llu open, further clients wait",
                          (unsigned long long)max_connections);
}

void arrival_log_shortage(struct arrival_log *log, const char *listener, int error,
                          unsigned retry_ms)
{
        log_write_limited(limit_of(log, ARRIVAL_SHORTAGE), now_ms(log), LOG_LEVEL_ERROR,
                          "cannot accept on %s: %s; trying again in %u ms", listener,
                          strerror(-error), retry_ms);
}

void arrival_log_probe(const struct arrival *arrival)
{
        struct record record;

        if (!log_is_enabled(LOG_LEVEL_DEBUG))
                return;
        begin(&record, "probe", arrival);
        log_record(LOG_LEVEL_DEBUG, &record);
}

/* Says what was suppressed in the windows that are over at that time. */
static void summarize(struct arrival_log *log, uint64_t then_ms)
{
        static const char *const subjects[N_ARRIVAL_EVENTS] = {
                [ARRIVAL_REFUSED] = "refused clients",
                [ARRIVAL_FULL] = "max_connections",
                [ARRIVAL_SHORTAGE] = "failed accepts",
        };
        for (unsigned event = 0; event < N_ARRIVAL_EVENTS; event++)
                log_limit_flush(&log->limits[event], then_ms, LOG_LEVEL_NOTICE, subjects[event]);
}

static void on_summary(uv_timer_t *summary)
{
        struct arrival_log *log = CONTAINER_OF(summary, struct arrival_log, summary);

        summarize(log, now_ms(log));
        for (unsigned event = 0; event < N_ARRIVAL_EVENTS; event++)
                if (log->limits[event].n_suppressed > 0)
                        uv_timer_start(summary, on_summary, LOG_LIMIT_WINDOW_MS, 0);
}

void arrival_log_flush(struct arrival_log *log)
{
        summarize(log, now_ms(log) + LOG_LIMIT_WINDOW_MS);
}

void arrival_log_close(struct arrival_log *log)
{
        arrival_log_flush(log);
        uv_close((uv_handle_t *)&log->summary, NULL);
}
