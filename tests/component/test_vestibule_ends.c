/* Who leaves without having been announced, and why. */

#include <criterion/criterion.h>
#include <unistd.h>

#include "client.h"
#include "frozen_clock.h"
#include "hall.h"
#include "stage.h"

TestSuite(vestibule_ends, .timeout = HANG_S, .init = frozen_clock_begin, .fini = frozen_clock_end);

static void await_ended(struct hall *hall, enum vestibule_end end)
{
        while (hall->n_ended[end] == 0)
                hall_turn(hall);
        for (unsigned other = 0; other < N_VESTIBULE_ENDS; other++)
                cr_assert_eq(hall->n_ended[other], other == end, "%s",
                             vestibule_end_name((enum vestibule_end)other));
        cr_assert_eq(hall->n_announced, 0);
        cr_assert_eq(hall->vestibule.n_guests, 0);
        cr_assert_eq(hall->client.port, 40000, "it is about the socket's own peer");
        cr_assert_eq(hall->listener, HALL_LISTENER);
}

Test(vestibule_ends, who_sends_something_else_leaves_at_the_first_wrong_byte)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = hall_enter(&hall);
        client_send(proxy, "PROXY H", 7);
        await_ended(&hall, VESTIBULE_MALFORMED);
        close(proxy);
        hall_close(&hall);
}

Test(vestibule_ends, who_announces_too_much_leaves)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = hall_enter(&hall);
        client_send(proxy, "\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", 16);
        await_ended(&hall, VESTIBULE_TOO_LONG);
        close(proxy);
        hall_close(&hall);
}

static void expect_late(const char *bytes, size_t length)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = hall_enter_after(&hall, bytes, length);
        frozen_clock_advance(VESTIBULE_PATIENCE_MS - 1);
        hall_turn(&hall);
        cr_assert_eq(hall.vestibule.n_guests, 1, "he had time left");
        frozen_clock_advance(9); /* the wheel's tick and one */
        hall_turn(&hall);
        await_ended(&hall, VESTIBULE_LATE);
        close(proxy);
        hall_close(&hall);
}

Test(vestibule_ends, who_is_not_done_after_5_seconds_leaves)
{
        expect_late("", 0);
        expect_late("PROXY", 5);
}

/* Each byte is no new patience. */
Test(vestibule_ends, who_trickles_leaves_after_5_seconds_too)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = hall_enter(&hall);
        for (size_t i = 0; i < 10; i++) {
                client_send(proxy, &LINE[i], 1);
                hall_await_kept(&hall, i + 1);
                frozen_clock_advance(VESTIBULE_PATIENCE_MS / 10 + 1);
                hall_turn(&hall);
        }
        await_ended(&hall, VESTIBULE_LATE);
        close(proxy);
        hall_close(&hall);
}

Test(vestibule_ends, who_goes_in_the_middle_is_cut_off)
{
        struct hall hall;

        hall_open(&hall);
        close(hall_enter_after(&hall, "PROXY", 5));
        await_ended(&hall, VESTIBULE_CUT_OFF);
        hall_close(&hall);
}

Test(vestibule_ends, who_goes_before_the_first_byte_is_a_probe)
{
        struct hall hall;

        hall_open(&hall);
        close(hall_enter(&hall));
        await_ended(&hall, VESTIBULE_PROBE);
        hall_close(&hall);
}

/* As HAProxy's checks end. */
Test(vestibule_ends, who_resets_before_the_first_byte_is_a_probe)
{
        struct hall hall;

        hall_open(&hall);
        client_abort(hall_enter(&hall));
        await_ended(&hall, VESTIBULE_PROBE);
        hall_close(&hall);
}

Test(vestibule_ends, clearing_resets_everybody)
{
        struct hall hall;
        int silent, begun;

        hall_open(&hall);
        silent = hall_enter(&hall);
        begun = hall_enter_after(&hall, "PROXY", 5);
        hall_turn(&hall);
        vestibule_clear(&hall.vestibule);
        client_expect_reset(silent);
        client_expect_reset(begun);
        close(silent);
        close(begun);
        hall_close(&hall);
}
