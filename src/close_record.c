#include "close_record.h"

#include <netinet/tcp.h>
#include <stdio.h>

#include "log.h"

void close_record_log(const struct close_record *record)
{
        const struct echo *echo = record->echo;
        char peer[ADDRESS_TEXT_MAX], path[64] = "";
        struct tcp_info info;
        socklen_t length = sizeof(info);

        if (getsockopt(record->descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) == 0)
                snprintf(path, sizeof(path), " rtt_ms=%u.%02u retransmits=%u", info.tcpi_rtt / 1000,
                         info.tcpi_rtt % 1000 / 10, info.tcpi_total_retrans);
        log_info("closed peer=%s listener=%s in=%llu out=%llu duration=%llu.%03llu reason=%s%s",
                 address_format(record->peer, peer), record->listener,
                 (unsigned long long)echo->received, (unsigned long long)echo_sent(echo),
                 (unsigned long long)(record->duration_ms / 1000),
                 (unsigned long long)(record->duration_ms % 1000), echo_reason_name(echo->reason),
                 path);
}
