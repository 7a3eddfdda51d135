/* What comes after its time is late, whichever of the two echoc gets to see first. */

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "echoc_outcome.h"

#define SIZE       64
#define TIMEOUT    "1"
#define TIMEOUT_MS 1000

/* The test is the server. */
static int listener;
static const char *port;

static void begin(void)
{
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        socklen_t length = sizeof(address);

        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(listener, (struct sockaddr *)&address, length), 0);
        cr_assert_eq(listen(listener, 8), 0);
        cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
        port = port_text(ntohs(address.sin_port));
}

TestSuite(echoc_late, .init = begin);

/* A client and its message. */
static int take_message(uint8_t message[SIZE])
{
        int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        cr_assert_eq(recv(peer, message, SIZE, MSG_WAITALL), SIZE);
        return peer;
}

static void answer(int peer, const uint8_t message[SIZE])
{
        cr_assert_eq(send(peer, message, SIZE, MSG_NOSIGNAL), SIZE);
}

/* While it waits: it has had time to return to that. */
static void stop(pid_t pid)
{
        int status;

        sleep_ms(50);
        kill(pid, SIGSTOP);
        cr_assert_eq(waitpid(pid, &status, WUNTRACED), pid);
        cr_assert(WIFSTOPPED(status));
}

/* As Ctrl-Z does, and fg when the time is over. The answer has been there before. */
static void answer_while_it_is_stopped(pid_t pid, void *user)
{
        uint8_t message[SIZE];
        int peer = take_message(message);

        (void)user;
        stop(pid);
        answer(peer, message);
        sleep_ms(TIMEOUT_MS + 100);
        kill(pid, SIGCONT);
}

/* When two messages are under way. */
static void say_nothing_and_interrupt(pid_t pid, void *user)
{
        uint8_t message[SIZE];

        (void)user;
        cr_assert_eq(recv(take_message(message), message, SIZE, MSG_WAITALL), SIZE);
        stop(pid);
        sleep_ms(TIMEOUT_MS + 100);
        kill(pid, SIGINT);
        kill(pid, SIGCONT);
}

/* The second one after its time, but soon after the first one. */
static void answer_two_one_after_the_other(pid_t pid, void *user)
{
        uint8_t messages[2][SIZE];
        int peers[2];

        (void)pid;
        (void)user;
        for (int i = 0; i < 2; i++)
                peers[i] = take_message(messages[i]);
        for (int i = 0; i < 2; i++) {
                sleep_ms(TIMEOUT_MS * 6 / 10);
                send(peers[i], messages[i], SIZE, MSG_NOSIGNAL);
        }
}

Test(echoc_late, an_answer_to_a_probe_that_is_read_before_it_is_missed)
{
        ECHOC_WHEN(&outcome, "ECHO", answer_while_it_is_stopped, NULL, "-c", "1", "-W", TIMEOUT,
                   "127.0.0.1", port);
        expect_status(1);
        expect_out("^64 bytes from 127\\.0\\.0\\.1: seq=1 time=[0-9.]+ ms \\(late\\)$");
        expect_out("^1 sent, 1 received, 0% lost, 1 late, 0 wrong,");
}

Test(echoc_late, a_message_whose_time_is_over_at_an_interrupt_is_not_under_way)
{
        ECHOC_WHEN(&outcome, "ECHO", say_nothing_and_interrupt, NULL, "-c", "2", "-i", "0.01", "-W",
                   TIMEOUT, "127.0.0.1", port);
        expect_status(1);
        expect_out("^seq=2: no answer within 1 s$");
        expect_out("^2 sent, 0 received, 100% lost,");
        cr_assert_eq(count_text(outcome.out, "under way"), 0, "%s", outcome.out);
}

Test(echoc_late, a_first_answer_that_hold_reads_before_it_is_missed)
{
        ECHOC_WHEN(&outcome, "HOLD", answer_while_it_is_stopped, NULL, "--hold", "-n", "1", "-t",
                   "0.1", "-W", TIMEOUT, "127.0.0.1", port);
        expect_status(1);
        cr_assert_eq(count_text(outcome.out, "1 of 1 open"), 0, "%s", outcome.out);
        expect_out("^1 opened, .* 0 still echo, 1 lost: 1 no answer$");
}

static void answer_and_then_while_it_is_stopped(pid_t pid, void *user)
{
        uint8_t message[SIZE];
        int peer = take_message(message);

        (void)user;
        answer(peer, message);
        cr_assert_eq(recv(peer, message, SIZE, MSG_WAITALL), SIZE);
        stop(pid);
        answer(peer, message);
        sleep_ms(TIMEOUT_MS + 100);
        kill(pid, SIGCONT);
}

Test(echoc_late, a_last_answer_that_hold_reads_before_it_is_missed)
{
        ECHOC_WHEN(&outcome, "HOLD", answer_and_then_while_it_is_stopped, NULL, "--hold", "-n", "1",
                   "-t", "0.1", "-W", TIMEOUT, "127.0.0.1", port);
        expect_status(1);
        expect_out("^1 opened, .* 0 still echo, 1 lost: 1 no answer$");
}

Test(echoc_late, each_connection_that_is_opened_has_a_time_of_its_own)
{
        ECHOC_WHEN(&outcome, "HOLD", answer_two_one_after_the_other, NULL, "--hold", "-n", "2",
                   "-t", "0.1", "-W", TIMEOUT, "127.0.0.1", port);
        expect_status(1);
        expect_out("^connection [01]: no answer after [0-9.]+ s$");
        cr_assert_eq(count_text(outcome.out, "2 of 2 open"), 0, "%s", outcome.out);
}

Test(echoc_late, an_answer_in_a_transcript_that_is_read_before_it_is_missed)
{
        static const char text[] =
                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

        ECHOC_WHEN(&outcome, "connects", answer_while_it_is_stopped, NULL, "--transcript",
                   "--clients", "1", "-i", "0.01", "-m", text, "-W", TIMEOUT, "127.0.0.1", port);
        expect_status(1);
        expect_out("Client 0 receives no answer within 1 s\\.$");
        cr_assert_eq(count_text(outcome.out, "receives"), 1, "%s", outcome.out);
}
