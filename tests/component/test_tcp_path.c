/* What the kernel tells of a connection over loopback. */

#include <criterion/criterion.h>
#include <unistd.h>

#include "client.h"
#include "stage.h"
#include "tcp_path.h"

TestSuite(tcp_path, .timeout = HANG_S);

Test(tcp_path, a_connection_has_a_round_trip_time_and_segments)
{
        struct tcp_path path;
        int pair[2];

        tcp_pair(pair);
        client_send(pair[0], "x", 1);
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
