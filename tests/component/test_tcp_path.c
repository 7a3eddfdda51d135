/* What the kernel tells of a connection over loopback, and of which connections it is asked. */

#include <criterion/criterion.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "stage.h"
#include "tcp_path.h"

TestSuite(tcp_path, .timeout = HANG_S);

Test(tcp_path, a_connection_has_a_round_trip_time_and_segments)
{
        struct tcp_path path;
        int pair[2];

        tcp_pair(pair);
        client_send(pair[0], "x", 1);
        await_bytes(pair[1], 1);
        client_receive(pair[1], (char[1]){0}, 1);
        client_send(pair[1], "x", 1);
        client_receive(pair[0], (char[1]){0}, 1);
        cr_assert(tcp_path_look(pair[0], &path));
        cr_assert_gt(path.rtt_us, 0);
        cr_assert_gt(path.rttvar_us, 0);
        cr_assert_gt(path.mss, 500);
        cr_assert_eq(path.n_retransmits, 0);
        cr_assert_eq(path.rwnd_limited_us, 0);
        close(pair[0]);
        close(pair[1]);
}

Test(tcp_path, a_reader_that_does_not_read_limits_by_its_window)
{
        struct tcp_path path;
        int pair[2];

        tcp_pair(pair);
        client_fill(pair[0], 100);
        cr_assert(tcp_path_look(pair[0], &path));
        cr_assert_gt(path.rwnd_limited_us, 50000);
        cr_assert_geq(path.busy_us, path.rwnd_limited_us);
        close(pair[0]);
        close(pair[1]);
}

Test(tcp_path, a_unix_socket_has_none)
{
        struct tcp_path path;
        int pair[2];

        unix_pair(pair);
        cr_assert_not(tcp_path_look(pair[0], &path));
        cr_assert_not(tcp_path_look(-1, &path));
        close(pair[0]);
        close(pair[1]);
}

static uint64_t n_observed(const struct stage *stage, enum stats_histogram histogram)
{
        struct stats_total total = {0};
        uint64_t n = 0;

        stats_sum(&total, &stage->stats);
        for (unsigned bucket = 0; bucket <= STATS_BOUNDS; bucket++)
                n += total.observed[histogram][bucket];
        return n;
}

/* So many connections at once, in one millisecond. */
static void open_and_reset(struct stage *stage, unsigned n)
{
        unsigned n_closed = stage->n_closed;
        int clients[8];

        for (unsigned i = 0; i < n; i++)
                clients[i] = stage_connect(stage);
        connection_reset_all(&stage->context);
        stage_await_closed(stage, n_closed + n);
        for (unsigned i = 0; i < n; i++)
                close(clients[i]);
}

Test(tcp_path, one_connection_a_millisecond_is_looked_at)
{
        struct stage stage;

        frozen_clock_begin();
        stage_open(&stage);
        open_and_reset(&stage, 5);
        cr_assert_eq(n_observed(&stage, STATS_RTT), 1);
        cr_assert_eq(n_observed(&stage, STATS_DURATION), 5);
        frozen_clock_advance(1);
        stage_turn(&stage);
        open_and_reset(&stage, 5);
        cr_assert_eq(n_observed(&stage, STATS_RTT), 2);
        stage_close(&stage);
        frozen_clock_end();
}

Test(tcp_path, every_connection_is_that_is_logged)
{
        struct stage stage;

        frozen_clock_begin();
        stage_open(&stage);
        connection_set_limits(&stage.context, &(struct connection_limits){.log_connections = true});
        open_and_reset(&stage, 5);
        cr_assert_eq(n_observed(&stage, STATS_RTT), 5);
        cr_assert_eq(faults_n_logged(" reason=drain rtt_ms="), 5);
        stage_close(&stage);
        frozen_clock_end();
}
