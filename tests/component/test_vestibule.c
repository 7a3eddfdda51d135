/* Headers that come, and what is announced then. */

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "hall.h"
#include "stage.h"

TestSuite(vestibule, .timeout = HANG_S, .init = frozen_clock_begin, .fini = frozen_clock_end);

#define BINARY "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x07\xc7\x38\0\x07"

/* Expects that he was announced under that name, and that `rest` is what his socket has. */
static void expect_announced(struct hall *hall, const char *name, const char *rest)
{
        char text[ADDRESS_TEXT_MAX], bytes[64];
        ssize_t n;

        while (hall->n_announced == 0)
                hall_turn(hall);
        cr_assert_eq(hall->n_announced, 1);
        cr_assert_str_eq(address_format(&hall->client, text), name);
        cr_assert_eq(hall->listener, HALL_LISTENER);
        cr_assert_eq(hall->vestibule.n_guests, 0);
        await_bytes(hall->descriptor, strlen(rest));
        n = recv(hall->descriptor, bytes, sizeof(bytes), MSG_DONTWAIT);
        cr_assert_eq(n, rest[0] ? (ssize_t)strlen(rest) : -1);
        cr_assert(n < 0 || memcmp(bytes, rest, (size_t)n) == 0, "not the bytes behind the header");
        close(hall->descriptor);
        hall->n_announced = 0;
}

Test(vestibule, a_header_that_is_there_is_announced_at_once)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = hall_enter_after(&hall, LINE "hello", LENGTH(LINE "hello"));
        cr_assert_eq(hall.n_announced, 1);
        expect_announced(&hall, "192.0.2.1:51000", "hello");
        close(proxy);
        hall_close(&hall);
}

Test(vestibule, a_header_that_is_there_needs_no_memory_and_no_watch)
{
        unsigned n_allocations, n_polls;
        struct hall hall;
        int proxy;

        hall_open(&hall);
        close(hall_enter_after(&hall, LINE, LENGTH(LINE)));
        close(hall.descriptor);
        n_allocations = faults_n_allocations();
        n_polls = faults_n_calls(FAULT_UV_POLL_INIT);
        proxy = hall_enter_after(&hall, BINARY, LENGTH(BINARY));
        cr_assert_eq(hall.n_announced, 2);
        cr_assert_eq(faults_n_allocations(), n_allocations);
        cr_assert_eq(faults_n_calls(FAULT_UV_POLL_INIT), n_polls);
        close(proxy);
        close(hall.descriptor);
        hall_close(&hall);
}

static void expect_whole_after_cut(struct hall *hall, const char *header, size_t length, size_t cut)
{
        int proxy = hall_enter_after(hall, header, cut);

        hall_await_kept(hall, cut);
        cr_assert_eq(hall->n_announced, 0);
        cr_assert_eq(hall->vestibule.n_guests, 1);
        client_send(proxy, header + cut, length - cut);
        client_send(proxy, "rest", 4);
        expect_announced(hall, "192.0.2.1:51000", "rest");
        close(proxy);
}

Test(vestibule, a_header_may_be_cut_at_every_byte)
{
        struct hall hall;

        hall_open(&hall);
        for (size_t cut = 0; cut < LENGTH(LINE); cut++)
                expect_whole_after_cut(&hall, LINE, LENGTH(LINE), cut);
        for (size_t cut = 0; cut < LENGTH(BINARY); cut++)
                expect_whole_after_cut(&hall, BINARY, LENGTH(BINARY), cut);
        hall_close(&hall);
}

/* As at an urgent mark in the middle of it. */
Test(vestibule, reads_that_give_less_than_was_peeked_lose_nothing)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        faults_cut_reads(1);
        proxy = hall_enter_after(&hall, LINE "hello", LENGTH(LINE "hello"));
        while (hall.n_announced == 0)
                hall_turn(&hall);
        faults_clear();
        expect_announced(&hall, "192.0.2.1:51000", "hello");
        close(proxy);
        hall_close(&hall);
}

Test(vestibule, the_sockets_own_address_counts_where_the_header_names_none)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = hall_enter_after(&hall, "PROXY UNKNOWN\r\nhello", 20);
        expect_announced(&hall, "198.51.100.1:40000", "hello");
        close(proxy);
        hall_close(&hall);
}

