#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "frozen_clock.h"
#include "stage.h"
#include "vestibule.h"

static void end_clock(void)
{
        frozen_clock_end();
}

TestSuite(vestibule, .timeout = HANG_S, .init = frozen_clock_begin, .fini = end_clock);

#define LINE      "PROXY TCP4 192.0.2.1 192.0.2.7 51000 7\r\n"
#define BINARY    "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x07\xc7\x38\0\x07"
#define LENGTH(x) (sizeof(x) - 1)

/* A vestibule, and what it said last. */
struct hall {
        uv_loop_t loop;
        struct vestibule vestibule;
        unsigned n_announced, n_ended[N_VESTIBULE_ENDS];
        int descriptor;
        struct address client;
        const char *listener;
        unsigned n_descriptors;
};

static const char *const LISTENER = "hall";

static void on_announced(void *user, int descriptor, const struct address *client,
                         const char *listener)
{
        struct hall *hall = user;

        hall->n_announced++;
        hall->descriptor = descriptor;
        hall->client = *client;
        hall->listener = listener;
}

static void on_ended(void *user, int descriptor, const struct address *peer, const char *listener,
                     enum vestibule_end end)
{
        struct hall *hall = user;

        hall->n_ended[end]++;
        hall->client = *peer;
        hall->listener = listener;
        close(descriptor);
}

static const struct vestibule_events EVENTS = {
        .on_announced = on_announced,
        .on_ended = on_ended,
};

static void hall_open(struct hall *hall)
{
        memset(hall, 0, sizeof(*hall));
        warm_up();
        hall->n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&hall->loop), 0);
        cr_assert_eq(vestibule_init(&hall->vestibule, &hall->loop, &EVENTS, hall), 0);
}

static void hall_close(struct hall *hall)
{
        cr_assert_eq(hall->vestibule.n_guests, 0);
        vestibule_close(&hall->vestibule);
        uv_run(&hall->loop, UV_RUN_DEFAULT);
        cr_assert_eq(uv_loop_close(&hall->loop), 0);
        cr_assert_eq(count_descriptors(), hall->n_descriptors);
        expect_no_leaks();
}

static void turn(struct hall *hall)
{
        uv_run(&hall->loop, UV_RUN_NOWAIT);
}

/* What an accepted socket is to the vestibule. */
static struct guest guest_of(int descriptor)
{
        return (struct guest){
                .descriptor = descriptor,
                .peer = {.family = AF_INET, .port = 40000, .ip = {198, 51, 100, 1}},
                .listener = LISTENER,
        };
}

/* The proxy's end of a socket whose other end has entered after so many bytes were sent. */
static int enter_after(struct hall *hall, const char *bytes, size_t length)
{
        struct guest guest;
        int pair[2];

        tcp_pair(pair);
        client_send(pair[0], bytes, length);
        guest = guest_of(pair[1]);
        cr_assert_eq(vestibule_enter(&hall->vestibule, &guest), 0);
        return pair[0];
}

static int enter(struct hall *hall)
{
        return enter_after(hall, "", 0);
}

static void await_ended(struct hall *hall, enum vestibule_end end)
{
        while (hall->n_ended[end] == 0)
                turn(hall);
        for (unsigned other = 0; other < N_VESTIBULE_ENDS; other++)
                cr_assert_eq(hall->n_ended[other], other == end, "%s",
                             vestibule_end_name((enum vestibule_end)other));
        cr_assert_eq(hall->n_announced, 0);
        cr_assert_eq(hall->vestibule.n_guests, 0);
        cr_assert_eq(hall->client.port, 40000, "it is about the socket's own peer");
        cr_assert_eq(hall->listener, LISTENER);
}

