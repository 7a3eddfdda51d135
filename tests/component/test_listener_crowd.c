#include <criterion/criterion.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "porch.h"
#include "stage.h"

TestSuite(listener_crowd, .timeout = HANG_S);

#define CROWD 100
#define BUSY  40

/* Calls of accept4(2) that clients cost who come one by one, each when the last one was accepted.
 */
static unsigned calls_for_single_clients(struct porch *porch, unsigned n)
{
        unsigned n_before = faults_n_calls(FAULT_ACCEPT4);

        for (unsigned i = 0; i < n; i++) {
                int client = client_connect(porch_port(porch));

                porch_await(porch, porch->n_accepted + 1);
                close(client);
        }
        return faults_n_calls(FAULT_ACCEPT4) - n_before;
}

/* Turns until so many who wait already have been accepted; returns how many turns it took. */
static unsigned turns_for_a_crowd(struct porch *porch)
{
        unsigned n_turns = 0, n = porch->n_accepted + CROWD;
        int clients[CROWD];

        for (unsigned i = 0; i < CROWD; i++)
                clients[i] = porch_connect(porch);
        for (; porch->n_accepted < n; n_turns++)
                porch_turn(porch);
        for (unsigned i = 0; i < CROWD; i++)
                close(clients[i]);
        return n_turns;
}

Test(listener_crowd, who_comes_alone_is_seldom_followed_by_a_call_in_vain)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;

        porch_init(&porch);
        porch_open(&porch, &options);
        cr_assert_leq(calls_for_single_clients(&porch, CROWD), CROWD + CROWD / 10);
        listener_close(porch.listener);
        porch_close(&porch);
}

Test(listener_crowd, a_crowd_is_noticed_and_forgotten)
{
        const struct listener_options options = porch_ipv4();
        struct porch porch;

        porch_init(&porch);
        porch_open(&porch, &options);
        cr_assert_lt(turns_for_a_crowd(&porch), CROWD, "each took a turn of its own");
        cr_assert_leq(calls_for_single_clients(&porch, CROWD), CROWD + CROWD / 10);
        listener_close(porch.listener);
        porch_close(&porch);
}

static void on_nothing(struct watch *watch, uint32_t events)
{
        (void)watch;
        (void)events;
}

static void on_removed(struct watch *watch)
{
        (void)watch;
}

/* Descriptors that are ready in every turn. */
static void keep_busy(struct porch *porch, struct watch watches[static BUSY],
                      int descriptors[static BUSY])
{
        int pair[2];

        unix_pair(pair);
        for (unsigned i = 0; i < BUSY; i++) {
                watches[i] = (struct watch){.on_event = on_nothing, .on_removed = on_removed};
                descriptors[i] = dup(pair[0]);
                cr_assert_eq(poller_add(&porch->poller, &watches[i], descriptors[i], EPOLLOUT), 0);
        }
        close(pair[0]);
        close(pair[1]);
}

/* One client a turn would be a long time for the last of them, where a turn is long. */
Test(listener_crowd, a_crowd_is_noticed_at_once_beside_busy_streams)
{
        const struct listener_options options = porch_ipv4();
        struct watch watches[BUSY];
        int descriptors[BUSY];
        struct porch porch;

        porch_init(&porch);
        porch_open(&porch, &options);
        keep_busy(&porch, watches, descriptors);
        cr_assert_leq(turns_for_a_crowd(&porch), 4);
        for (unsigned i = 0; i < BUSY; i++) {
                poller_remove(&porch.poller, &watches[i], descriptors[i]);
                close(descriptors[i]);
        }
        listener_close(porch.listener);
        porch_close(&porch);
}
