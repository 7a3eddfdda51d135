#include "connection.h"

#include "close_record.h"
#include "connection_private.h"
#include "tcp_path.h"

/*
 * The kernel's view of the path; false: there is none, or it is not worth its price. When
 * connections come and go by the thousands that is some per cent of each, so unless all of them are
 * logged, one a millisecond is looked at.
 */
static bool look_at_path(const struct connection *connection, struct tcp_path *ret_path)
{
        struct connection_context *context = connection->context;
        uint64_t now_ms = uv_now(context->loop);

        if (now_ms == context->path_seen_ms && !context->limits.log_connections)
                return false;
        context->path_seen_ms = now_ms;
        return tcp_path_look(connection->descriptor, ret_path);
}

void connection_observe_end(const struct connection *connection)
{
        const struct connection_context *context = connection->context;
        uint64_t duration_ms = uv_now(context->loop) - connection->opened_ms;
        struct stats *stats = context->stats;
        struct tcp_path path;
        bool has_path = look_at_path(connection, &path);

        stats_add(&stats->closed[connection->echo.reason], 1);
        stats_observe(stats, STATS_DURATION, duration_ms);
        stats_observe(stats, STATS_BYTES, connection->echo.received);
        if (has_path)
                stats_observe(stats, STATS_RTT, path.rtt_us);
        if (context->limits.log_connections)
                close_record_log(&(struct close_record){
                        .peer = &connection->peer,
                        .listener = connection->listener,
                        .echo = &connection->echo,
                        .duration_ms = duration_ms,
                        .path = has_path ? &path : NULL,
                });
}
