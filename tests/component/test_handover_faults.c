/* Whatever fails while an echod leaves its connections to the next one: they go on. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "handover.h"
#include "inherited.h"
#include "lobby.h"
#include "stage.h"
#include "successor.h"

#define N_CLIENTS 3

TestSuite(handover_faults, .timeout = HANG_S);

/* An echod with clients, and a program that cannot take over: it does not exist. */
struct scene {
        struct lobby lobby;
        struct inherited inherited;
        struct handover handover;
        struct successor successor;
        int clients[N_CLIENTS];
        unsigned n_lost;
};

static char *arguments[] = {NULL};

/* So that what the harness has open is not taken for something that was left open. */
static void close_on_exec(void)
{
        for (int i = 3; i < 1000; i++)
                fcntl(i, F_SETFD, FD_CLOEXEC);
}

static void scene_open(struct scene *scene)
{
        *scene = (struct scene){
                .successor = {.path = "/nonexistent/echod", .argv = arguments},
        };
        lobby_open(&scene->lobby, 1000);
        scene->handover =
                (struct handover){&scene->lobby.acceptor, &scene->lobby.pool, &scene->inherited};
        for (int i = 0; i < N_CLIENTS; i++) {
                scene->clients[i] = lobby_connect(&scene->lobby);
                client_send(scene->clients[i], "text", 4);
        }
        lobby_await_accepted(&scene->lobby, N_CLIENTS);
        for (int i = 0; i < N_CLIENTS; i++)
                client_receive(scene->clients[i], (char[4]){0}, 4);
}

static void scene_close(struct scene *scene)
{
        for (int i = 0; i < N_CLIENTS; i++)
                close(scene->clients[i]);
        lobby_await_load(&scene->lobby, 0);
        lobby_close(&scene->lobby);
}

/* Whoever was reset, for lack of memory after the failure, comes again. */
static void expect_all_go_on(struct scene *scene)
{
        for (int i = 0; i < N_CLIENTS; i++) {
                char answer[4];

                if (send(scene->clients[i], "text", 4, MSG_NOSIGNAL) == 4 &&
                    recv(scene->clients[i], answer, 4, MSG_WAITALL) == 4)
                        continue;
                scene->n_lost++;
                close(scene->clients[i]);
                scene->clients[i] = lobby_connect(&scene->lobby);
                client_send(scene->clients[i], "text", 4);
                while (!client_is_readable(scene->clients[i], 0))
                        lobby_turn(&scene->lobby);
                client_receive(scene->clients[i], answer, 4);
        }
        cr_assert_null(getenv("ECHOD_HANDOVER"));
        for (int i = 3; i < 1000; i++) {
                int flags = fcntl(i, F_GETFD);

                cr_assert(flags < 0 || flags & FD_CLOEXEC, "%d stays open", i);
        }
}

Test(handover_faults, after_a_failed_exec_all_go_on)
{
        struct scene scene;

        close_on_exec();
        scene_open(&scene);
        for (int i = 0; i < 3; i++) {
                cr_assert_eq(handover_exec(&scene.handover, &scene.successor), -ENOENT);
                expect_all_go_on(&scene);
        }
        cr_assert_eq(scene.n_lost, 0);
        cr_assert_eq(faults_n_logged("handing over 3 connections"), 3);
        scene_close(&scene);
        expect_no_leaks();
}

static void try_exec(void *user)
{
        struct scene *scene = user;

        cr_assert_lt(handover_exec(&scene->handover, &scene->successor), 0);
        if (faults_have_struck())
                close_on_exec(); /* should just that have failed */
        faults_postpone();
        expect_all_go_on(scene);
}

Test(handover_faults, after_each_call_that_fails_all_go_on)
{
        struct scene scene;

        close_on_exec();
        scene_open(&scene);
        faults_force_each(try_exec, &scene);
        /* Only where memory fails once more, after that which was to fail: it does not here. */
        cr_assert_leq(scene.n_lost, faults_n_logged("reset 1 connections: out of memory") +
                                            faults_n_logged("connection dropped"));
        scene_close(&scene);
        expect_no_leaks();
}

Test(handover_faults, where_there_is_no_systemd_all_go_on)
{
        struct scene scene;

        close_on_exec();
        unsetenv("NOTIFY_SOCKET");
        scene_open(&scene);
        cr_assert_eq(handover_store(&scene.handover, 100), -ENOTSUP);
        expect_all_go_on(&scene);
        setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
        cr_assert_lt(handover_store(&scene.handover, 100), 0);
        expect_all_go_on(&scene);
        cr_assert_eq(handover_store(&scene.handover, 2), -ENOSPC);
        expect_all_go_on(&scene);
        cr_assert_eq(scene.n_lost, 0);
        scene_close(&scene);
        expect_no_leaks();
}

static void try_store(void *user)
{
        struct scene *scene = user;

        cr_assert_lt(handover_store(&scene->handover, 100), 0);
        faults_postpone();
        expect_all_go_on(scene);
}

Test(handover_faults, after_each_call_that_fails_on_the_way_to_systemd_all_go_on)
{
        struct scene scene;

        close_on_exec();
        setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
        scene_open(&scene);
        faults_force_each(try_store, &scene);
        cr_assert_leq(scene.n_lost, faults_n_logged("reset 1 connections: out of memory") +
                                            faults_n_logged("connection dropped"));
        scene_close(&scene);
        expect_no_leaks();
}

