/* All times are those of a frozen clock, so that they are exact on any machine. */

#include <criterion/criterion.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "stage.h"

TestSuite(connection_timeouts, .timeout = HANG_S, .init = frozen_clock_begin,
          .fini = frozen_clock_end);

/* A connection under these limits; opened at uv_now(). */
static int begin(struct stage *stage, const struct connection_limits *limits)
{
        stage_open(stage);
        connection_set_limits(&stage->context, limits);
        return stage_connect(stage);
}

static void set_limits(struct stage *stage, const struct connection_limits *limits)
{
        connection_set_limits(&stage->context, limits);
}

static void end_with_eof(struct stage *stage, int client)
{
        client_expect_eof(client);
        close(client);
        stage_close(stage);
}

static void end_with_reset(struct stage *stage, int client)
{
        client_expect_reset(client);
        close(client);
        faults_clear();
        stage_close(stage);
}

/* The client's bytes are read, and the socket takes none of them back. */
static void make_pending(struct stage *stage, int client)
{
        faults_cut_writes(0);
        client_send(client, "pending.", 8);
        stage_await(stage, &stage->stats.pending_bytes, 8);
}

/* One of the pending bytes goes out, and arrives. */
static void make_progress(struct stage *stage, int client)
{
        uint64_t sent = stats_read(&stage->stats.sent_bytes);

        faults_cut_writes(1);
        stage_await(stage, &stage->stats.sent_bytes, sent + 1);
        faults_cut_writes(0);
        stage_acknowledge(stage, client);
}

Test(connection_timeouts, each_length_of_idle_timeout_is_kept)
{
        static const uint64_t lengths_ms[] = {
                1, 7, 8, 9, 99, 500, 512, 1000, 4096, 30000, 262144, 3600000, 16777216, 86400000};

        for (size_t i = 0; i < sizeof(lengths_ms) / sizeof(lengths_ms[0]); i++) {
                struct stage stage;
                int client = begin(&stage,
                                   &(struct connection_limits){.idle_timeout_ms = lengths_ms[i]});

                stage_expect_timeout(&stage, uv_now(&stage.loop) + lengths_ms[i],
                                     ECHO_IDLE_TIMEOUT);
                end_with_eof(&stage, client);
                frozen_clock_advance(3); /* begin at another place between two ticks */
        }
}

Test(connection_timeouts, activity_restarts_idle_timeout)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.idle_timeout_ms = 1000});

        for (int i = 0; i < 10; i++) {
                stage_advance(&stage, 900);
                stage_exchange(&stage, client, 1, 1);
        }
        stage_acknowledge(&stage, client);
        stage_expect_timeout(&stage, uv_now(&stage.loop) + 1000, ECHO_IDLE_TIMEOUT);
        end_with_eof(&stage, client);
}

/* The peer must not mistake it for the end of what it was to receive. */
Test(connection_timeouts, idle_timeout_with_pending_output_resets)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.idle_timeout_ms = 1000});

        make_pending(&stage, client);
        stage_expect_timeout(&stage, uv_now(&stage.loop) + 1000, ECHO_IDLE_TIMEOUT);
        end_with_reset(&stage, client);
}

Test(connection_timeouts, write_timeout_resets)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.write_timeout_ms = 1000});

        stage_advance(&stage, 5000);
        make_pending(&stage, client);
        stage_expect_timeout(&stage, uv_now(&stage.loop) + 1000, ECHO_WRITE_TIMEOUT);
        end_with_reset(&stage, client);
}

/* At most three times: what the kernel still moves, by the machine's clock, puts the timeout off.
 */
Test(connection_timeouts, write_timeout_resets_a_peer_whose_window_is_full)
{
        uint64_t late_ms = UINT64_MAX;

        for (int attempt = 0; attempt < 3 && late_ms > LATE_MS; attempt++) {
                struct stage stage;
                int client = begin(&stage, &(struct connection_limits){.write_timeout_ms = 1000});
                uint64_t due_ms;

                stage_fill(&stage, client);
                due_ms = uv_now(&stage.loop) + 1000;
                while (stage.n_closed == 0)
                        stage_advance_to_timer(&stage);
                cr_assert_geq(stage.closed_ms, due_ms);
                cr_assert_eq(stage_n_closed(&stage, ECHO_WRITE_TIMEOUT), 1);
                late_ms = stage.closed_ms - due_ms;
                end_with_reset(&stage, client);
        }
        cr_assert_leq(late_ms, LATE_MS);
}

