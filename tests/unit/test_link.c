/* A link on a loop, with the other end in the hands of the test. */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "link.h"
#include "util.h"

#define STREAM "0123456789"

static uv_loop_t loop;
static struct target_address addresses[4];
static struct target target = {.addresses = addresses};
static struct link_context context;
static struct link link_;
static int listener;
static bool is_open, is_closed;
static int reason;
static char received[64];

static void on_open(struct link *link)
{
        (void)link;
        is_open = true;
}

static void on_fill(struct link *link, uint64_t offset, uint8_t *bytes, size_t length)
{
        (void)link;
        memcpy(bytes, &STREAM[offset], length);
}

static void on_bytes(struct link *link, const uint8_t *bytes, size_t length)
{
        (void)link;
        strncat(received, (const char *)bytes, length);
}

static void on_end(struct link *link, int why)
{
        (void)link;
        reason = why;
}

static void on_closed(struct link *link)
{
        (void)link;
        is_closed = true;
}

static const struct link_events EVENTS = {on_open, on_fill, on_bytes, on_end, on_closed};

/* One more address of the target; a listener on it, or nobody. */
static int add_address(bool is_served)
{
        struct target_address *address = &target.addresses[target.n_addresses++];
        struct sockaddr_in *sockaddr = (struct sockaddr_in *)&address->sockaddr;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        target.n_each_source = 20000;
        address->length = sizeof(*sockaddr);
        sockaddr->sin_family = AF_INET;
        sockaddr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        cr_assert_eq(bind(fd, (struct sockaddr *)sockaddr, address->length), 0);
        cr_assert_eq(getsockname(fd, (struct sockaddr *)sockaddr, &address->length), 0);
        if (is_served)
                cr_assert_eq(listen(fd, 8), 0);
        return fd; /* one that does not listen keeps the port from others */
}

/* A Unix socket whose queue is full: the next one who connects does not get in. */
static int listen_at_full_queue(int fill[2])
{
        struct target_address *address = &target.addresses[target.n_addresses++];
        struct sockaddr *sockaddr = (struct sockaddr *)&address->sockaddr;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        sockaddr->sa_family = AF_UNIX;
        address->length = sizeof(sa_family_t); /* the kernel chooses a name */
        cr_assert_eq(bind(fd, sockaddr, address->length), 0);
        address->length = sizeof(address->sockaddr);
        cr_assert_eq(getsockname(fd, sockaddr, &address->length), 0);
        cr_assert_eq(listen(fd, 1), 0); /* two get in */
        for (int i = 0; i < 2; i++) {
                fill[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                cr_assert_eq(connect(fill[i], sockaddr, address->length), 0);
        }
        return fd;
}

static uint64_t pauses_ms[8];
static size_t n_pauses;

/* What link.c calls. */
int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_due, uint64_t ms, uint64_t repeat_ms);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_due, uint64_t ms, uint64_t repeat_ms);

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb on_due, uint64_t ms, uint64_t repeat_ms)
{
        cr_assert_eq(repeat_ms, 0);
        pauses_ms[n_pauses++ % ARRAY_SIZE(pauses_ms)] = ms;
        return __real_uv_timer_start(timer, on_due, ms, repeat_ms);
}

static void await_pauses(size_t n)
{
        while (n_pauses < n)
                cr_assert_neq(uv_run(&loop, UV_RUN_ONCE), 0);
}

static void begin(void)
{
        reason = 1;
        cr_assert_eq(uv_loop_init(&loop), 0);
        cr_assert_eq(link_context_init(&context, &loop, &target, 0), 0);
}

static void end(void)
{
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert(is_closed);
        link_context_free(&context);
        cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(link, .init = begin, .fini = end);

static int open_link(void)
{
        cr_assert_eq(link_open(&link_, &context, &EVENTS), 0);
        while (!is_open)
                cr_assert_neq(uv_run(&loop, UV_RUN_ONCE), 0);
        return accept(listener, NULL, NULL);
}

Test(link, sends_receives_and_ends)
{
        char bytes[16] = "";
        int peer;

        listener = add_address(true);
        peer = open_link();
        link_send(&link_, 4);
        link_send(&link_, 6);
        link_half_close(&link_);
        cr_assert_eq(recv(peer, bytes, sizeof(bytes), MSG_WAITALL), 10);
        cr_assert_str_eq(bytes, STREAM);
        cr_assert_eq(send(peer, "hello", 5, 0), 5);
        close(peer);
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert_str_eq(received, "hello");
        cr_assert_eq(reason, 0);
}

Test(link, tries_the_next_address_when_one_refuses)
{
        int refused = add_address(false);

        add_address(false);
        listener = add_address(true);
        close(open_link());
        cr_assert_eq(link_address(&link_), &target.addresses[2]);
        cr_assert_eq(context.first_address, 2, "the next link begins there");
        close(refused);
}

Test(link, after_the_last_address_has_refused_it_ends)
{
        add_address(false);
        add_address(false);
        cr_assert_eq(link_open(&link_, &context, &EVENTS), 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert_not(is_open);
        cr_assert_eq(reason, -ECONNREFUSED);
}

Test(link, waits_for_room_in_the_queue_of_a_unix_socket)
{
        int fill[2];

        listener = listen_at_full_queue(fill);
        cr_assert_eq(link_open(&link_, &context, &EVENTS), 0);
        await_pauses(3);
        cr_assert_not(is_open);
        close(accept(listener, NULL, NULL));
        while (!is_open)
                cr_assert_neq(uv_run(&loop, UV_RUN_ONCE), 0);
        cr_assert_eq(reason, 1, "nothing was told meanwhile");
        link_close(&link_);
}

Test(link, its_pauses_at_a_full_queue_grow_but_not_for_ever)
{
        int fill[2];

        listener = listen_at_full_queue(fill);
        cr_assert_eq(link_open(&link_, &context, &EVENTS), 0);
        await_pauses(ARRAY_SIZE(pauses_ms));
        cr_assert_gt(pauses_ms[0], 0);
        for (size_t i = 1; i < 7; i++)
                cr_assert_eq(pauses_ms[i], 2 * pauses_ms[i - 1]);
        cr_assert_eq(pauses_ms[7], pauses_ms[6]);
        link_close(&link_);
}

Test(link, closed_while_it_waits_for_room_it_says_nothing_more)
{
        int fill[2];

        listener = listen_at_full_queue(fill);
        cr_assert_eq(link_open(&link_, &context, &EVENTS), 0);
        await_pauses(2);
        link_close(&link_);
        link_close(&link_);
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert(is_closed);
        cr_assert_not(is_open);
        cr_assert_eq(reason, 1);
}

static void reset(int peer)
{
        setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                   sizeof(struct linger));
        close(peer);
}

Test(link, a_reset_is_told_after_what_came_before_it)
{
        int peer;

        listener = add_address(true);
        peer = open_link();
        cr_assert_eq(send(peer, "hello", 5, 0), 5);
        reset(peer);
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert_str_eq(received, "hello");
        cr_assert_eq(reason, -ECONNRESET);
}

Test(link, a_reset_that_sending_finds_first_is_not_taken_for_an_end)
{
        listener = add_address(true);
        reset(open_link());
        link_send(&link_, 4); /* takes the error from the socket */
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert_eq(reason, -ECONNRESET);
}

Test(link, closed_by_its_owner_it_says_nothing_more)
{
        listener = add_address(true);
        cr_assert_eq(link_open(&link_, &context, &EVENTS), 0);
        link_close(&link_);
        link_close(&link_);
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert_not(is_open);
        cr_assert_eq(reason, 1);
}
