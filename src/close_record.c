#include "close_record.h"

#include "log.h"
#include "tcp_path.h"

/* The contract's fields come first; further ones behind them, so that scripts go on working. */
static void add_path(struct record *line, const struct tcp_path *path)
{
        record_decimal(line, "rtt_ms", path->rtt_us / 10, 2);
        record_number(line, "retransmits", path->n_retransmits);
        record_decimal(line, "rttvar_ms", path->rttvar_us / 10, 2);
        record_number(line, "mss", path->mss);
        record_decimal(line, "busy_ms", path->busy_us, 3);
        record_decimal(line, "rwnd_limited_ms", path->rwnd_limited_us, 3);
        record_decimal(line, "sndbuf_limited_ms", path->sndbuf_limited_us, 3);
}

void close_record_log(const struct close_record *record)
{
        const struct echo *echo = record->echo;
        char peer[ADDRESS_TEXT_MAX];
        struct record line;

        if (!log_is_enabled(LOG_LEVEL_INFO))
                return;
        log_begin(&line, "closed");
        record_string(&line, "peer", address_format(record->peer, peer));
        record_string(&line, "listener", record->listener);
        record_number(&line, "in", echo->received);
        record_number(&line, "out", echo_sent(echo));
        record_decimal(&line, "duration", record->duration_ms, 3);
        record_string(&line, "reason", echo_reason_name(echo->reason));
        if (record->path)
                add_path(&line, record->path);
        log_record(LOG_LEVEL_INFO, &line);
}