Test(connection_timeouts, progress_restarts_write_timeout)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.write_timeout_ms = 1000});

        make_pending(&stage, client);
        for (int i = 0; i < 7; i++) {
                stage_advance(&stage, 900);
                make_progress(&stage, client);
        }
        stage_expect_timeout(&stage, uv_now(&stage.loop) + 1000, ECHO_WRITE_TIMEOUT);
        end_with_reset(&stage, client);
}

Test(connection_timeouts, write_timeout_ends_when_the_output_is_flushed)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.write_timeout_ms = 1000});

        make_pending(&stage, client);
        stage_advance(&stage, 900);
        faults_clear();
        stage_await(&stage, &stage.stats.sent_bytes, 8);
        for (int i = 0; i < 10; i++)
                stage_advance(&stage, 900);
        cr_assert_eq(stage.n_closed, 0);
        client_half_close(client);
        stage_await_closed(&stage, 1);
        client_receive(client, (char[8]){0}, 8);
        end_with_eof(&stage, client);
}

Test(connection_timeouts, the_earlier_of_two_timeouts_decides)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.idle_timeout_ms = 60000,
                                                               .write_timeout_ms = 1000});

        make_pending(&stage, client);
        stage_expect_timeout(&stage, uv_now(&stage.loop) + 1000, ECHO_WRITE_TIMEOUT);
        end_with_reset(&stage, client);
}

Test(connection_timeouts, max_lifetime_closes_a_busy_connection)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.max_lifetime_ms = 5000});
        uint64_t due_ms = uv_now(&stage.loop) + 5000;

        for (int i = 0; i < 9; i++) {
                stage_advance(&stage, 550);
                stage_exchange(&stage, client, 64, 64);
        }
        while (stage_is_established(&stage))
                stage_advance_to_timer(&stage);
        cr_assert_geq(uv_now(&stage.loop), due_ms);
        cr_assert_leq(uv_now(&stage.loop), due_ms + LATE_MS);
        client_expect_eof(client);
        close(client);
        stage_await_closed(&stage, 1);
        cr_assert_eq(stage_n_closed(&stage, ECHO_MAX_LIFETIME), 1);
        stage_close(&stage);
}

Test(connection_timeouts, at_max_lifetime_unread_input_does_not_spoil_what_was_sent)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.max_lifetime_ms = 1000});
        char answer[4];

        stage_exchange(&stage, client, 64, 64);
        client_send(client, "last", 4);
        stage_await(&stage, &stage.stats.sent_bytes, 68);
        client_send(client, "unread", 6); /* comes in together with the end of the lifetime */
        stage_advance(&stage, 1100);
        stage_advance(&stage, LATE_MS);
        client_receive(client, answer, 4);
        cr_assert_arr_eq(answer, "last", 4);
        close(client);
        stage_await_closed(&stage, 1);
        stage_close(&stage);
}

Test(connection_timeouts, max_lifetime_flushes_pending_output_before_fin)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.max_lifetime_ms = 1000});
        char answer[8];

        make_pending(&stage, client);
        stage_advance(&stage, 1100);
        stage_advance(&stage, 1000);
        cr_assert_eq(stage.n_closed, 0, "the output is still pending");
        faults_clear();
        while (stage.n_closed == 0) /* it looks now and then whether all has arrived */
                stage_advance(&stage, 10);
        client_receive(client, answer, 8);
        cr_assert_arr_eq(answer, "pending.", 8);
        cr_assert_eq(stage_n_closed(&stage, ECHO_MAX_LIFETIME), 1);
        end_with_eof(&stage, client);
}

Test(connection_timeouts, after_max_lifetime_a_stuck_peer_is_reset_at_write_timeout)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.max_lifetime_ms = 1000,
                                                               .write_timeout_ms = 3000});

        make_pending(&stage, client);
        stage_advance(&stage, 500);
        make_progress(&stage, client);
        stage_expect_timeout(&stage, uv_now(&stage.loop) + 3000, ECHO_WRITE_TIMEOUT);
        end_with_reset(&stage, client);
}

Test(connection_timeouts, nothing_ends_without_limits)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){0});

        stage_turn(&stage);
        cr_assert(!uv_loop_alive(&stage.loop), "a timer is set");
        for (int i = 0; i < 30; i++)
                stage_advance(&stage, 86400000);
        make_pending(&stage, client);
        for (int i = 0; i < 30; i++)
                stage_advance(&stage, 86400000);
        cr_assert_eq(stage.n_closed, 0);
        faults_clear();
        client_abort(client);
        stage_await_closed(&stage, 1);
        stage_close(&stage);
}

