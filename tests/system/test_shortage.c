/*
 * Descriptors run out while echod serves: it does not spin, does not die, says so now and then,
 * and goes on by itself.
 */

#include "observe.h"

#define N_SERVED  20
#define N_WAITING 20

/* A daemon whose descriptors are used up, and clients that wait for some. */
struct scene {
        struct daemon *daemon;
        int served[N_SERVED], waiting[N_WAITING];
};

static struct scene set_scene(void)
{
        struct scene scene = {.daemon = DAEMON("-o", "workers = 2;")};
        struct rlimit limit;

        cr_assert_eq(prlimit(scene.daemon->pid, RLIMIT_NOFILE, NULL, &limit), 0);
        limit.rlim_cur = daemon_count_descriptors(scene.daemon) + N_SERVED;
        cr_assert_eq(prlimit(scene.daemon->pid, RLIMIT_NOFILE, &limit, NULL), 0, "prlimit: %s",
                     strerror(errno));
        for (int i = 0; i < N_SERVED; i++) {
                scene.served[i] = client_connect(scene.daemon->port);
                client_echo(scene.served[i], "served");
        }
        for (int i = 0; i < N_WAITING; i++) {
                scene.waiting[i] = client_connect(scene.daemon->port);
                client_send(scene.waiting[i], "hi", 2);
        }
        daemon_await_log(scene.daemon, "cannot accept on 127.0.0.1:");
        return scene;
}

static void expect_answer(int client)
{
        char answer[2];

        client_receive(client, answer, sizeof(answer));
        cr_assert_arr_eq(answer, "hi", sizeof(answer));
}

static void leave_scene(struct scene *scene)
{
        for (int i = 0; i < N_WAITING; i++)
                client_abort(scene->waiting[i]);
        daemon_stop(scene->daemon);
}

Test(shortage, service_resumes_by_itself_when_clients_leave)
{
        struct scene scene = set_scene();

        for (int i = 0; i < N_SERVED; i++)
                close(scene.served[i]);
        for (int i = 0; i < N_WAITING; i++)
                expect_answer(scene.waiting[i]);
        leave_scene(&scene);
}

Test(shortage, waiting_clients_take_the_places_of_those_that_leave_one_by_one)
{
        struct scene scene = set_scene();

        for (int i = 0; i < 5; i++) {
                close(scene.served[i]);
                expect_answer(scene.waiting[i]);
                cr_assert_not(client_is_readable(scene.waiting[i + 1], 0));
        }
        for (int i = 5; i < N_SERVED; i++)
                close(scene.served[i]);
        leave_scene(&scene);
}

Test(shortage, service_resumes_when_the_limit_is_raised)
{
        struct scene scene = set_scene();
        struct rlimit limit;

        cr_assert_eq(prlimit(scene.daemon->pid, RLIMIT_NOFILE, NULL, &limit), 0);
        limit.rlim_cur += N_WAITING;
        cr_assert_eq(prlimit(scene.daemon->pid, RLIMIT_NOFILE, &limit, NULL), 0);
        for (int i = 0; i < N_WAITING; i++)
                expect_answer(scene.waiting[i]);
        for (int i = 0; i < N_SERVED; i++)
                close(scene.served[i]);
        leave_scene(&scene);
}

Test(shortage, it_neither_spins_nor_floods_the_log)
{
        struct scene scene = set_scene();
        uint64_t start = now_ms();
        unsigned n_lines;

        cr_assert_leq(cpu_ticks_during(scene.daemon, 2000), daemon_is_sanitized() ? 20 : 5);
        n_lines = daemon_count_log(scene.daemon, "cannot accept");
        cr_assert_leq(n_lines, 20 + (now_ms() - start) / 200, "%u lines", n_lines);
        daemon_await_log(scene.daemon, " suppressed");
        for (int i = 0; i < N_SERVED; i++) {
                client_echo(scene.served[i], "still served");
                close(scene.served[i]);
        }
        leave_scene(&scene);
}

Test(shortage, it_stops_as_asked_in_the_middle_of_it)
{
        struct scene scene = set_scene();

        for (int i = 0; i < N_WAITING; i++)
                client_abort(scene.waiting[i]);
        for (int i = 0; i < N_SERVED; i++)
                close(scene.served[i]);
        daemon_stop(scene.daemon);
}
