/* All or nothing: a change of listeners that fails. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "faults.h"
#include "lobby.h"
#include "stage.h"

TestSuite(acceptor_failure, .timeout = HANG_S);

struct change {
        struct lobby lobby;
        struct listener *before[2];
        int descriptors[2];
        struct place place;
};

/* Expects the two listeners as they were, still serving. */
static void expect_unchanged(struct change *change)
{
        struct lobby *lobby = &change->lobby;
        uint64_t n = lobby->acceptor.n_accepted;
        int first, second;

        for (unsigned i = 0; i < 2; i++) {
                struct listener *listener = lobby_listener(lobby, i);

                cr_assert(listener == change->before[0] || listener == change->before[1]);
                cr_assert(listener->descriptor == change->descriptors[0] ||
                          listener->descriptor == change->descriptors[1]);
                cr_assert(!lobby_is_shared(listener));
                cr_assert(!listener->is_retiring);
        }
        cr_assert_eq(lobby_listener(lobby, 1)->link.next, &lobby->acceptor.listeners.active);
        cr_assert(list_is_empty(&lobby->acceptor.listeners.retiring));
        faults_clear();
        first = client_connect_unix(change->place.path);
        second = client_connect(lobby_port(lobby, lobby_listener(lobby, 0)->options.path[0] != 0));
        lobby_await_accepted(lobby, n + 2);
        lobby_part(first);
        lobby_part(second);
        lobby_await_load(lobby, 0);
}

static void set_before(struct change *change)
{
        lobby_set_listeners(&change->lobby, 2, "127.0.0.1", 0, change->place.path, 0);
}

static void remember(struct change *change)
{
        for (unsigned i = 0; i < 2; i++) {
                change->before[i] = lobby_listener(&change->lobby, i);
                change->descriptors[i] = change->before[i]->descriptor;
        }
}

static void change_listeners(void *user)
{
        struct change *change = user;
        struct lobby *lobby = &change->lobby;
        unsigned n_descriptors = count_descriptors();
        int r;

        lobby_set_listeners(lobby, 3, "127.0.0.2", 0, "127.0.0.1", 0, "127.0.0.3", 0);
        r = lobby_apply(lobby);
        cr_assert(r == 0 || faults_have_struck());
        if (r < 0) {
                cr_assert(strstr(lobby->problem, "cannot listen on 127.0.0."), "%s",
                          lobby->problem);
                lobby_turn(lobby);
                expect_unchanged(change);
                cr_assert_eq(count_descriptors(), n_descriptors);
                return;
        }
        faults_clear();
        set_before(change);
        cr_assert_eq(lobby_apply(lobby), 0);
        lobby_turn(lobby);
        remember(change);
}

Test(acceptor_failure, each_call_that_fails_leaves_everything_as_before)
{
        struct change change = {.place = make_place()};

        lobby_init(&change.lobby);
        set_before(&change);
        cr_assert_eq(lobby_apply(&change.lobby), 0);
        remember(&change);
        faults_force_each(change_listeners, &change);
        lobby_close(&change.lobby);
        leave_place(&change.place);
}

Test(acceptor_failure, an_address_in_use_is_named_and_nothing_changes)
{
        struct lobby lobby, other;
        struct listener *before;
        char expected[80];
        int client;

        lobby_open(&other, 10);
        lobby_open(&lobby, 10);
        before = lobby_listener(&lobby, 0);
        lobby_set_listeners(&lobby, 2, "127.0.0.2", 0, "127.0.0.1", (int)lobby_port(&other, 0));
        cr_assert_eq(lobby_apply(&lobby), -EADDRINUSE);
        snprintf(expected, sizeof(expected),
                 "cannot listen on 127.0.0.1:%u: Address already in use", lobby_port(&other, 0));
        cr_assert_str_eq(lobby.problem, expected);
        cr_assert_eq(lobby_listener(&lobby, 0), before);
        cr_assert(!lobby_is_shared(before));
        client = lobby_connect(&lobby);
        lobby_await_accepted(&lobby, 1);
        lobby_part(client);
        lobby_close(&lobby);
        lobby_close(&other);
}
