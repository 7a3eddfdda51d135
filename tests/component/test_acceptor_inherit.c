/* Listeners on sockets that came with the process. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "faults.h"
#include "handed.h"
#include "inherited.h"
#include "lobby.h"
#include "port.h"
#include "stage.h"

TestSuite(acceptor_inherit, .timeout = HANG_S);

#define FIRST 300

struct scene {
        struct lobby lobby;
        struct inherited inherited;
        struct stat identity; /* of the socket */
};

/* A lobby whose acceptor finds this socket among what was inherited. */
static void scene_open(struct scene *scene, int socket, const char *name)
{
        char *names[1] = {strdup(name)};

        cr_assert_eq(fstat(socket, &scene->identity), 0);
        cr_assert_eq(dup3(socket, FIRST, O_CLOEXEC), FIRST);
        close(socket);
        lobby_init(&scene->lobby);
        scene->lobby.n_descriptors--; /* the socket will be closed */
        cr_assert_eq(inherited_init(&scene->inherited, FIRST, 1, names), 0);
        acceptor_inherit(&scene->lobby.acceptor, &scene->inherited);
}

static void scene_close(struct scene *scene)
{
        inherited_free(&scene->inherited);
        lobby_close(&scene->lobby);
}

static bool is_the_socket(const struct scene *scene, const struct listener *listener)
{
        struct stat status;

        cr_assert_eq(fstat(listener->descriptor, &status), 0);
        return status.st_ino == scene->identity.st_ino;
}

static unsigned n_listeners(struct lobby *lobby)
{
        unsigned n = 0;

        LIST_FOR_EACH_SAFE (node, following, &lobby->acceptor.listeners.active)
                n++;
        return n;
}

static void assert_serves(struct lobby *lobby, int client)
{
        lobby_await_accepted(lobby, lobby->acceptor.n_accepted + 1);
        client_echo(client, "served");
        close(client);
        lobby_await_load(lobby, 0);
}

Test(acceptor_inherit, serves_at_the_socket_that_was_handed_in)
{
        struct scene scene;
        uint16_t port = 0;
        int socket = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);
        int early;

        scene_open(&scene, socket, "echod.socket");
        early = client_connect(port);
        lobby_listen(&scene.lobby, "127.0.0.1", port);
        cr_assert_eq(inherited_settle(&scene.inherited, NULL, NULL), 0);
        cr_assert(is_the_socket(&scene, lobby_listener(&scene.lobby, 0)));
        cr_assert_eq(lobby_listener(&scene.lobby, 0)->origin, LISTENER_EXTERNAL);
        assert_serves(&scene.lobby, early);
        assert_serves(&scene.lobby, client_connect(port));
        scene_close(&scene);
}

/* systemd's default for ListenStream=7 is a dual-stack socket. */
Test(acceptor_inherit, a_dual_stack_socket_is_the_listener_on_every_address)
{
        struct scene scene;
        uint16_t port = 0;

        scene_open(&scene, handed_socket(SOCK_STREAM, "::", false, &port), "echod.socket");
        lobby_set_listeners(&scene.lobby, 1, "*", port);
        for (int i = 0; i < 2; i++) { /* the second time nothing changes */
                cr_assert_eq(lobby_apply(&scene.lobby), 0);
                cr_assert_eq(n_listeners(&scene.lobby), 1);
                cr_assert(is_the_socket(&scene, lobby_listener(&scene.lobby, 0)));
                assert_serves(&scene.lobby, client_connect_to("127.0.0.1", port));
                assert_serves(&scene.lobby, client_connect_to("::1", port));
        }
        cr_assert_eq(lobby_listener(&scene.lobby, 0)->name[0], '*');
        scene_close(&scene);
}

