#include "hall.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "stage.h"

const char *const HALL_LISTENER = "hall";

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

void hall_open(struct hall *hall)
{
        memset(hall, 0, sizeof(*hall));
        warm_up();
        hall->n_descriptors = count_descriptors();
        cr_assert_eq(uv_loop_init(&hall->loop), 0);
        cr_assert_eq(vestibule_init(&hall->vestibule, &hall->loop, &EVENTS, hall), 0);
}

void hall_close(struct hall *hall)
{
        cr_assert_eq(hall->vestibule.n_guests, 0);
        vestibule_close(&hall->vestibule);
        uv_run(&hall->loop, UV_RUN_DEFAULT);
        cr_assert_eq(uv_loop_close(&hall->loop), 0);
        cr_assert_eq(count_descriptors(), hall->n_descriptors);
        expect_no_leaks();
}

void hall_turn(struct hall *hall)
{
        uv_run(&hall->loop, UV_RUN_NOWAIT);
}

struct guest hall_guest(int descriptor)
{
        return (struct guest){
                .descriptor = descriptor,
                .peer = {.family = AF_INET, .port = 40000, .ip = {198, 51, 100, 1}},
                .listener = HALL_LISTENER,
        };
}

int hall_enter_after(struct hall *hall, const char *bytes, size_t length)
{
        struct guest guest;
        int pair[2];

        tcp_pair(pair);
        client_send(pair[0], bytes, length);
        await_bytes(pair[1], length);
        guest = hall_guest(pair[1]);
        cr_assert_eq(vestibule_enter(&hall->vestibule, &guest), 0);
        return pair[0];
}

int hall_enter(struct hall *hall)
{
        return hall_enter_after(hall, "", 0);
}

void hall_await_kept(struct hall *hall, size_t n)
{
        struct guest guest = {0};

        while (guest.n_bytes < n) {
                hall_turn(hall);
                cr_assert(vestibule_take(&hall->vestibule, &guest));
                cr_assert_leq(guest.n_bytes, n);
                cr_assert_eq(vestibule_enter(&hall->vestibule, &guest), 0);
        }
}
