#include "close_record.h"

#include <netinet/tcp.h>

#include "log.h"

void close_record_log(const struct close_record *record)
{
        const struct echo *echo = record->echo;
        char peer[ADDRESS_TEXT_MAX];
        struct record line;
        struct tcp_info info;
        socklen_t length = sizeof(info);

        if (!log_is_enabled(LOG_LEVEL_INFO))
                return;
        log_begin(&line, "closed");
        record_string(&line, "peer", address_format(record->peer, peer));
        record_string(&line, "listener", record->listener);
        record_number(&line, "in", echo->received);
        record_number(&line, "out", echo_sent(echo));
        record_decimal(&line, "duration", record->duration_ms, 3);
        record_string(&line, "reason", echo_reason_name(echo->reason));
        if (getsockopt(record->descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) == 0) {
                record_decimal(&line, "rtt_ms", info.tcpi_rtt / 10, 2);
                record_number(&line, "retransmits", info.tcpi_total_retrans);
        }
        log_record(LOG_LEVEL_INFO, &line);
}
