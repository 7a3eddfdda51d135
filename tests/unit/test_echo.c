#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdbool.h>
#include <string.h>

#include "echo.h"
#include "trap.h"

#define READ_MAX   64
#define STREAM_MAX 4096

/* A connection over a simulated socket: the stream that comes in, and what the peer got back. */
struct stream {
        struct echo echo;
        uint8_t sent[STREAM_MAX]; /* by the peer */
        uint8_t returned[STREAM_MAX];
        size_t n_read, n_returned;
};

static void stream_init(struct stream *stream)
{
        memset(stream, 0, sizeof(*stream));
        echo_init(&stream->echo);
        for (size_t i = 0; i < STREAM_MAX; i++)
                stream->sent[i] = (uint8_t)(i * 7 + i / 256);
}

/* The socket takes the next `n` bytes of what was read. */
static void take(struct stream *stream, size_t n)
{
        cr_assert_leq(stream->n_returned + n, stream->n_read);
        memcpy(stream->returned + stream->n_returned, stream->sent + stream->n_returned, n);
        stream->n_returned += n;
}

static enum echo_action receive(struct stream *stream, size_t n_read, size_t n_taken)
{
        stream->n_read += n_read;
        take(stream, n_taken);
        return echo_received(&stream->echo, n_read, n_taken);
}

static enum echo_action flush(struct stream *stream, size_t n_taken)
{
        take(stream, n_taken);
        return echo_flushed(&stream->echo, n_taken);
}

/* Whether echo's account and the peer's agree. */
static void expect_account(const struct stream *stream)
{
        cr_assert_eq(stream->echo.received, stream->n_read);
        cr_assert_eq(echo_sent(&stream->echo), stream->n_returned);
        cr_assert_eq(stream->echo.pending, stream->n_read - stream->n_returned);
}

/* Whether the action is to write exactly as long as something is pending. */
static void expect_action(const struct stream *stream, enum echo_action action)
{
        expect_account(stream);
        cr_assert_eq(action, stream->echo.pending ? ECHO_WRITE : ECHO_READ);
        cr_assert_eq(stream->echo.state, stream->echo.pending ? ECHO_PAUSED : ECHO_OPEN);
}

static void expect_all_back_at_eof(struct stream *stream)
{
        cr_assert_eq(echo_end(&stream->echo, ECHO_EOF), ECHO_CLOSE);
        cr_assert_eq(stream->echo.state, ECHO_CLOSING);
        cr_assert_eq(stream->n_returned, stream->n_read);
        cr_assert_arr_eq(stream->returned, stream->sent, stream->n_read);
}

/* A fresh echo in the state that the moves of the diagram lead to. */
static struct echo echo_in(enum echo_state state)
{
        struct echo echo;

        echo_init(&echo);
        if (state == ECHO_PAUSED || state == ECHO_FLUSHING)
                echo_received(&echo, 10, 4);
        if (state == ECHO_FLUSHING || state == ECHO_LINGERING)
                echo_end(&echo, ECHO_MAX_LIFETIME);
        if (state == ECHO_CLOSING)
                echo_end(&echo, ECHO_EOF);
        cr_assert_eq(echo.state, state);
        return echo;
}

Test(echo, reads_on_while_the_socket_takes_everything)
{
        struct echo echo;

        echo_init(&echo);
        for (size_t n = 1; n < 100; n++)
                cr_assert_eq(echo_received(&echo, n, n), ECHO_READ);
        cr_assert_eq(echo.received, 4950);
        cr_assert_eq(echo_sent(&echo), 4950);
}

Test(echo, a_read_cut_at_any_two_bytes_comes_back_whole)
{
        static struct stream stream;

        for (size_t n = 1; n <= READ_MAX; n++) {
                for (size_t first = 0; first < n; first++) {
                        for (size_t second = 0; second <= n - first; second++) {
                                stream_init(&stream);
                                expect_action(&stream, receive(&stream, n, first));
                                expect_action(&stream, flush(&stream, second));
                                if (stream.echo.pending)
                                        expect_action(&stream, flush(&stream, n - first - second));
                                expect_all_back_at_eof(&stream);
                        }
                }
        }
}

Test(echo, a_pause_is_survived_byte_by_byte)
{
        static struct stream stream;

        stream_init(&stream);
        for (unsigned round = 0; round < STREAM_MAX / READ_MAX; round++) {
                expect_action(&stream, receive(&stream, READ_MAX, 0));
                while (stream.echo.pending) {
                        expect_action(&stream, flush(&stream, 0)); /* writable, yet took nothing */
                        expect_action(&stream, flush(&stream, 1));
                }
        }
        expect_all_back_at_eof(&stream);
}

