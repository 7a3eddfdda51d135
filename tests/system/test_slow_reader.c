/*
 * Clients that send and do not read: echod stops reading them, and they cost one read's worth of
 * memory and no CPU time.
 */

#include "observe.h"

#define N_STUCK     100
#define READ_BUFFER 131072 /* the default */

/* Of the 200 that one that spins uses in two seconds; a sanitizer has a thread of its own. */
#define MAX_TICKS 2

/* A crowd of stuck clients, and one neighbour on the same worker. */
struct scene {
        struct daemon *daemon;
        int neighbour;
        int clients[N_STUCK];
        uint64_t sent[N_STUCK];
        size_t n_clients;
};

static struct scene set_scene(size_t n_clients, int (*connect_client)(uint16_t port))
{
        struct scene scene = {.n_clients = n_clients};

        scene.daemon = DAEMON("-o", "workers = 1; write_timeout = 0;");
        scene.neighbour = client_connect(scene.daemon->port);
        client_echo(scene.neighbour, "before");
        for (size_t i = 0; i < n_clients; i++)
                scene.clients[i] = connect_client(scene.daemon->port);
        return scene;
}

/* Takes little, and sends so much at once that echod's reads are full ones. */
static int connect_greedy(uint16_t port)
{
        int fd = client_connect_with_buffer(port, 4096);

        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){262144}, sizeof(int));
        return fd;
}

static void leave_scene(struct scene *scene)
{
        for (size_t i = 0; i < scene->n_clients; i++)
                client_abort(scene->clients[i]);
        close(scene->neighbour);
        daemon_stop(scene->daemon);
}

Test(slow_reader, a_client_that_never_reads_is_no_longer_read)
{
        struct scene scene = set_scene(1, connect_narrow);
        uint64_t sent;

        fill_until_stuck(scene.daemon, scene.clients, scene.sent, 1);
        sent = scene.sent[0];
        fill_all(scene.clients, scene.sent, 1);
        cr_assert_eq(scene.sent[0], sent, "it still takes bytes");
        leave_scene(&scene);
}

Test(slow_reader, when_it_reads_again_every_byte_arrives)
{
        struct scene scene = set_scene(1, client_connect);

        fill_until_pending(scene.daemon, scene.clients, scene.sent, 1);
        client_receive_pattern(scene.clients[0], 0, scene.sent[0]);
        client_half_close(scene.clients[0]);
        client_expect_eof(scene.clients[0]);
        leave_scene(&scene);
}

Test(slow_reader, after_it_has_caught_up_it_is_served_as_before)
{
        struct scene scene = set_scene(1, client_connect);

        for (int i = 0; i < 3; i++) {
                uint64_t sent = scene.sent[0];

                fill_until_pending(scene.daemon, scene.clients, scene.sent, 1);
                client_receive_pattern(scene.clients[0], sent, scene.sent[0] - sent);
        }
        client_echo(scene.clients[0], "after");
        cr_assert_eq(statistic(scene.daemon, "pending_bytes"), 0);
        leave_scene(&scene);
}

Test(slow_reader, a_hundred_stuck_clients_leave_their_neighbours_alone)
{
        struct scene scene = set_scene(N_STUCK, connect_narrow);
        int late;

        fill_until_stuck(scene.daemon, scene.clients, scene.sent, N_STUCK);
        for (int i = 0; i < 100; i++)
                client_echo(scene.neighbour, "still here");
        late = client_connect(scene.daemon->port);
        client_exchange(late, 1 << 20, 10000);
        close(late);
        leave_scene(&scene);
}

Test(slow_reader, a_hundred_stuck_clients_use_no_cpu_time)
{
        struct scene scene = set_scene(N_STUCK, connect_narrow);

        fill_until_stuck(scene.daemon, scene.clients, scene.sent, N_STUCK);
        expect_idle(scene.daemon, 2000, MAX_TICKS);
        leave_scene(&scene);
}

Test(slow_reader, a_stuck_client_that_half_closes_uses_no_cpu_time)
{
        struct scene scene = set_scene(10, connect_narrow);

        fill_until_stuck(scene.daemon, scene.clients, scene.sent, 10);
        for (int i = 0; i < 10; i++)
                client_half_close(scene.clients[i]);
        sleep_ms(QUIET_MS);
        expect_idle(scene.daemon, 2000, MAX_TICKS);
        leave_scene(&scene);
}

Test(slow_reader, a_hundred_stuck_clients_cost_at_most_one_read_each)
{
        struct scene scene;
        size_t before, after;

        if (daemon_is_sanitized())
                cr_skip_test("a sanitizer has memory of its own");
        unsetenv("MALLOC_PERTURB_"); /* Meson's: malloc(3) would touch what it gives */
        scene = set_scene(N_STUCK, connect_greedy);
        client_exchange(client_connect(scene.daemon->port), 1 << 20, 65536); /* warms up */
        before = daemon_resident_bytes(scene.daemon);
        fill_until_stuck(scene.daemon, scene.clients, scene.sent, N_STUCK);
        after = daemon_resident_bytes(scene.daemon);
        cr_log_info("%zu bytes a client", (after - before) / N_STUCK);
        cr_assert_leq(statistic(scene.daemon, "pending_bytes"), N_STUCK * READ_BUFFER);
        cr_assert_leq(after, before + N_STUCK * (READ_BUFFER + 1024), "%zu bytes a client",
                      (after - before) / N_STUCK);
        leave_scene(&scene);
}

Test(slow_reader, memory_held_for_stuck_clients_is_given_back)
{
        struct scene scene = set_scene(10, client_connect);

        fill_until_pending(scene.daemon, scene.clients, scene.sent, 10);
        for (int i = 0; i < 10; i++)
                client_receive_pattern(scene.clients[i], 0, scene.sent[i]);
        await_statistic(scene.daemon, "pending_bytes", 0);
        leave_scene(&scene);
}
