#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "poller.h"
#include "stage.h"
#include "util.h"

TestSuite(poller, .timeout = HANG_S);

struct pond {
        uv_loop_t loop;
        struct poller poller;
        unsigned n_timeouts;
        unsigned n_descriptors;
};

/* One end of a pair under watch, and what to do at its next event. */
struct fish {
        struct watch watch;
        struct pond *pond;
        int descriptor, peer;
        unsigned n_events, n_removed;
        uint32_t events;
        struct fish *victim; /* to be removed */
};

static void fish_remove(struct fish *fish)
{
        poller_remove(&fish->pond->poller, &fish->watch, fish->descriptor);
        close(fish->descriptor);
}

static void on_event(struct watch *watch, uint32_t events)
{
        struct fish *fish = CONTAINER_OF(watch, struct fish, watch);

        fish->n_events++;
        fish->events = events;
        if (fish->victim)
                fish_remove(fish->victim);
        fish->victim = NULL;
}

static void on_removed(struct watch *watch)
{
        CONTAINER_OF(watch, struct fish, watch)->n_removed++;
}

static void pond_open(struct pond *pond)
{
        *pond = (struct pond){0};
        warm_up();
        pond->n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&pond->loop), 0);
        cr_assert_eq(poller_init(&pond->poller, &pond->loop), 0);
}

static void pond_close(struct pond *pond)
{
        cr_assert(!poller_turn(&pond->poller, true), "something is left to wait for");
        poller_free(&pond->poller);
        cr_assert_eq(uv_loop_close(&pond->loop), 0);
        cr_assert_eq(count_descriptors(), pond->n_descriptors);
}

static void fish_open(struct fish *fish, struct pond *pond)
{
        int pair[2];

        unix_pair(pair);
        *fish = (struct fish){.pond = pond, .descriptor = pair[0], .peer = pair[1]};
        fish->watch.on_event = on_event;
        fish->watch.on_removed = on_removed;
        cr_assert_eq(poller_add(&pond->poller, &fish->watch, fish->descriptor, EPOLLIN), 0);
}

static void feed(struct fish *fish)
{
        cr_assert_eq(write(fish->peer, ".", 1), 1);
}

static void open_and_close(void *user)
{
        uv_loop_t *loop = user;
        struct poller poller;
        int r = poller_init(&poller, loop);

        cr_assert_eq(r < 0, faults_have_struck());
        if (r == 0)
                poller_free(&poller);
}

Test(poller, each_call_that_fails_at_its_start_leaves_nothing)
{
        uv_loop_t loop;
        unsigned n_descriptors;

        cr_assert_eq(uv_loop_init(&loop), 0);
        n_descriptors = count_descriptors();
        faults_force_each(open_and_close, &loop);
        cr_assert_eq(count_descriptors(), n_descriptors);
        cr_assert_eq(uv_loop_close(&loop), 0);
}

Test(poller, tells_of_what_was_asked_for)
{
        struct pond pond;
        struct fish fish;

        pond_open(&pond);
        fish_open(&fish, &pond);
        cr_assert(poller_turn(&pond.poller, false));
        cr_assert_eq(fish.n_events, 0);
        feed(&fish);
        poller_turn(&pond.poller, true);
        cr_assert_eq(fish.events, EPOLLIN);
        cr_assert_eq(poller_change(&pond.poller, &fish.watch, fish.descriptor, EPOLLOUT), 0);
        poller_turn(&pond.poller, true);
        cr_assert_eq(fish.events, EPOLLOUT);
        cr_assert_eq(fish.n_events, 2);
        fish_remove(&fish);
        close(fish.peer);
        pond_close(&pond);
}

Test(poller, what_is_paused_tells_nothing_until_it_is_resumed)
{
        struct pond pond;
        struct fish fish;

        pond_open(&pond);
        fish_open(&fish, &pond);
        feed(&fish);
        cr_assert_eq(poller_change(&pond.poller, &fish.watch, fish.descriptor, 0), 0);
        cr_assert(poller_turn(&pond.poller, false));
        cr_assert_eq(fish.n_events, 0);
        cr_assert_eq(poller_change(&pond.poller, &fish.watch, fish.descriptor, EPOLLIN), 0);
        poller_turn(&pond.poller, true);
        cr_assert_eq(fish.n_events, 1);
        fish_remove(&fish);
        close(fish.peer);
        pond_close(&pond);
}