Test(echo, every_sequence_of_short_reads_and_cuts_comes_back_in_order)
{
        static struct stream stream;
        uint32_t seed = 1;

        for (unsigned run = 0; run < 500; run++) {
                stream_init(&stream);
                while (stream.n_read + READ_MAX <= STREAM_MAX) {
                        size_t n = 1 + (seed = seed * 1664525 + 1013904223) / 65536 % READ_MAX;

                        expect_action(&stream, receive(&stream, n, seed / 4096 % (n + 1)));
                        while (stream.echo.pending) {
                                seed = seed * 1664525 + 1013904223;
                                n = seed / 65536 % (stream.echo.pending + 1);
                                expect_action(&stream, flush(&stream, n));
                        }
                }
                expect_all_back_at_eof(&stream);
        }
}

Test(echo, the_end_of_a_lifetime_flushes_at_every_cut_before_it_closes)
{
        static struct stream stream;

        for (size_t n = 1; n <= READ_MAX; n++) {
                for (size_t first = 0; first < n; first++) {
                        stream_init(&stream);
                        receive(&stream, n, first);
                        cr_assert_eq(echo_end(&stream.echo, ECHO_MAX_LIFETIME), ECHO_WRITE);
                        cr_assert_eq(stream.echo.state, ECHO_FLUSHING);
                        while (stream.echo.pending > 1)
                                cr_assert_eq(flush(&stream, 1), ECHO_WRITE);
                        cr_assert_eq(flush(&stream, 1), ECHO_LINGER);
                        expect_account(&stream);
                        cr_assert_eq(stream.echo.state, ECHO_LINGERING);
                        cr_assert_eq(echo_delivered(&stream.echo), ECHO_CLOSE);
                        cr_assert_eq(stream.echo.state, ECHO_CLOSING);
                        cr_assert_eq(stream.echo.reason, ECHO_MAX_LIFETIME);
                        cr_assert_arr_eq(stream.returned, stream.sent, n);
                }
        }
}

/* Written out, and not taken from echo.c: this is what users of the states rely on. */
static const enum echo_action ENDINGS[ECHO_CLOSING][N_ECHO_REASONS] = {
        [ECHO_OPEN] = {[ECHO_EOF] = ECHO_CLOSE,
                       [ECHO_RESET] = ECHO_ABORT,
                       [ECHO_IDLE_TIMEOUT] = ECHO_CLOSE,
                       [ECHO_WRITE_TIMEOUT] = ECHO_ABORT,
                       [ECHO_MAX_LIFETIME] = ECHO_LINGER,
                       [ECHO_DRAIN] = ECHO_ABORT,
                       [ECHO_ERROR] = ECHO_ABORT},
        [ECHO_PAUSED] = {[ECHO_EOF] = ECHO_ABORT,
                         [ECHO_RESET] = ECHO_ABORT,
                         [ECHO_IDLE_TIMEOUT] = ECHO_ABORT,
                         [ECHO_WRITE_TIMEOUT] = ECHO_ABORT,
                         [ECHO_MAX_LIFETIME] = ECHO_WRITE,
                         [ECHO_DRAIN] = ECHO_ABORT,
                         [ECHO_ERROR] = ECHO_ABORT},
        [ECHO_FLUSHING] = {[ECHO_EOF] = ECHO_ABORT,
                           [ECHO_RESET] = ECHO_ABORT,
                           [ECHO_IDLE_TIMEOUT] = ECHO_ABORT,
                           [ECHO_WRITE_TIMEOUT] = ECHO_ABORT,
                           [ECHO_MAX_LIFETIME] = ECHO_WRITE,
                           [ECHO_DRAIN] = ECHO_ABORT,
                           [ECHO_ERROR] = ECHO_ABORT},
        [ECHO_LINGERING] = {[ECHO_EOF] = ECHO_CLOSE,
                            [ECHO_RESET] = ECHO_ABORT,
                            [ECHO_IDLE_TIMEOUT] = ECHO_ABORT,
                            [ECHO_WRITE_TIMEOUT] = ECHO_ABORT,
                            [ECHO_MAX_LIFETIME] = ECHO_ABORT,
                            [ECHO_DRAIN] = ECHO_ABORT,
                            [ECHO_ERROR] = ECHO_ABORT},
};

static const enum echo_state NEXT[] = {
        [ECHO_WRITE] = ECHO_FLUSHING,
        [ECHO_LINGER] = ECHO_LINGERING,
        [ECHO_CLOSE] = ECHO_CLOSING,
        [ECHO_ABORT] = ECHO_CLOSING,
};

