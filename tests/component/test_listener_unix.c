#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "porch.h"
#include "stage.h"

TestSuite(listener_unix, .timeout = HANG_S);

static mode_t mode_of(const char *path)
{
        struct stat status;

        cr_assert_eq(lstat(path, &status), 0);
        return status.st_mode & 07777;
}

/* A socket's file as a daemon that was killed leaves it. */
static void make_stale(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);

        strcpy(address.sun_path, path);
        cr_assert_eq(bind(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
        close(descriptor);
}

static void serve_one(struct porch *porch, const char *path)
{
        unsigned n = porch->n_accepted;
        int client = client_connect_unix(path);

        porch_await(porch, n + 1);
        cr_assert_eq(porch->peers[n].family, AF_UNIX);
        close(client);
}

Test(listener_unix, accepts_and_removes_its_file_at_close)
{
        const struct place place = make_place();
        const struct listener_options options = porch_unix(place.path);
        struct porch porch;

        porch_init(&porch);
        porch_open(&porch, &options);
        cr_assert_str_eq(porch.listener->name, place.path);
        serve_one(&porch, place.path);
        listener_close(porch.listener);
        porch_close(&porch);
        leave_place(&place);
}

struct attempt {
        struct porch porch;
        struct listener_options options;
};

static void open_and_close(void *user)
{
        struct attempt *attempt = user;
        int r = porch_try(&attempt->porch, &attempt->options);

        cr_assert_eq(r < 0, faults_have_struck());
        if (r == 0)
                listener_close(attempt->porch.listener);
        cr_assert(!poller_turn(&attempt->porch.poller, true), "something is left in the loop");
        cr_assert_eq(access(attempt->options.path, F_OK), -1, "the file is left");
}

Test(listener_unix, each_call_that_fails_at_open_leaves_nothing)
{
        const struct place place = make_place();
        struct attempt attempt;

        porch_init(&attempt.porch);
        attempt.options = porch_unix(place.path);
        faults_force_each(open_and_close, &attempt);
        porch_close(&attempt.porch);
        leave_place(&place);
}

Test(listener_unix, a_stale_file_is_replaced)
{
        const struct place place = make_place();
        const struct listener_options options = porch_unix(place.path);
        struct porch porch;

        make_stale(place.path);
        porch_init(&porch);
        porch_open(&porch, &options);
        serve_one(&porch, place.path);
        listener_close(porch.listener);
        porch_close(&porch);
        leave_place(&place);
}

Test(listener_unix, a_live_socket_is_refused)
{
        const struct place place = make_place();
        const struct listener_options options = porch_unix(place.path);
        struct porch porch, second;

        porch_init(&porch);
        porch_open(&porch, &options);
        porch_init(&second);
        cr_assert_eq(porch_try(&second, &options), -EADDRINUSE);
        porch_close(&second);
        porch_await(&porch, 1); /* the second one's look whether anybody is there */
        serve_one(&porch, place.path);
        listener_close(porch.listener);
        porch_close(&porch);
        leave_place(&place);
}

/* Its queue is full, so that a look whether anybody is there gets no answer. */
Test(listener_unix, a_live_socket_with_a_full_queue_is_refused)
{
        const struct place place = make_place();
        struct listener_options options = porch_unix(place.path);
        struct porch porch, second;
        int clients[2];

        options.backlog = 1;
        porch_init(&porch);
        porch_open(&porch, &options);
        clients[0] = client_connect_unix(place.path);
        clients[1] = client_connect_unix(place.path);
        porch_init(&second);
        cr_assert_eq(porch_try(&second, &options), -EADDRINUSE);
        porch_close(&second);
        porch_await(&porch, 2);
        serve_one(&porch, place.path);
        close(clients[0]);
        close(clients[1]);
        listener_close(porch.listener);
        porch_close(&porch);
        leave_place(&place);
}

Test(listener_unix, a_file_that_is_no_socket_is_kept)
{
        const struct place place = make_place();
        const struct listener_options options = porch_unix(place.path);
        struct porch porch;

        close(open(place.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        porch_init(&porch);
        cr_assert_eq(porch_try(&porch, &options), -EADDRINUSE);
        porch_close(&porch);
        cr_assert_eq(unlink(place.path), 0);
        leave_place(&place);
}

Test(listener_unix, a_directory_that_does_not_exist_is_an_error)
{
        const struct listener_options options = porch_unix("/nonexistent/directory/socket");
        struct porch porch;

        porch_init(&porch);
        cr_assert_eq(porch_try(&porch, &options), -ENOENT);
        porch_close(&porch);
}

Test(listener_unix, a_file_that_another_has_put_in_its_place_is_kept)
{
        const struct place place = make_place();
        const struct listener_options options = porch_unix(place.path);
        struct listener *first;
        struct porch porch;

        porch_init(&porch);
        porch_open(&porch, &options);
        first = porch.listener;
        cr_assert_eq(unlink(place.path), 0);
        porch_open(&porch, &options);
        listener_close(first);
        porch_turn(&porch);
        serve_one(&porch, place.path);
        listener_close(porch.listener);
        porch_close(&porch);
        leave_place(&place);
}

Test(listener_unix, has_the_mode_that_was_asked_for_whatever_the_umask)
{
        static const mode_t modes[] = {0600, 0660, 0666, 0777, 0};
        const struct place place = make_place();

        umask(0077);
        for (int i = 0; i < 5; i++) {
                struct listener_options options = porch_unix(place.path);
                struct porch porch;

                options.mode = modes[i];
                porch_init(&porch);
                porch_open(&porch, &options);
                cr_assert_eq(mode_of(place.path), modes[i]);
                cr_assert_eq(umask(0077), 0077, "the umask has changed");
                listener_close(porch.listener);
                porch_close(&porch);
        }
        leave_place(&place);
}

Test(listener_unix, mode_changes_while_it_listens)
{
        const struct place place = make_place();
        struct listener_options options = porch_unix(place.path);
        struct porch porch;

        porch_init(&porch);
        porch_open(&porch, &options);
        options.mode = 0600;
        faults_fail(FAULT_CHMOD, 1, 1, EPERM);
        cr_assert_eq(listener_reconfigure(porch.listener, &options), -EPERM);
        cr_assert_eq(porch.listener->options.mode, 0660);
        cr_assert_eq(mode_of(place.path), 0660);
        cr_assert_eq(listener_reconfigure(porch.listener, &options), 0);
        cr_assert_eq(mode_of(place.path), 0600);
        listener_close(porch.listener);
        porch_close(&porch);
        leave_place(&place);
}

Test(listener_unix, a_retired_one_first_serves_its_queue)
{
        const struct place place = make_place();
        const struct listener_options options = porch_unix(place.path);
        struct porch porch;
        int clients[100];

        porch_init(&porch);
        porch_open(&porch, &options);
        for (int i = 0; i < 100; i++)
                clients[i] = client_connect_unix(place.path);
        cr_assert(!listener_retire(porch.listener, false));
        while (porch.n_retired == 0)
                porch_turn(&porch);
        cr_assert_eq(porch.n_accepted, 100);
        for (int i = 0; i < 100; i++)
                close(clients[i]);
        porch_close(&porch);
        leave_place(&place);
}

Test(listener_unix, a_retired_one_with_nobody_waiting_may_be_closed_at_once)
{
        const struct place place = make_place();
        const struct listener_options options = porch_unix(place.path);
        struct porch porch;

        porch_init(&porch);
        porch_open(&porch, &options);
        cr_assert(listener_retire(porch.listener, false));
        listener_close(porch.listener);
        porch_close(&porch);
        leave_place(&place);
}

Test(listener_unix, finish_accepts_the_queue_of_a_paused_one)
{
        const struct place place = make_place();
        const struct listener_options options = porch_unix(place.path);
        struct porch porch;
        int clients[50];

        porch_init(&porch);
        porch_open(&porch, &options);
        listener_pause(porch.listener);
        for (int i = 0; i < 50; i++)
                clients[i] = client_connect_unix(place.path);
        listener_finish(porch.listener);
        cr_assert_eq(porch.n_accepted, 50);
        for (int i = 0; i < 50; i++)
                close(clients[i]);
        porch_close(&porch);
        leave_place(&place);
}
