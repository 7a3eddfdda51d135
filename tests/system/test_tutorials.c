/*
 * The servers that tutorials show, one after another, and what echod does in the place of each.
 * Guests send 你好, wait half a second for an answer and 0.5 s more, send 世界！, and leave.
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <sys/param.h> /* MAX */

#include "observe.h"
#include "reload.h"
#include "scratch.h"

#define FIRST    "你好"
#define SECOND   "世界！"
#define PAUSE_MS 500
#define GUESTS   11

TestSuite(tutorials, .init = scratch_make, .fini = scratch_remove);

enum stage { GREETED, ANSWERED, SAID_MORE, LEFT, GONE };

struct guest {
        int socket;
        enum stage stage;
        size_t n_received;
        char received[32];
        uint64_t due_ms;                     /* when it says more */
        unsigned answered, said_more, ended; /* the number of the event at which it happened */
};

/* The guests of a party, moved by one loop, so that the order of events is certain. */
struct party {
        struct guest guests[GUESTS];
        size_t n, n_answered, n_gone;
        size_t n_together; /* nobody says more before so many have been answered */
        unsigned n_events;
};

static void greet(struct guest *guest, uint16_t port)
{
        guest->socket = client_connect(port);
        client_send(guest->socket, FIRST, strlen(FIRST));
        guest->due_ms = now_ms() + 2 * PAUSE_MS;
}

static void arrive(struct party *party, uint16_t port, size_t n, size_t n_together)
{
        cr_assert_leq(n, GUESTS);
        *party = (struct party){.n = n, .n_together = n_together};
        for (size_t i = 0; i < n; i++)
                greet(&party->guests[i], port);
}

static void say_more(struct party *party, struct guest *guest)
{
        if (guest->stage != ANSWERED || now_ms() < guest->due_ms ||
            party->n_answered < party->n_together)
                return;
        guest->said_more = ++party->n_events;
        guest->stage = SAID_MORE;
        client_send(guest->socket, SECOND, strlen(SECOND));
}

/* Answers may come in pieces. */
static void listen_to_answer(struct party *party, struct guest *guest)
{
        ssize_t n = recv(guest->socket, guest->received + guest->n_received,
                         sizeof(guest->received) - guest->n_received, MSG_DONTWAIT);

        if (n == 0 && guest->stage == LEFT) {
                cr_assert_str_eq(guest->received, FIRST SECOND);
                close(guest->socket);
                guest->stage = GONE;
                party->n_gone++;
                return;
        }
        cr_assert_gt(n, 0, "refused or lost: %s", n == 0 ? "the end" : strerror(errno));
        guest->n_received += (size_t)n;
        if (guest->stage == GREETED && guest->n_received == strlen(FIRST)) {
                guest->answered = ++party->n_events;
                guest->stage = ANSWERED;
                guest->due_ms = MAX(guest->due_ms, now_ms() + PAUSE_MS);
                party->n_answered++;
        } else if (guest->stage == SAID_MORE && guest->n_received == strlen(FIRST SECOND)) {
                guest->ended = ++party->n_events;
                guest->stage = LEFT;
                client_half_close(guest->socket);
        }
}

/* Until all are gone. */
static void celebrate(struct party *party)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;

        while (party->n_gone < party->n) {
                struct pollfd ready[GUESTS];

                cr_assert_lt(now_ms(), deadline, "%zu of %zu were answered, %zu are gone",
                             party->n_answered, party->n, party->n_gone);
                for (size_t i = 0; i < party->n; i++) {
                        struct guest *guest = &party->guests[i];

                        say_more(party, guest);
                        ready[i] = (struct pollfd){
                                .fd = guest->stage == GONE ? -1 : guest->socket,
                                .events = POLLIN,
                        };
                }
                poll(ready, party->n, 20);
                for (size_t i = 0; i < party->n; i++)
                        if (ready[i].revents)
                                listen_to_answer(party, &party->guests[i]);
        }
}

Test(tutorials, one_client_at_a_time)
{
        struct daemon *daemon = DAEMON("-o", "max_connections = 1; when_full = \"wait\";");
        struct party party;

        arrive(&party, daemon->port, 3, 0);
        celebrate(&party);
        for (size_t i = 1; i < 3; i++)
                cr_assert_lt(party.guests[i - 1].ended, party.guests[i].answered,
                             "guest %zu was served while guest %zu was there", i, i - 1);
        cr_assert_eq(statistic(daemon, "refused_full"), 0);
        daemon_stop(daemon);
}

Test(tutorials, a_thread_a_client)
{
        struct daemon *daemon = DAEMON();
        struct party party;

        arrive(&party, daemon->port, 3, 3); /* would hang if one had to wait for another */
        celebrate(&party);
        for (size_t i = 0; i < 3; i++)
                for (size_t j = 0; j < 3; j++)
                        cr_assert_lt(party.guests[i].answered, party.guests[j].said_more);
        daemon_stop(daemon);
}

/* Ten silent clients hold every place. */
static void free_the_places_of_silent_clients(void)
{
        struct daemon *daemon = DAEMON("-o", "max_connections = 10; idle_timeout = 0.5;");
        int silent[10], eleventh;

        for (size_t i = 0; i < 10; i++)
                silent[i] = client_connect(daemon->port);
        eleventh = enter_at_once(daemon, FIRST); /* the others are accepted before */
        cr_assert_geq(statistic(daemon, "closed_idle_timeout"), 1);
        for (size_t i = 0; i < 10; i++) {
                client_expect_eof(silent[i]);
                close(silent[i]);
        }
        close(eleventh);
        daemon_stop(daemon);
}