Test(echo, every_ending_in_every_state_leads_where_the_table_says)
{
        for (enum echo_state state = ECHO_OPEN; state < ECHO_CLOSING; state++) {
                for (enum echo_reason reason = 0; reason < N_ECHO_REASONS; reason++) {
                        struct echo echo = echo_in(state);
                        enum echo_action action = echo_end(&echo, reason);
                        bool is_welcome = state == ECHO_LINGERING && reason == ECHO_EOF;

                        cr_assert_eq(action, ENDINGS[state][reason], "state %d, %s", state,
                                     echo_reason_name(reason));
                        cr_assert_eq(echo.state, NEXT[action]);
                        cr_assert_eq(echo.reason, is_welcome ? ECHO_MAX_LIFETIME : reason);
                }
        }
}

Test(echo, never_closes_in_an_orderly_way_with_bytes_pending)
{
        for (enum echo_reason reason = 0; reason < N_ECHO_REASONS; reason++) {
                struct echo paused = echo_in(ECHO_PAUSED), flushing = echo_in(ECHO_FLUSHING);

                cr_assert_neq(echo_end(&paused, reason), ECHO_CLOSE);
                cr_assert_neq(echo_end(&flushing, reason), ECHO_CLOSE);
        }
}

Test(echo, holds_a_read_of_four_gigabytes_less_one)
{
        struct echo echo;

        echo_init(&echo);
        cr_assert_eq(echo_received(&echo, UINT32_MAX, 0), ECHO_WRITE);
        cr_assert_eq(echo.pending, UINT32_MAX);
        cr_assert_eq(echo_flushed(&echo, UINT32_MAX), ECHO_READ);
        cr_assert_eq(echo_sent(&echo), UINT32_MAX);
}

Test(echo, counts_beyond_32_bits)
{
        struct echo echo;

        echo_init(&echo);
        for (unsigned i = 0; i < 5; i++)
                echo_received(&echo, (size_t)1 << 31, (size_t)1 << 31);
        cr_assert_eq(echo_sent(&echo), (uint64_t)5 << 31);
}

Test(echo, is_16_bytes)
{
        cr_assert_eq(sizeof(struct echo), 16);
}

Test(echo, reasons_have_the_names_of_the_log_and_the_metrics)
{
        static const char *const names[] = {
                "eof", "reset", "idle_timeout", "write_timeout", "max_lifetime", "drain", "error"};

        cr_assert_eq(sizeof(names) / sizeof(names[0]), N_ECHO_REASONS);
        for (enum echo_reason reason = 0; reason < N_ECHO_REASONS; reason++)
                cr_assert_str_eq(echo_reason_name(reason), names[reason]);
}

/* A call that has no place in a state; `n_read` is what tells echo_received() from the others. */
struct forbidden {
        enum { RECEIVED, FLUSHED, END } call;
        enum echo_state state;
        size_t n_read, n_written;
};

static struct forbidden FORBIDDEN[] = {
        {RECEIVED, ECHO_PAUSED, 1, 1},   {RECEIVED, ECHO_PAUSED, 1, 0},
        {RECEIVED, ECHO_FLUSHING, 1, 1}, {RECEIVED, ECHO_CLOSING, 1, 1},
        {RECEIVED, ECHO_OPEN, 0, 0},     {RECEIVED, ECHO_OPEN, 5, 6},
        {FLUSHED, ECHO_OPEN, 0, 0},      {FLUSHED, ECHO_OPEN, 0, 1},
        {FLUSHED, ECHO_PAUSED, 0, 7},    {FLUSHED, ECHO_FLUSHING, 0, 7},
        {FLUSHED, ECHO_CLOSING, 0, 0},   {END, ECHO_CLOSING, 0, 0},
};

ParameterizedTestParameters(echo, a_forbidden_move_aborts)
{
        return cr_make_param_array(struct forbidden, FORBIDDEN,
                                   sizeof(FORBIDDEN) / sizeof(FORBIDDEN[0]));
}

ParameterizedTest(struct forbidden *move, echo, a_forbidden_move_aborts, .signal = TRAP)
{
        struct echo echo = echo_in(move->state);

        SKIP_WITHOUT_ASSERTS();
        switch (move->call) {
        case RECEIVED:
                echo_received(&echo, move->n_read, move->n_written);
                break;
        case FLUSHED:
                echo_flushed(&echo, move->n_written);
                break;
        case END:
                echo_end(&echo, ECHO_EOF);
                break;
        }
}