Test(poller, what_cannot_be_watched_is_the_callers)
{
        struct pond pond;
        struct fish fish = {0};

        pond_open(&pond);
        faults_fail(FAULT_EPOLL_CTL, 1, 1, ENOSPC);
        cr_assert_eq(poller_add(&pond.poller, &fish.watch, 0, EPOLLIN), -ENOSPC);
        fish_open(&fish, &pond);
        faults_fail(FAULT_EPOLL_CTL, 1, 1, ENOMEM);
        cr_assert_eq(poller_change(&pond.poller, &fish.watch, fish.descriptor, EPOLLOUT), -ENOMEM);
        feed(&fish);
        poller_turn(&pond.poller, true);
        cr_assert_eq(fish.events, EPOLLIN, "as it was before");
        fish_remove(&fish);
        close(fish.peer);
        pond_close(&pond);
}

/* Two are ready in one turn, and whichever comes first removes the other. */
Test(poller, one_that_was_removed_in_a_turn_has_no_event_in_it)
{
        struct pond pond;
        struct fish one, other;

        pond_open(&pond);
        fish_open(&one, &pond);
        fish_open(&other, &pond);
        feed(&one);
        feed(&other);
        one.victim = &other;
        other.victim = &one;
        poller_turn(&pond.poller, true);
        cr_assert_eq(one.n_events + other.n_events, 1);
        cr_assert_eq(one.n_removed + other.n_removed, 1);
        fish_remove(one.n_removed ? &other : &one);
        close(one.peer);
        close(other.peer);
        pond_close(&pond);
        cr_assert_eq(one.n_removed + other.n_removed, 2);
}

/* A duplicate elsewhere keeps the socket open, and it goes on having events. */
Test(poller, one_that_was_removed_is_forgotten_though_it_is_open_elsewhere)
{
        struct pond pond;
        struct fish fish, neighbour;
        int duplicate;

        pond_open(&pond);
        fish_open(&fish, &pond);
        fish_open(&neighbour, &pond);
        duplicate = dup(fish.descriptor);
        fish_remove(&fish);
        feed(&fish);
        feed(&neighbour);
        poller_turn(&pond.poller, true);
        poller_turn(&pond.poller, true);
        cr_assert_eq(fish.n_events, 0);
        cr_assert_eq(neighbour.n_events, 2);
        fish_remove(&neighbour);
        close(duplicate);
        close(fish.peer);
        close(neighbour.peer);
        pond_close(&pond);
}

static void on_timeout(uv_timer_t *timer)
{
        CONTAINER_OF(timer->loop, struct pond, loop)->n_timeouts++;
        uv_close((uv_handle_t *)timer, NULL);
}

Test(poller, the_loops_timers_and_closing_handles_are_seen_to)
{
        struct pond pond;
        struct fish fish;
        uv_timer_t timer;
        uint64_t idle_ns;

        pond_open(&pond);
        fish_open(&fish, &pond);
        cr_assert_eq(uv_timer_init(&pond.loop, &timer), 0);
        cr_assert_eq(uv_timer_start(&timer, on_timeout, 20, 0), 0);
        while (pond.n_timeouts == 0)
                poller_turn(&pond.poller, true);
        idle_ns = atomic_load(&pond.poller.idle_ns);
        cr_assert_gt(idle_ns, 10000000, "it did not sleep");
        fish_remove(&fish);
        close(fish.peer);
        pond_close(&pond);
        cr_assert_eq(fish.n_events, 0);
}

static void on_slow_timeout(uv_timer_t *timer)
{
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        on_timeout(timer);
}

Test(poller, work_is_busy_and_neither_sleep_nor_polling_in_vain_is)
{
        struct pond pond;
        struct fish fish;
        uv_timer_t timer;
        uint64_t before_ns;

        pond_open(&pond);
        fish_open(&fish, &pond);
        cr_assert_eq(uv_timer_init(&pond.loop, &timer), 0);
        cr_assert_eq(uv_timer_start(&timer, on_slow_timeout, 50, 0), 0);
        poller_turn(&pond.poller, false); /* the loop's descriptor is new in the set */
        before_ns = atomic_load(&pond.poller.busy_ns);
        for (unsigned i = 0; i < 1000; i++)
                poller_turn(&pond.poller, false);
        if (pond.n_timeouts == 0)
                cr_assert_eq(atomic_load(&pond.poller.busy_ns), before_ns);
        while (pond.n_timeouts == 0)
                poller_turn(&pond.poller, true);
        cr_assert_geq(atomic_load(&pond.poller.busy_ns), 20000000);
        fish_remove(&fish);
        close(fish.peer);
        pond_close(&pond);
}