Test(tutorials, a_pool_of_10_threads)
{
        struct daemon *daemon = DAEMON("-o", "max_connections = 10;");
        unsigned first_end = ~0U;
        struct party party;

        arrive(&party, daemon->port, 11, 10);
        celebrate(&party);
        for (size_t i = 0; i < 10; i++)
                first_end = party.guests[i].ended < first_end ? party.guests[i].ended : first_end;
        for (size_t i = 0; i < 10; i++)
                cr_assert_lt(party.guests[i].answered, first_end);
        cr_assert_gt(party.guests[10].answered, first_end, "an eleventh was served beside ten");
        daemon_stop(daemon);
        free_the_places_of_silent_clients();
}

static unsigned count_threads(const struct daemon *daemon)
{
        struct dirent *entry;
        unsigned n = 0;
        char path[64];
        DIR *tasks;

        snprintf(path, sizeof(path), "/proc/%d/task", (int)daemon->pid);
        tasks = opendir(path);
        cr_assert_not_null(tasks);
        while ((entry = readdir(tasks)))
                n += entry->d_name[0] != '.';
        closedir(tasks);
        return n;
}

Test(tutorials, a_selector_loop)
{
        struct daemon *daemon = DAEMON("-o", "workers = 1; write_timeout = 0;");
        int unwritable = client_connect(daemon->port);
        struct party party;
        uint64_t sent = 0;

        fill_until_pending(daemon, &unwritable, &sent, 1);
        cr_assert_eq(count_threads(daemon), 1, "the only worker is the main thread");
        arrive(&party, daemon->port, 3, 3);
        celebrate(&party);
        client_receive_pattern(unwritable, 0, sent);
        close(unwritable);
        daemon_stop(daemon);
}

static double idle_lateness(void)
{
        struct daemon *daemon = DAEMON("-o", "idle_timeout = 0.7; log_connections = true;");
        int client = client_connect(daemon->port);
        double after = closed_after(daemon, "idle_timeout");

        cr_assert_geq(after, 0.7);
        client_expect_eof(client);
        close(client);
        daemon_stop(daemon);
        return after - 0.7;
}

static double lifetime_lateness(void)
{
        struct daemon *daemon = DAEMON("-o", "max_lifetime = 0.9; log_connections = true;");
        int client = enter_at_once(daemon, FIRST);
        double after = closed_after(daemon, "max_lifetime");

        cr_assert_geq(after, 0.9);
        client_expect_eof(client);
        close(client);
        daemon_stop(daemon);
        return after - 0.9;
}

/*
 * On a Unix socket, where no probe of TCP's moves a byte later: echod makes no more progress after
 * the last bytes that it takes from the client.
 */
static double write_lateness(void)
{
        const char *path = scratch_path("write.sock");
        double progress, after;
        struct daemon *daemon;
        int client;

        daemon = DAEMON("-o", scratch_listener("write.sock"), "-o",
                        "write_timeout = 0.8; log_connections = true;");
        client = client_connect_unix(path);
        progress = stuff_until_reset(client);
        after = closed_after(daemon, "write_timeout");
        cr_assert_geq(after, 0.8);
        close(client);
        daemon_stop(daemon);
        return after - 0.8 - progress;
}

/* The time stamp of the line that has `needle`, in seconds of the day. */
static double logged_at(struct daemon *daemon, const char *needle)
{
        unsigned hours, minutes;
        size_t position = 0;
        double seconds;

        cr_assert_eq(sscanf(await_line(daemon, &position, needle), "%*[0-9-]T%2u:%2u:%lf", &hours,
                            &minutes, &seconds),
                     3);
        return hours * 3600 + minutes * 60 + seconds;
}

static double drain_lateness(void)
{
        struct daemon *daemon = DAEMON("-o", "drain_timeout = 0.6; log_connections = true;");
        int client = client_connect(daemon->port);
        uint64_t began_ms;
        double waited;

        client_echo(client, FIRST);
        began_ms = now_ms();
        daemon_signal(daemon, SIGTERM);
        client_expect_reset(client);
        cr_assert_geq(now_ms() - began_ms, 590);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        waited = logged_at(daemon, "reason=drain") - logged_at(daemon, "no longer accepting");
        waited += waited < 0 ? 86400 : 0; /* midnight */
        close(client);
        daemon_free(daemon);
        return waited - 0.6;
}

Test(tutorials, tasks_that_are_awaited_and_cancelled)
{
        struct daemon *daemon = DAEMON("-o", "drain_timeout = 4;");
        int silent = client_connect(daemon->port);
        struct party party;

        arrive(&party, daemon->port, 3, 3);
        await_statistic(daemon, "accepted", 4);
        daemon_signal(daemon, SIGTERM);
        daemon_await_log(daemon, "no longer accepting");
        assert_refuses(daemon->port);
        celebrate(&party);
        client_expect_reset(silent);
        close(silent);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        daemon_free(daemon);

        expect_punctual("idle", idle_lateness);
        expect_punctual("lifetime", lifetime_lateness);
        expect_punctual("write", write_lateness);
        expect_punctual("drain", drain_lateness);
}