/* Expects that he was announced under that name, and that `rest` is what his socket has. */
static void expect_announced(struct hall *hall, const char *name, const char *rest)
{
        char text[ADDRESS_TEXT_MAX], bytes[64];
        ssize_t n;

        while (hall->n_announced == 0)
                turn(hall);
        cr_assert_eq(hall->n_announced, 1);
        cr_assert_str_eq(address_format(&hall->client, text), name);
        cr_assert_eq(hall->listener, LISTENER);
        cr_assert_eq(hall->vestibule.n_guests, 0);
        n = recv(hall->descriptor, bytes, sizeof(bytes), MSG_DONTWAIT);
        cr_assert_eq(n, rest[0] ? (ssize_t)strlen(rest) : -1);
        cr_assert(n < 0 || memcmp(bytes, rest, (size_t)n) == 0, "not the bytes behind the header");
        close(hall->descriptor);
        hall->n_announced = 0;
}

/* A TCP client's bytes arrive a moment after they were sent. */
static void await_kept(struct hall *hall, size_t n)
{
        struct guest guest = {0};

        while (guest.n_bytes < n) {
                turn(hall);
                cr_assert(vestibule_take(&hall->vestibule, &guest));
                cr_assert_leq(guest.n_bytes, n);
                cr_assert_eq(vestibule_enter(&hall->vestibule, &guest), 0);
        }
}

Test(vestibule, a_header_that_is_there_is_announced_at_once)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = enter_after(&hall, LINE "hello", LENGTH(LINE "hello"));
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
        close(enter_after(&hall, LINE, LENGTH(LINE)));
        close(hall.descriptor);
        n_allocations = faults_n_allocations();
        n_polls = faults_n_calls(FAULT_UV_POLL_INIT);
        proxy = enter_after(&hall, BINARY, LENGTH(BINARY));
        cr_assert_eq(hall.n_announced, 2);
        cr_assert_eq(faults_n_allocations(), n_allocations);
        cr_assert_eq(faults_n_calls(FAULT_UV_POLL_INIT), n_polls);
        close(proxy);
        close(hall.descriptor);
        hall_close(&hall);
}

static void expect_whole_after_cut(struct hall *hall, const char *header, size_t length, size_t cut)
{
        int proxy = enter_after(hall, header, cut);

        await_kept(hall, cut);
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
        proxy = enter_after(&hall, LINE "hello", LENGTH(LINE "hello"));
        while (hall.n_announced == 0)
                turn(&hall);
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
        proxy = enter_after(&hall, "PROXY UNKNOWN\r\nhello", 20);
        expect_announced(&hall, "198.51.100.1:40000", "hello");
        close(proxy);
        hall_close(&hall);
}

Test(vestibule, who_sends_something_else_leaves_at_the_first_wrong_byte)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = enter(&hall);
        client_send(proxy, "PROXY H", 7);
        await_ended(&hall, VESTIBULE_MALFORMED);
        close(proxy);
        hall_close(&hall);
}

Test(vestibule, who_announces_too_much_leaves)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = enter(&hall);
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
        proxy = enter_after(&hall, bytes, length);
        frozen_clock_advance(VESTIBULE_PATIENCE_MS - 1);
        turn(&hall);
        cr_assert_eq(hall.vestibule.n_guests, 1, "he had time left");
        frozen_clock_advance(9); /* the wheel's tick and one */
        turn(&hall);
        await_ended(&hall, VESTIBULE_LATE);
        close(proxy);
        hall_close(&hall);
}

Test(vestibule, who_is_not_done_after_5_seconds_leaves)
{
        expect_late("", 0);
        expect_late("PROXY", 5);
}

/* As after SIGSTOP and SIGCONT, or on a machine that was asleep. */
Test(vestibule, a_header_that_came_in_time_counts_however_late_it_is_looked_at)
{
        struct hall hall;
        struct guest guest;
        int pair[2];

        hall_open(&hall);
        tcp_pair(pair);
        guest = guest_of(pair[1]);
        cr_assert_eq(vestibule_enter(&hall.vestibule, &guest), 0);
        client_send(pair[0], LINE "hello", LENGTH(LINE "hello"));
        cr_assert_eq(poll(&(struct pollfd){.fd = pair[1], .events = POLLIN}, 1, -1), 1);
        frozen_clock_advance(VESTIBULE_PATIENCE_MS + 1000);
        turn(&hall);
        for (unsigned end = 0; end < N_VESTIBULE_ENDS; end++)
                cr_assert_eq(hall.n_ended[end], 0, "%s",
                             vestibule_end_name((enum vestibule_end)end));
        expect_announced(&hall, "192.0.2.1:51000", "hello");
        close(pair[0]);
        hall_close(&hall);
}