/* As after SIGSTOP and SIGCONT, or on a machine that was asleep. */
Test(vestibule, a_header_that_came_in_time_counts_however_late_it_is_looked_at)
{
        struct hall hall;
        struct guest guest;
        int pair[2];

        hall_open(&hall);
        tcp_pair(pair);
        guest = hall_guest(pair[1]);
        cr_assert_eq(vestibule_enter(&hall.vestibule, &guest), 0);
        client_send(pair[0], LINE "hello", LENGTH(LINE "hello"));
        cr_assert_eq(poll(&(struct pollfd){.fd = pair[1], .events = POLLIN}, 1, -1), 1);
        frozen_clock_advance(VESTIBULE_PATIENCE_MS + 1000);
        hall_turn(&hall);
        for (unsigned end = 0; end < N_VESTIBULE_ENDS; end++)
                cr_assert_eq(hall.n_ended[end], 0, "%s",
                             vestibule_end_name((enum vestibule_end)end));
        expect_announced(&hall, "192.0.2.1:51000", "hello");
        close(pair[0]);
        hall_close(&hall);
}

Test(vestibule, who_is_taken_out_can_enter_elsewhere_with_what_he_had)
{
        struct hall hall, other;
        struct guest guest;
        int proxy;

        hall_open(&hall);
        cr_assert_not(vestibule_take(&hall.vestibule, &guest));
        proxy = hall_enter_after(&hall, LINE, 20);
        hall_await_kept(&hall, 20);
        frozen_clock_advance(3000);
        hall_turn(&hall);
        cr_assert(vestibule_take(&hall.vestibule, &guest));
        cr_assert_eq(guest.waited_ms, 3000);
        cr_assert_eq(guest.n_bytes, 20);
        cr_assert_eq(memcmp(guest.bytes, LINE, 20), 0);
        cr_assert_not(vestibule_take(&hall.vestibule, &(struct guest){0}));
        hall_open(&other);
        cr_assert_eq(vestibule_enter(&other.vestibule, &guest), 0);
        frozen_clock_advance(1990);
        hall_turn(&other);
        cr_assert_eq(other.vestibule.n_guests, 1);
        client_send(proxy, &(LINE "hello")[20], LENGTH(LINE "hello") - 20);
        expect_announced(&other, "192.0.2.1:51000", "hello");
        close(proxy);
        other.n_descriptors -= 2; /* both ends were open */
        hall_close(&other);
        hall_close(&hall);
}

Test(vestibule, the_first_to_come_is_the_first_to_be_taken_out)
{
        struct guest first, second;
        struct hall hall;
        int one, two;

        hall_open(&hall);
        one = hall_enter(&hall);
        frozen_clock_advance(100);
        hall_turn(&hall);
        two = hall_enter(&hall);
        cr_assert(vestibule_take(&hall.vestibule, &first));
        cr_assert(vestibule_take(&hall.vestibule, &second));
        cr_assert_eq(first.waited_ms, 100);
        cr_assert_eq(second.waited_ms, 0);
        close(first.descriptor);
        close(second.descriptor);
        close(one);
        close(two);
        hall_close(&hall);
}

/* He is announced, leaves, or does not get in; whatever of it, nothing is left of him. */
static void enter_and_send(void *user)
{
        struct hall *hall = user;
        struct guest guest;
        int pair[2], r;

        faults_postpone();
        tcp_pair(pair);
        client_send(pair[0], LINE, 20);
        await_bytes(pair[1], 20);
        guest = hall_guest(pair[1]);
        faults_begin();
        r = vestibule_enter(&hall->vestibule, &guest);
        if (r < 0)
                close(pair[1]);
        else if (hall->vestibule.n_guests > 0)
                client_send(pair[0], &LINE[20], LENGTH(LINE) - 20);
        while (hall->vestibule.n_guests > 0)
                hall_turn(hall);
        if (hall->n_announced > 0)
                close(hall->descriptor);
        else
                cr_assert(faults_have_struck());
        hall->n_announced = 0;
        close(pair[0]);
        hall_turn(hall);
}

Test(vestibule, each_call_that_fails_leaves_nothing)
{
        struct hall hall;

        hall_open(&hall);
        faults_force_each(enter_and_send, &hall);
        cr_assert_gt(hall.n_ended[VESTIBULE_SHORT], 0);
        cr_assert_gt(hall.n_ended[VESTIBULE_CUT_OFF] + hall.n_ended[VESTIBULE_PROBE], 0);
        hall_close(&hall);
}

Test(vestibule, a_timer_that_cannot_be_had_fails_the_beginning)
{
        const struct vestibule_events events = {0};
        struct vestibule vestibule;
        uv_loop_t loop;

        cr_assert_eq(uv_loop_init(&loop), 0);
        faults_fail(FAULT_UV_TIMER_INIT, 1, 1, ENOMEM);
        cr_assert_eq(vestibule_init(&vestibule, &loop, &events, NULL), -ENOMEM);
        cr_assert_eq(uv_loop_close(&loop), 0);
}