/* What systemd does with what it is sent, in a thread of its own: keeps it, and answers. */
struct manager {
        pthread_t thread;
        int socket;
        struct sockaddr_un address;
        struct {
                int descriptor;
                char name[8];
        } kept[64];
        unsigned n_kept;
};

static void keep(struct manager *manager, const char *text, const struct msghdr *message)
{
        const char *name = strstr(text, "FDNAME=");

        for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control;
             control = CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, control)) {
                size_t n = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                int descriptors[64];

                if (control->cmsg_type != SCM_RIGHTS)
                        continue;
                memcpy(descriptors, CMSG_DATA(control), n * sizeof(int));
                for (size_t i = 0; i < n; i++) {
                        if (!strstr(text, "FDSTORE=1") || !name) {
                                close(descriptors[i]); /* answers a BARRIER=1 */
                                continue;
                        }
                        manager->kept[manager->n_kept].descriptor = descriptors[i];
                        sscanf(name, "FDNAME=%7s", manager->kept[manager->n_kept++].name);
                }
        }
}

static void *manage(void *user)
{
        struct manager *manager = user;
        char text[4096] = "", control[4096];

        while (strcmp(text, "STOP") != 0) {
                struct iovec content = {text, sizeof(text) - 1};
                struct msghdr message = {
                        .msg_iov = &content,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof(control),
                };
                ssize_t n = recvmsg(manager->socket, &message, MSG_CMSG_CLOEXEC);

                text[n > 0 ? n : 0] = '\0';
                keep(manager, text, &message);
        }
        return NULL;
}

static void manager_start(struct manager *manager, const char *path)
{
        *manager = (struct manager){.address.sun_family = AF_UNIX};
        snprintf(manager->address.sun_path, sizeof(manager->address.sun_path), "%s", path);
        manager->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(manager->socket, (struct sockaddr *)&manager->address,
                          sizeof(manager->address)),
                     0);
        setenv("NOTIFY_SOCKET", manager->address.sun_path, 1);
        cr_assert_eq(pthread_create(&manager->thread, NULL, manage, manager), 0);
}

/* Everything that was sent before has come when it returns. */
static void manager_stop(struct manager *manager)
{
        int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        cr_assert_eq(sendto(sender, "STOP", 4, 0, (struct sockaddr *)&manager->address,
                            sizeof(manager->address)),
                     4);
        pthread_join(manager->thread, NULL);
        close(sender);
        close(manager->socket);
        unlink(manager->address.sun_path);
        unsetenv("NOTIFY_SOCKET");
}

static void inherit(struct inherited *inherited, const struct manager *manager)
{
        *inherited = (struct inherited){0};
        for (unsigned i = 0; i < manager->n_kept; i++)
                cr_assert_eq(inherited_add(inherited, manager->kept[i].descriptor,
                                           manager->kept[i].name),
                             0);
}

/* All clients are served by the next one, or, after a failure, reset. */
static void expect_served_or_reset(struct scene *scene)
{
        for (int i = 0; i < N_CLIENTS; i++) {
                char answer[4] = "";

                if (send(scene->clients[i], "next", 4, MSG_NOSIGNAL) == 4 &&
                    recv(scene->clients[i], answer, 4, MSG_WAITALL) == 4)
                        cr_assert_eq(memcmp(answer, "next", 4), 0);
                else
                        scene->n_lost++;
                close(scene->clients[i]);
        }
}

static void leave_and_take_over(void *user)
{
        const struct place *place = user;
        struct inherited inherited;
        struct manager manager;
        struct scene scene;
        struct lobby next;
        struct handover handover = {&next.acceptor, &next.pool, &inherited};

        faults_postpone();
        manager_start(&manager, place->path);
        scene_open(&scene);
        cr_assert_eq(handover_store(&scene.handover, 100), 0);
        manager_stop(&manager);
        cr_assert_eq(manager.n_kept, 3, "state, listener, and a parcel");
        scene.lobby.n_descriptors += N_CLIENTS + manager.n_kept - 1; /* less the manager's own */
        lobby_close(&scene.lobby);

        inherit(&inherited, &manager);
        lobby_init(&next);
        faults_begin();
        handover_take_up(&handover);
        inherited_settle(&inherited, NULL, NULL);
        expect_served_or_reset(&scene);
        faults_postpone();
        cr_assert(scene.n_lost == 0 || faults_have_struck());
        inherited_free(&inherited);
        lobby_await_load(&next, 0);
        next.n_descriptors -= N_CLIENTS + manager.n_kept;
        lobby_close(&next);
}

Test(handover_faults, the_next_one_serves_all_that_systemd_has_kept)
{
        struct place place = make_place();

        leave_and_take_over(&place);
        cr_assert_eq(faults_n_logged("took over 3 connections"), 1);
        leave_place(&place);
        expect_no_leaks();
}

Test(handover_faults, after_each_call_that_fails_the_next_one_serves_or_resets)
{
        struct place place = make_place();

        faults_force_each(leave_and_take_over, &place);
        leave_place(&place);
        expect_no_leaks();
}