Test(acceptor_inherit, half_of_every_address_is_handed_in_and_the_other_bound)
{
        struct scene scene;
        uint16_t port = free_port(); /* on both */

        scene_open(&scene, handed_socket(SOCK_STREAM, "::", true, &port), "echod.socket");
        lobby_listen(&scene.lobby, "*", port);
        cr_assert_eq(n_listeners(&scene.lobby), 2);
        cr_assert(is_the_socket(&scene, lobby_listener(&scene.lobby, 0)));
        cr_assert_eq(lobby_listener(&scene.lobby, 1)->origin, LISTENER_BOUND);
        assert_serves(&scene.lobby, client_connect_to("127.0.0.1", port));
        assert_serves(&scene.lobby, client_connect_to("::1", port));
        scene_close(&scene);
}

Test(acceptor_inherit, a_listener_that_names_the_port_has_precedence_over_any_port)
{
        struct scene scene;
        uint16_t port = 0;

        scene_open(&scene, handed_socket(SOCK_STREAM, "127.0.0.1", false, &port), "echod.socket");
        lobby_set_listeners(&scene.lobby, 2, "127.0.0.1", 0, "127.0.0.1", port);
        cr_assert_eq(lobby_apply(&scene.lobby), 0);
        cr_assert(is_the_socket(&scene, lobby_listener(&scene.lobby, 0)));
        cr_assert_eq(lobby_port(&scene.lobby, 0), port);
        cr_assert_neq(lobby_port(&scene.lobby, 1), port);
        scene_close(&scene);
}

static int option_of(int descriptor, int level, int name)
{
        int value = 0;

        cr_assert_eq(getsockopt(descriptor, level, name, &value, &(socklen_t){sizeof(value)}), 0);
        return value;
}

Test(acceptor_inherit, the_socket_gets_what_the_configuration_says)
{
        struct tcp_info info;
        struct scene scene;
        uint16_t port = 0;
        int descriptor;

        scene_open(&scene, handed_socket(SOCK_STREAM, "127.0.0.1", false, &port), "echod.socket");
        lobby_set_listeners(&scene.lobby, 1, "127.0.0.1", port);
        scene.lobby.listeners[0].backlog = 77;
        scene.lobby.config.tcp_keepalive =
                (struct config_keepalive){.idle_s = 5, .interval_s = 6, .count = 7};
        cr_assert_eq(lobby_apply(&scene.lobby), 0);
        descriptor = lobby_listener(&scene.lobby, 0)->descriptor;
        cr_assert(fcntl(descriptor, F_GETFL) & O_NONBLOCK);
        cr_assert(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
        cr_assert_eq(option_of(descriptor, IPPROTO_TCP, TCP_NODELAY), 1);
        cr_assert_eq(option_of(descriptor, SOL_SOCKET, SO_KEEPALIVE), 1);
        cr_assert_eq(option_of(descriptor, IPPROTO_TCP, TCP_KEEPIDLE), 5);
        cr_assert_eq(option_of(descriptor, IPPROTO_TCP, TCP_KEEPINTVL), 6);
        cr_assert_eq(option_of(descriptor, IPPROTO_TCP, TCP_KEEPCNT), 7);
        cr_assert_eq(option_of(descriptor, SOL_SOCKET, SO_OOBINLINE), 1);
        getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)});
        cr_assert_eq(info.tcpi_sacked, 77); /* of a listening socket: its backlog */
        scene_close(&scene);
}

Test(acceptor_inherit, who_waits_at_an_address_that_comes_back_is_served_then)
{
        struct scene scene;
        uint16_t port = 0;
        int client;

        scene_open(&scene, handed_socket(SOCK_STREAM, "127.0.0.1", false, &port), "echod.socket");
        lobby_listen(&scene.lobby, "127.0.0.1", port);
        lobby_set_listeners(&scene.lobby, 0);
        cr_assert_eq(lobby_apply(&scene.lobby), 0);
        lobby_await_retired(&scene.lobby);
        client = client_connect(port); /* the socket still listens */
        lobby_turn_often(&scene.lobby);
        cr_assert_eq(scene.lobby.acceptor.n_accepted, 0);
        lobby_listen(&scene.lobby, "127.0.0.1", port);
        assert_serves(&scene.lobby, client);
        scene_close(&scene);
}