Test(connection_timeouts, a_shorter_limit_applies_to_an_open_connection)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.idle_timeout_ms = 3600000});
        uint64_t opened_ms = uv_now(&stage.loop);

        stage_advance(&stage, 500);
        set_limits(&stage, &(struct connection_limits){.idle_timeout_ms = 1000});
        stage_expect_timeout(&stage, opened_ms + 1000, ECHO_IDLE_TIMEOUT);
        end_with_eof(&stage, client);
}

Test(connection_timeouts, a_limit_that_has_passed_already_applies_at_once)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){0});

        stage_advance(&stage, 5000);
        set_limits(&stage, &(struct connection_limits){.idle_timeout_ms = 1000});
        stage_expect_timeout(&stage, uv_now(&stage.loop), ECHO_IDLE_TIMEOUT);
        end_with_eof(&stage, client);
}

Test(connection_timeouts, a_longer_limit_applies_to_an_open_connection)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.idle_timeout_ms = 1000});
        uint64_t opened_ms = uv_now(&stage.loop);

        stage_advance(&stage, 500);
        set_limits(&stage, &(struct connection_limits){.idle_timeout_ms = 5000});
        stage_expect_timeout(&stage, opened_ms + 5000, ECHO_IDLE_TIMEOUT);
        end_with_eof(&stage, client);
}

Test(connection_timeouts, a_limit_taken_away_and_given_back_applies)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.idle_timeout_ms = 1000});

        set_limits(&stage, &(struct connection_limits){0});
        stage_advance(&stage, 5000);
        cr_assert_eq(stage.n_closed, 0);
        stage_exchange(&stage, client, 1, 1);
        stage_acknowledge(&stage, client);
        set_limits(&stage, &(struct connection_limits){.idle_timeout_ms = 1000});
        stage_expect_timeout(&stage, uv_now(&stage.loop) + 1000, ECHO_IDLE_TIMEOUT);
        end_with_eof(&stage, client);
}

/* What the kernel got rid of before is not known, so that the time runs from now on. */
Test(connection_timeouts, a_new_write_timeout_applies_to_what_is_stuck_already)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){0});

        make_pending(&stage, client);
        stage_advance(&stage, 100);
        set_limits(&stage, &(struct connection_limits){.write_timeout_ms = 1000});
        stage_expect_timeout(&stage, uv_now(&stage.loop) + 1000, ECHO_WRITE_TIMEOUT);
        end_with_reset(&stage, client);
}

/* Its time has come long ago; the loop was held up meanwhile. */
Test(connection_timeouts, many_that_are_due_at_once_all_end)
{
        struct stage stage;
        int clients[50];

        stage_open(&stage);
        set_limits(&stage, &(struct connection_limits){.idle_timeout_ms = 1000});
        for (int i = 0; i < 50; i++) {
                clients[i] = stage_connect(&stage);
                stage_advance(&stage, 10);
        }
        stage_advance(&stage, 100000);
        cr_assert_eq(stage.n_closed, 50);
        for (int i = 0; i < 50; i++) {
                client_expect_eof(clients[i]);
                close(clients[i]);
        }
        stage_close(&stage);
}

/* The cost of an exchange does not grow with what its deadline is. */
Test(connection_timeouts, activity_does_not_touch_the_timer)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.idle_timeout_ms = 1000});
        unsigned n_before = faults_n_calls(FAULT_UV_TIMER_START);

        for (int i = 0; i < 1000; i++)
                stage_exchange(&stage, client, 64, 64);
        cr_assert_eq(faults_n_calls(FAULT_UV_TIMER_START), n_before);
        client_abort(client);
        stage_await_closed(&stage, 1);
        stage_close(&stage);
}

Test(connection_timeouts, the_close_record_has_bytes_duration_and_reason)
{
        struct stage stage;
        int client = begin(&stage, &(struct connection_limits){.idle_timeout_ms = 1000,
                                                               .log_connections = true});

        stage_exchange(&stage, client, 1234, 1234);
        stage_acknowledge(&stage, client);
        stage_expect_timeout(&stage, uv_now(&stage.loop) + 1000, ECHO_IDLE_TIMEOUT);
        cr_assert_eq(faults_n_logged("closed peer=unix listener=stage in=1234 out=1234 "
                                     "duration=1.0"),
                     1);
        cr_assert_eq(faults_n_logged(" reason=idle_timeout rtt_ms="), 1);
        end_with_eof(&stage, client);
}
