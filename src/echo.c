#include "echo.h"

#include <assert.h>
#include <stdbool.h>

/* The moves that the diagram shows; everything else is a mistake of ours. */
static const bool MOVES[N_ECHO_STATES][N_ECHO_STATES] = {
        [ECHO_OPEN] = {[ECHO_PAUSED] = true, [ECHO_LINGERING] = true, [ECHO_CLOSING] = true},
        [ECHO_PAUSED] = {[ECHO_OPEN] = true, [ECHO_FLUSHING] = true, [ECHO_CLOSING] = true},
        [ECHO_FLUSHING] = {[ECHO_LINGERING] = true, [ECHO_CLOSING] = true},
        [ECHO_LINGERING] = {[ECHO_CLOSING] = true},
};

/*
 * How a connection ends when nothing is pending, and when something is. An idle peer with pending
 * output is a stuck one. The end of input is never found with something pending, see above.
 */
static const struct {
        const char *name;
        enum echo_action when_flushed;
        enum echo_action when_pending;
} ENDINGS[N_ECHO_REASONS] = {
        [ECHO_EOF] = {"eof", ECHO_CLOSE, ECHO_ABORT},
        [ECHO_RESET] = {"reset", ECHO_ABORT, ECHO_ABORT},
        [ECHO_IDLE_TIMEOUT] = {"idle_timeout", ECHO_CLOSE, ECHO_ABORT},
        [ECHO_WRITE_TIMEOUT] = {"write_timeout", ECHO_ABORT, ECHO_ABORT},
        [ECHO_MAX_LIFETIME] = {"max_lifetime", ECHO_LINGER, ECHO_WRITE},
        [ECHO_DRAIN] = {"drain", ECHO_ABORT, ECHO_ABORT},
        [ECHO_ERROR] = {"error", ECHO_ABORT, ECHO_ABORT},
};

static void move(struct echo *echo, enum echo_state state)
{
        assert(MOVES[echo->state][state]);
        (void)MOVES; /* a release build asserts nothing */
        echo->state = (uint8_t)state;
}

void echo_init(struct echo *echo)
{
        *echo = (struct echo){.state = ECHO_OPEN};
}

enum echo_action echo_received(struct echo *echo, size_t n_read, size_t n_written)
{
        assert(echo->state == ECHO_OPEN && n_read > 0 && n_written <= n_read);
        echo->received += n_read;
        if (n_written == n_read)
                return ECHO_READ;
        echo->pending = (uint32_t)(n_read - n_written);
        move(echo, ECHO_PAUSED);
        return ECHO_WRITE;
}

enum echo_action echo_flushed(struct echo *echo, size_t n_written)
{
        assert(echo->state == ECHO_PAUSED || echo->state == ECHO_FLUSHING);
        assert(n_written <= echo->pending);
        echo->pending -= (uint32_t)n_written;
        if (echo->pending > 0)
                return ECHO_WRITE;
        if (echo->state == ECHO_FLUSHING) {
                move(echo, ECHO_LINGERING);
                return ECHO_LINGER;
        }
        move(echo, ECHO_OPEN);
        return ECHO_READ;
}

enum echo_action echo_delivered(struct echo *echo)
{
        assert(echo->state == ECHO_LINGERING);
        move(echo, ECHO_CLOSING);
        return ECHO_CLOSE;
}

/* It is ending already: an end of input is welcome, everything else a failure. */
static enum echo_action end_of_lingering(struct echo *echo, enum echo_reason reason)
{
        move(echo, ECHO_CLOSING);
        if (reason == ECHO_EOF)
                return ECHO_CLOSE;
        echo->reason = (uint8_t)reason;
        return ECHO_ABORT;
}

enum echo_action echo_end(struct echo *echo, enum echo_reason reason)
{
        static const enum echo_state next[] = {
                [ECHO_WRITE] = ECHO_FLUSHING,
                [ECHO_LINGER] = ECHO_LINGERING,
                [ECHO_CLOSE] = ECHO_CLOSING,
                [ECHO_ABORT] = ECHO_CLOSING,
        };
        bool is_pending = echo->state != ECHO_OPEN;
        enum echo_action action =
                is_pending ? ENDINGS[reason].when_pending : ENDINGS[reason].when_flushed;

        if (echo->state == ECHO_LINGERING)
                return end_of_lingering(echo, reason);
        if (action == ECHO_WRITE && echo->state == ECHO_FLUSHING)
                return ECHO_WRITE; /* it is on its way out already */
        echo->reason = (uint8_t)reason;
        move(echo, next[action]);
        return action;
}

const char *echo_reason_name(enum echo_reason reason)
{
        return ENDINGS[reason].name;
}