Test(acceptor_inherit, finishing_leaves_who_waits_at_a_socket_units_socket_to_the_next)
{
        struct scene scene;
        uint16_t port = 0;
        int client, kept;

        scene_open(&scene, handed_socket(SOCK_STREAM, "127.0.0.1", false, &port), "echod.socket");
        lobby_listen(&scene.lobby, "127.0.0.1", port);
        kept = dup(lobby_listener(&scene.lobby, 0)->descriptor); /* as the service manager does */
        client = client_connect(port);
        acceptor_finish(&scene.lobby.acceptor);
        cr_assert_eq(scene.lobby.acceptor.n_accepted, 0);
        cr_assert(client_is_readable(kept, PATIENCE_MS));
        close(client);
        close(kept);
        scene_close(&scene);
}

struct attempt {
        struct scene scene;
        uint16_t port;
};

static void apply_and_retreat(void *user)
{
        struct attempt *attempt = user;
        struct lobby *lobby = &attempt->scene.lobby;
        int r;

        lobby_set_listeners(lobby, 1, "127.0.0.1", attempt->port);
        r = lobby_apply(lobby);
        cr_assert(r == 0 || faults_have_struck());
        cr_assert_eq(n_listeners(lobby), r == 0);
        lobby_set_listeners(lobby, 0);
        cr_assert_eq(lobby_apply(lobby), 0);
        lobby_await_retired(lobby);
        lobby_turn(lobby);
}

Test(acceptor_inherit, each_call_that_fails_leaves_everything_as_it_was)
{
        struct attempt attempt = {0};

        scene_open(&attempt.scene, handed_socket(SOCK_STREAM, "127.0.0.1", false, &attempt.port),
                   "echod.socket");
        faults_force_each(apply_and_retreat, &attempt);
        scene_close(&attempt.scene);
}

Test(acceptor_inherit, the_file_of_a_unix_socket_that_was_handed_in_is_not_touched)
{
        const struct place place = make_place();
        struct stat before, after;
        struct scene scene;

        scene_open(&scene, handed_unix_socket(place.path), "echod.socket");
        cr_assert_eq(chmod(place.path, 0600), 0);
        cr_assert_eq(lstat(place.path, &before), 0);
        lobby_listen(&scene.lobby, place.path, 0);
        assert_serves(&scene.lobby, client_connect_unix(place.path));
        scene.lobby.listeners[0].mode = 0666;
        cr_assert_eq(lobby_apply(&scene.lobby), 0);
        scene_close(&scene);
        cr_assert_eq(lstat(place.path, &after), 0);
        cr_assert_eq(before.st_ino, after.st_ino);
        cr_assert_eq(before.st_mode, after.st_mode);
        unlink(place.path);
        leave_place(&place);
}

Test(acceptor_inherit, a_unix_socket_that_an_earlier_echod_left_is_echods_own)
{
        const struct place place = make_place();
        struct stat status;
        struct scene scene;

        scene_open(&scene, handed_unix_socket(place.path), INHERITED_LISTENER);
        lobby_set_listeners(&scene.lobby, 1, place.path, 0);
        scene.lobby.listeners[0].mode = 0640;
        cr_assert_eq(lobby_apply(&scene.lobby), 0);
        cr_assert(is_the_socket(&scene, lobby_listener(&scene.lobby, 0)));
        cr_assert_eq(lobby_listener(&scene.lobby, 0)->origin, LISTENER_LEFT);
        cr_assert_eq(lstat(place.path, &status), 0);
        cr_assert_eq(status.st_mode & 07777, 0640);
        assert_serves(&scene.lobby, client_connect_unix(place.path));
        scene_close(&scene);
        leave_place(&place);
}