/* Each byte is no new patience. */
Test(vestibule, who_trickles_leaves_after_5_seconds_too)
{
        struct hall hall;
        int proxy;

        hall_open(&hall);
        proxy = enter(&hall);
        for (size_t i = 0; i < 10; i++) {
                client_send(proxy, &LINE[i], 1);
                await_kept(&hall, i + 1);
                frozen_clock_advance(VESTIBULE_PATIENCE_MS / 10 + 1);
                turn(&hall);
        }
        await_ended(&hall, VESTIBULE_LATE);
        close(proxy);
        hall_close(&hall);
}

Test(vestibule, who_goes_in_the_middle_is_cut_off)
{
        struct hall hall;

        hall_open(&hall);
        close(enter_after(&hall, "PROXY", 5));
        await_ended(&hall, VESTIBULE_CUT_OFF);
        hall_close(&hall);
}

Test(vestibule, who_goes_before_the_first_byte_is_a_probe)
{
        struct hall hall;

        hall_open(&hall);
        close(enter(&hall));
        await_ended(&hall, VESTIBULE_PROBE);
        hall_close(&hall);
}

/* As HAProxy's checks end. */
Test(vestibule, who_resets_before_the_first_byte_is_a_probe)
{
        struct hall hall;

        hall_open(&hall);
        client_abort(enter(&hall));
        await_ended(&hall, VESTIBULE_PROBE);
        hall_close(&hall);
}

Test(vestibule, who_is_taken_out_can_enter_elsewhere_with_what_he_had)
{
        struct hall hall, other;
        struct guest guest;
        int proxy;

        hall_open(&hall);
        cr_assert_not(vestibule_take(&hall.vestibule, &guest));
        proxy = enter_after(&hall, LINE, 20);
        await_kept(&hall, 20);
        frozen_clock_advance(3000);
        turn(&hall);
        cr_assert(vestibule_take(&hall.vestibule, &guest));
        cr_assert_eq(guest.waited_ms, 3000);
        cr_assert_eq(guest.n_bytes, 20);
        cr_assert_eq(memcmp(guest.bytes, LINE, 20), 0);
        cr_assert_not(vestibule_take(&hall.vestibule, &(struct guest){0}));
        hall_open(&other);
        cr_assert_eq(vestibule_enter(&other.vestibule, &guest), 0);
        frozen_clock_advance(1990);
        turn(&other);
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
        one = enter(&hall);
        frozen_clock_advance(100);
        turn(&hall);
        two = enter(&hall);
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

Test(vestibule, clearing_resets_everybody)
{
        struct hall hall;
        int silent, begun;

        hall_open(&hall);
        silent = enter(&hall);
        begun = enter_after(&hall, "PROXY", 5);
        turn(&hall);
        vestibule_clear(&hall.vestibule);
        client_expect_reset(silent);
        client_expect_reset(begun);
        close(silent);
        close(begun);
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
        guest = guest_of(pair[1]);
        faults_begin();
        r = vestibule_enter(&hall->vestibule, &guest);
        if (r < 0)
                close(pair[1]);
        else if (hall->vestibule.n_guests > 0)
                client_send(pair[0], &LINE[20], LENGTH(LINE) - 20);
        while (hall->vestibule.n_guests > 0)
                turn(hall);
        if (hall->n_announced > 0)
                close(hall->descriptor);
        else
                cr_assert(faults_have_struck());
        hall->n_announced = 0;
        close(pair[0]);
        turn(hall);
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
        struct vestibule vestibule;
        uv_loop_t loop;

        cr_assert_eq(uv_loop_init(&loop), 0);
        faults_fail(FAULT_UV_TIMER_INIT, 1, 1, ENOMEM);
        cr_assert_eq(vestibule_init(&vestibule, &loop, &EVENTS, NULL), -ENOMEM);
        cr_assert_eq(uv_loop_close(&loop), 0);
}