/* A listening socket that is shared can be shut down by somebody else, and hangs up then. */
Test(poller, a_hang_up_of_what_is_paused_keeps_nobody_awake)
{
        unsigned n_turns = 0;
        struct pond pond;
        struct fish fish;
        uv_timer_t timer;

        pond_open(&pond);
        fish_open(&fish, &pond);
        cr_assert_eq(poller_change(&pond.poller, &fish.watch, fish.descriptor, 0), 0);
        close(fish.peer);
        cr_assert_eq(uv_timer_init(&pond.loop, &timer), 0);
        cr_assert_eq(uv_timer_start(&timer, on_timeout, 50, 0), 0);
        for (; pond.n_timeouts == 0; n_turns++)
                poller_turn(&pond.poller, true);
        cr_assert_lt(n_turns, 10, "it did not sleep");
        cr_assert_eq(fish.n_events, 0);
        cr_assert_eq(poller_change(&pond.poller, &fish.watch, fish.descriptor, EPOLLIN), 0);
        poller_turn(&pond.poller, true);
        poller_turn(&pond.poller, true);
        cr_assert_eq(fish.n_events, 2, "it is told as long as it lasts");
        fish_remove(&fish);
        pond_close(&pond);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
        (void)status;
        (void)events;
        uv_close((uv_handle_t *)poll, NULL);
}

Test(poller, the_loops_descriptors_wake_it)
{
        struct pond pond;
        uv_poll_t poll;
        int pair[2];

        pond_open(&pond);
        unix_pair(pair);
        cr_assert_eq(uv_poll_init(&pond.loop, &poll, pair[0]), 0);
        cr_assert_eq(uv_poll_start(&poll, UV_READABLE, on_readable), 0);
        cr_assert(poller_turn(&pond.poller, false));
        cr_assert_eq(write(pair[1], ".", 1), 1);
        while (poller_turn(&pond.poller, true))
                ;
        close(pair[0]);
        close(pair[1]);
        pond_close(&pond);
}

/* More than one epoll_wait(2) tells of. */
#define SHOAL 3000

static bool can_open(rlim_t n)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < n)
                return false;
        limit.rlim_cur = MAX(limit.rlim_cur, n);
        return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Signals and timers come through the loop; with thousands of ready sockets they must not wait. */
Test(poller, the_loop_is_not_left_out_while_more_is_ready_than_one_turn_sees_to)
{
        struct fish *shoal = calloc(SHOAL, sizeof(*shoal));
        struct pond pond;
        uv_poll_t poll;
        int pair[2];

        if (!can_open(SHOAL + 100))
                cr_skip("the limit on open files is too low");
        pond_open(&pond);
        fish_open(&shoal[0], &pond);
        feed(&shoal[0]);
        for (unsigned i = 1; i < SHOAL; i++) {
                shoal[i] = shoal[0];
                shoal[i].descriptor = dup(shoal[0].descriptor);
                cr_assert_eq(
                        poller_add(&pond.poller, &shoal[i].watch, shoal[i].descriptor, EPOLLIN), 0);
        }
        unix_pair(pair);
        cr_assert_eq(uv_poll_init(&pond.loop, &poll, pair[0]), 0);
        cr_assert_eq(uv_poll_start(&poll, UV_READABLE, on_readable), 0);
        poller_turn(&pond.poller, true);
        cr_assert_eq(write(pair[1], ".", 1), 1);
        poller_turn(&pond.poller, true);
        cr_assert(uv_is_closing((uv_handle_t *)&poll), "the loop had to wait");
        close(shoal[0].peer);
        for (unsigned i = 0; i < SHOAL; i++)
                fish_remove(&shoal[i]);
        while (poller_turn(&pond.poller, true))
                ;
        close(pair[0]);
        close(pair[1]);
        pond_close(&pond);
        free(shoal);
}
