/*
 * Clients that reset, abort or vanish, at any moment: their connection ends, nothing leaks, and
 * nobody else notices.
 */

#include <sys/wait.h>

#include "observe.h"
#include "scratch.h"

TestSuite(reset, .init = scratch_make, .fini = scratch_remove);

/* A daemon with one worker, and a neighbour that has to notice nothing. */
struct scene {
        struct daemon *daemon;
        int neighbour;
        unsigned n_descriptors;
};

/* A worker keeps the pipe that it makes for its first stream. */
static void have_a_pipe_made(struct daemon *daemon)
{
        int client = client_connect(daemon->port);

        client_exchange(client, 8 << 20, 1 << 18);
        close(client);
        await_statistic(daemon, "connections", 1);
}

static struct scene set_scene(void)
{
        struct scene scene = {.daemon = DAEMON("-o", "workers = 1; write_timeout = 0;")};

        scene.neighbour = client_connect(scene.daemon->port);
        client_echo(scene.neighbour, "before");
        have_a_pipe_made(scene.daemon);
        scene.n_descriptors = daemon_count_descriptors(scene.daemon);
        return scene;
}

/* Expects that nothing has leaked, that the neighbour is well, and a regular exit. */
static void leave_scene(struct scene *scene)
{
        await_descriptors(scene->daemon, scene->n_descriptors);
        await_statistic(scene->daemon, "connections", 1);
        cr_assert_eq(statistic(scene->daemon, "pending_bytes"), 0);
        client_echo(scene->neighbour, "after");
        close(scene->neighbour);
        daemon_stop(scene->daemon);
}

static const char BYTES[200000];

/* The moments at which a client may go. */
static void go_at_once(int client)
{
        client_abort(client);
}

static void go_after_sending(int client)
{
        client_send(client, BYTES, 1000);
        client_abort(client);
}

static void go_without_reading(int client)
{
        client_send(client, BYTES, sizeof(BYTES));
        close(client); /* with unread bytes: the kernel resets */
}

static void go_between_read_and_write(int client)
{
        char byte;

        client_send(client, BYTES, 5000);
        client_receive(client, &byte, 1);
        client_abort(client);
}

static void go_after_half_closing(int client)
{
        client_send(client, BYTES, sizeof(BYTES));
        client_half_close(client);
        client_abort(client);
}

static void go_deaf(int client)
{
        client_send(client, BYTES, 1000);
        shutdown(client, SHUT_RDWR);
        close(client);
}

static void go_with_output_pending(int client)
{
        /* So that it takes less than it sends. */
        setsockopt(client, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
        for (int i = 0; i < 100; i++)
                if (send(client, BYTES, sizeof(BYTES), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                        break;
        client_abort(client);
}

Test(reset, clients_that_go_at_any_moment_leave_nothing_behind)
{
        void (*const ways[])(int) = {
                go_at_once,
                go_after_sending,
                go_without_reading,
                go_between_read_and_write,
                go_after_half_closing,
                go_deaf,
                go_with_output_pending,
        };
        const int n_ways = sizeof(ways) / sizeof(ways[0]);
        struct scene scene = set_scene();

        for (int i = 0; i < 100 * n_ways; i++) {
                ways[i % n_ways](client_connect(scene.daemon->port));
                if (i % 20 == 0)
                        client_echo(scene.neighbour, "meanwhile");
        }
        leave_scene(&scene);
}

Test(reset, a_crowd_that_resets_with_output_pending_leaves_nothing_behind)
{
        enum { N = 100 };
        struct scene scene = set_scene();
        uint64_t sent[N] = {0};
        int clients[N];

        for (int i = 0; i < N; i++)
                clients[i] = connect_narrow(scene.daemon->port);
        fill_until_pending(scene.daemon, clients, sent, N);
        for (int i = 0; i < N; i++)
                client_abort(clients[i]);
        leave_scene(&scene);
}

Test(reset, clients_that_go_before_they_are_accepted_do_not_stop_those_behind_them)
{
        enum { N = 200 };
        struct scene scene = set_scene();
        int stayers[N];

        daemon_signal(scene.daemon, SIGSTOP);
        for (int i = 0; i < N; i++) {
                int goer = client_connect(scene.daemon->port);

                if (i % 2)
                        client_send(goer, "gone", 4);
                client_abort(goer);
                stayers[i] = client_connect(scene.daemon->port);
        }
        daemon_signal(scene.daemon, SIGCONT);
        for (int i = 0; i < N; i++)
                client_echo(stayers[i], "still here");
        for (int i = 0; i < N; i++)
                close(stayers[i]);
        leave_scene(&scene);
}

Test(reset, clients_that_send_and_go_before_they_are_accepted_do_no_harm)
{
        enum { N = 200 };
        struct scene scene = set_scene();

        daemon_signal(scene.daemon, SIGSTOP);
        for (int i = 0; i < N; i++) {
                int goer = client_connect(scene.daemon->port);

                client_send(goer, BYTES, 10000);
                if (i % 2)
                        client_half_close(goer);
                close(goer);
        }
        daemon_signal(scene.daemon, SIGCONT);
        leave_scene(&scene);
}

/* Connects, gets stuck with output pending, says so, and waits to be killed. */
static void be_stuck(uint16_t port, int parent)
{
        enum { N = 20 };
        uint64_t sent[N] = {0};
        int clients[N];

        for (int i = 0; i < N; i++)
                clients[i] = connect_narrow(port);
        fill_all(clients, sent, N);
        client_send(parent, "!", 1);
        pause();
        _exit(0);
}

Test(reset, clients_whose_process_is_killed_leave_nothing_behind)
{
        struct scene scene = set_scene();
        int ends[2];
        char byte;
        pid_t pid;

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0)
                be_stuck(scene.daemon->port, ends[1]);
        close(ends[1]);
        client_receive(ends[0], &byte, 1);
        cr_assert_eq(kill(pid, SIGKILL), 0);
        waitpid(pid, NULL, 0);
        leave_scene(&scene);
}

Test(reset, a_reset_is_noticed_while_nothing_is_read)
{
        struct scene scene = set_scene();
        int client = connect_narrow(scene.daemon->port);
        uint64_t sent = 0;

        fill_until_pending(scene.daemon, &client, &sent, 1);
        client_abort(client);
        await_statistic(scene.daemon, "closed_reset", 1);
        leave_scene(&scene);
}

Test(reset, no_sigpipe_kills)
{
        const char *path = scratch_path("reset.sock");
        struct daemon *daemon;
        int neighbour;

        daemon = DAEMON("-o", scratch_listener("reset.sock"), "-o", "workers = 1;");
        neighbour = client_connect_unix(path);
        for (int i = 0; i < 200; i++) {
                int client = client_connect_unix(path);

                client_send(client, BYTES, 1000);
                close(client); /* on a Unix socket, echod's write is then a broken pipe */
                client_echo(neighbour, "still here");
        }
        close(neighbour);
        daemon_stop(daemon);
}
