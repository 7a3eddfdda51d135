/* Load at a rate, which is kept whatever comes back, and when. */

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>

#include "crooked_server.h"
#include "daemon.h"
#include "echoc_outcome.h"
#include "scratch.h"

TestSuite(echoc_load_rate, .init = scratch_make, .fini = scratch_remove);

/* Loads a fresh echod with these options. */
#define LOAD_ECHOD(...)                                                           \
        do {                                                                      \
                struct daemon *daemon = DAEMON();                                 \
                RUN_ECHOC(&outcome, "--load", "--json", __VA_ARGS__, "127.0.0.1", \
                          port_text(daemon->port));                               \
                daemon_stop(daemon);                                              \
        } while (0)

Test(echoc_load_rate, a_rate_is_not_exceeded)
{
        LOAD_ECHOD("-t", "0.5", "-n", "4", "--rate", "100", "--threads", "2");
        expect_json("0 < r['messages'] <= 100 * r['seconds'] + 2 and r['rate'] == 100");
}

/* Five are due before. */
Test(echoc_load_rate, what_is_due_at_the_end_is_not_sent)
{
        LOAD_ECHOD("-t", "0.5", "--rate", "10", "-d", "10");
        expect_status(0);
        expect_json("l['count'] == 5");
}

Test(echoc_load_rate, a_stall_is_not_hidden_when_there_is_a_rate)
{
        struct crooked_server *server = crooked_start(TRICK_DELAY, 640, 1000);

        RUN_ECHOC(&outcome, "--load", "--rate", "100", "-t", "2", "--json", "127.0.0.1",
                  crooked_port(server));
        crooked_stop(server);
        expect_status(0);
        /* One message waited for a second, and a hundred were due behind it meanwhile. */
        expect_json("l['max'] >= 990000000 and l['p90'] >= 500000000");
}

/* Of three connections, how many had two messages, the last one some time before the end. */
static unsigned n_with_their_share(void)
{
        struct daemon *daemon = DAEMON("-o", "log_connections = true;");
        unsigned n;

        RUN_ECHOC(&outcome, "--load", "-n", "3", "--threads", "2", "--rate", "3", "-t", "1.95",
                  "127.0.0.1", port_text(daemon->port));
        expect_status(0);
        daemon_signal(daemon, SIGTERM);
        cr_assert_eq(daemon_await_exit(daemon), 0);
        n = daemon_count_log(daemon, " in=128 ");
        daemon_free(daemon);
        return n;
}

/* A busy machine may not come to the last message in time, but not three times. */
Test(echoc_load_rate, every_connection_has_its_share_whichever_thread_it_is_of)
{
        unsigned n = 0;

        for (int attempt = 0; attempt < 3 && n < 3; attempt++)
                n = n_with_their_share();
        cr_assert_eq(n, 3, "%u connections have their share", n);
}

/* It goes on sending and reading, nothing is lost, and none of them is forgotten. */
Test(echoc_load_rate, a_rate_that_nobody_keeps_harms_nothing)
{
        LOAD_ECHOD("--rate", "1e8", "-t", "2");
        expect_status(0);
        expect_json("r['unsent'] > 0 and l['count'] == 200000000 and sum(e.values()) == 0");
        LOAD_ECHOD("--rate", "1e8", "-t", "0.5", "-n", "300", "-d", "3", "--threads", "2");
        expect_status(0);
        expect_json("r['unsent'] > 0 and l['count'] == 50000000 and sum(e.values()) == 0");
}

Test(echoc_load_rate, a_rate_that_nobody_keeps_can_be_interrupted)
{
        struct daemon *daemon = DAEMON();
        pid_t pid = START_ECHOC("--load", "--rate", "1e8", "-t", "3600", "127.0.0.1",
                                port_text(daemon->port));
        int status;

        sleep_ms(2000); /* in which so much becomes due that it takes longer to go through */
        cr_assert_eq(kill(pid, SIGINT), 0);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0, "something is wrong or lost");
        daemon_stop(daemon);
}

/* Two on each, the last one a while before the end; the first connection ends with its first one.
 */
Test(echoc_load_rate, what_a_dead_connection_cannot_send_is_behind)
{
        struct crooked_server *server = crooked_start(TRICK_RESET, 10, 0);

        RUN_ECHOC(&outcome, "--load", "--json", "--rate", "1", "-n", "2", "-t", "3.9", "-d", "10",
                  "127.0.0.1", crooked_port(server));
        crooked_stop(server);
        expect_status(1);
        expect_json("r['unsent'] + e['unanswered'] == 2 and l['count'] == 4 and e['reset'] == 1");
}

Test(echoc_load_rate, the_heading_tells_a_rate_as_it_was_given)
{
        struct daemon *daemon = DAEMON();

        RUN_ECHOC(&outcome, "--load", "-t", "0.5", "--rate", "1234567", "127.0.0.1",
                  port_text(daemon->port));
        daemon_stop(daemon);
        expect_out(", depth: 1, 1234567 messages a second, 0.5 s\\.$");
}
