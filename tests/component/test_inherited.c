/* Sockets that came with the process, and how listeners find theirs among them. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "faults.h"
#include "handed.h"
#include "inherited.h"
#include "stage.h"

TestSuite(inherited, .timeout = HANG_S);

#define FIRST 300 /* out of Criterion's way */
#define N_MAX 8

/* What came with the process, and what was said about it. */
struct legacy {
        struct inherited inherited;
        size_t n;
        unsigned n_descriptors;
        unsigned n_reports;
        char report[512];
};

static void legacy_init(struct legacy *legacy)
{
        memset(legacy, 0, sizeof(*legacy));
        legacy->n_descriptors = count_descriptors();
}

/* The descriptors move to where they are expected. `names`: separated by colons. */
static void legacy_open(struct legacy *legacy, size_t n, const int descriptors[], const char *names)
{
        char *allocated[N_MAX];

        for (size_t i = 0; i < n; i++) {
                size_t length = strcspn(names, ":");

                cr_assert_eq(dup3(descriptors[i], FIRST + (int)i, O_CLOEXEC), FIRST + (int)i);
                close(descriptors[i]);
                allocated[i] = strndup(names, length);
                names += length + (names[length] != '\0');
        }
        legacy->n = n;
        cr_assert_eq(inherited_init(&legacy->inherited, FIRST, n, allocated), 0);
}

/* One socket, which the socket unit has bound to that address; returns its port. */
static uint16_t legacy_open_one(struct legacy *legacy, int type, const char *address,
                                bool is_v6_only)
{
        uint16_t port = 0;
        int socket;

        legacy_init(legacy);
        socket = handed_socket(type, address, is_v6_only, &port);
        legacy_open(legacy, 1, &socket, "echod.socket");
        return port;
}

static void on_report(void *user, const char *problem)
{
        struct legacy *legacy = user;

        legacy->n_reports++;
        snprintf(legacy->report, sizeof(legacy->report), "%s", problem);
}

static unsigned settle(struct legacy *legacy)
{
        return inherited_settle(&legacy->inherited, on_report, legacy);
}

/* Frees it; expects that nothing is open any more. */
static void legacy_close(struct legacy *legacy)
{
        inherited_free(&legacy->inherited);
        cr_assert_eq(count_descriptors(), legacy->n_descriptors);
        expect_no_leaks();
}

/* inherited_take() of a TCP address. */
static int take(struct legacy *legacy, const char *text, uint16_t port, bool is_dual_stack)
{
        struct address address;
        bool is_external;

        cr_assert_eq(address_parse(&address, text, port), 0);
        return inherited_take(&legacy->inherited, &address, "", is_dual_stack, &is_external);
}

static int take_path(struct legacy *legacy, const char *path)
{
        const struct address address = {.family = AF_UNIX};
        bool is_external;

        return inherited_take(&legacy->inherited, &address, path, false, &is_external);
}

static void close_taken(int descriptor)
{
        cr_assert_geq(descriptor, 0, "%s", strerror(-descriptor));
        close(descriptor);
}

Test(inherited, a_socket_is_found_by_its_address_whatever_its_name_and_place)
{
        uint16_t ports[4] = {0};
        struct legacy legacy;
        int sockets[4];

        legacy_init(&legacy);
        sockets[0] = handed_socket(SOCK_STREAM, "127.0.0.1", false, &ports[0]);
        sockets[1] = handed_socket(SOCK_STREAM, "127.0.0.2", false, &ports[1]);
        sockets[2] = handed_socket(SOCK_STREAM, "::1", true, &ports[2]);
        sockets[3] = handed_socket(SOCK_STREAM, "::ffff:127.0.0.3", false, &ports[3]);
        legacy_open(&legacy, 4, sockets, "echod.socket:unknown::4");
        close_taken(take(&legacy, "127.0.0.3", ports[3], false));
        close_taken(take(&legacy, "::1", ports[2], false));
        close_taken(take(&legacy, "127.0.0.2", ports[1], false));
        close_taken(take(&legacy, "127.0.0.1", ports[0], false));
        cr_assert_eq(settle(&legacy), 0);
        legacy_close(&legacy);
}

Test(inherited, another_port_or_host_is_not_taken_for_it)
{
        struct legacy legacy;
        uint16_t port = legacy_open_one(&legacy, SOCK_STREAM, "127.0.0.1", false);

        cr_assert_eq(take(&legacy, "127.0.0.1", (uint16_t)(port + 1), false), -ENOENT);
        cr_assert_eq(take(&legacy, "127.0.0.2", port, false), -ENOENT);
        cr_assert_eq(take(&legacy, "::1", port, false), -ENOENT);
        cr_assert_eq(take(&legacy, "0.0.0.0", port, false), -ENOENT);
        cr_assert_eq(take_path(&legacy, ""), -ENOENT);
        legacy_close(&legacy);
}

Test(inherited, any_port_stands_for_every_port)
{
        struct legacy legacy;

        legacy_open_one(&legacy, SOCK_STREAM, "127.0.0.1", false);
        cr_assert_eq(take(&legacy, "127.0.0.2", 0, false), -ENOENT);
        close_taken(take(&legacy, "127.0.0.1", 0, false));
        legacy_close(&legacy);
}

Test(inherited, a_dual_stack_socket_is_not_one_for_ipv6_only)
{
        struct legacy legacy;
        uint16_t port = legacy_open_one(&legacy, SOCK_STREAM, "::", false);

        cr_assert_eq(take(&legacy, "::", port, false), -ENOENT);
        close_taken(take(&legacy, "::", port, true));
        legacy_close(&legacy);
}

Test(inherited, a_socket_for_ipv6_only_is_not_a_dual_stack_one)
{
        struct legacy legacy;
        uint16_t port = legacy_open_one(&legacy, SOCK_STREAM, "::", true);

        cr_assert_eq(take(&legacy, "::", port, true), -ENOENT);
        close_taken(take(&legacy, "::", port, false));
        legacy_close(&legacy);
}

Test(inherited, a_unix_socket_is_found_by_its_path)
{
        const struct place place = make_place();
        char other[80];
        struct legacy legacy;
        int socket;

        legacy_init(&legacy);
        snprintf(other, sizeof(other), "%s/socke", place.directory);
        socket = handed_unix_socket(place.path);
        legacy_open(&legacy, 1, &socket, "echod.socket");
        cr_assert_eq(take_path(&legacy, other), -ENOENT);
        close_taken(take_path(&legacy, place.path));
        legacy_close(&legacy);
        cr_assert_eq(unlink(place.path), 0, "the file is the service manager's");
        leave_place(&place);
}

/* `report` is what is said of the only descriptor. */
static void assert_refused(int descriptor, const char *name, const char *report)
{
        struct legacy legacy;

        legacy_init(&legacy);
        legacy.n_descriptors--;
        legacy_open(&legacy, 1, &descriptor, name);
        cr_assert_eq(settle(&legacy), 1);
        cr_assert_str_eq(legacy.report, report);
        legacy_close(&legacy);
}

Test(inherited, an_unexpected_socket_is_named_with_number_name_and_address)
{
        char report[128];
        uint16_t port = 0;
        int socket = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);

        snprintf(report, sizeof(report),
                 "descriptor 300 (web.socket, 127.0.0.1:%u) from the service manager: "
                 "no listener of the configuration is for it",
                 port);
        assert_refused(socket, "web.socket", report);
        port = 0;
        socket = handed_socket(SOCK_STREAM, "::", false, &port);
        snprintf(report, sizeof(report),
                 "descriptor 300 (web.socket, *:%u) from the service manager: "
                 "no listener of the configuration is for it",
                 port);
        assert_refused(socket, "web.socket", report);
}

Test(inherited, what_is_no_listening_stream_socket_is_named)
{
        char report[128];
        uint16_t port = 0;
        int pair[2];

        assert_refused(open("/dev/null", O_RDONLY | O_CLOEXEC), "null",
                       "descriptor 300 (null, no address) from the service manager: "
                       "it is not a socket");
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_refused(pair[0], "pair",
                       "descriptor 300 (pair, unix) from the service manager: it does not listen");
        close(pair[1]);
        pair[0] = handed_socket(SOCK_DGRAM, "127.0.0.1", false, &port);
        snprintf(report, sizeof(report),
                 "descriptor 300 (udp, 127.0.0.1:%u) from the service manager: "
                 "it is not a stream socket",
                 port);
        assert_refused(pair[0], "udp", report);
}

Test(inherited, a_datagram_socket_is_never_taken_for_a_listener)
{
        struct legacy legacy;
        uint16_t port = legacy_open_one(&legacy, SOCK_DGRAM, "127.0.0.1", false);

        cr_assert_eq(take(&legacy, "127.0.0.1", port, false), -ENOENT);
        legacy_close(&legacy);
}

Test(inherited, a_second_socket_on_one_address_is_unexpected)
{
        struct legacy legacy;
        uint16_t port = 0;
        int sockets[2];

        legacy_init(&legacy);
        sockets[0] = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);
        sockets[1] = dup(sockets[0]);
        legacy_open(&legacy, 2, sockets, "a:b");
        close_taken(take(&legacy, "127.0.0.1", port, false));
        cr_assert_eq(settle(&legacy), 1);
        cr_assert_not_null(strstr(legacy.report, "descriptor 301 (b, "));
        legacy_close(&legacy);
}

Test(inherited, a_socket_units_socket_can_be_taken_again_but_not_one_that_was_left)
{
        struct legacy legacy;
        uint16_t ports[2] = {0};
        int sockets[2];

        legacy_init(&legacy);
        sockets[0] = handed_socket(SOCK_STREAM, "127.0.0.1", false, &ports[0]);
        sockets[1] = handed_socket(SOCK_STREAM, "127.0.0.1", false, &ports[1]);
        legacy_open(&legacy, 2, sockets, "echod.socket:" INHERITED_LISTENER);
        for (int i = 0; i < 3; i++)
                close_taken(take(&legacy, "127.0.0.1", ports[0], false));
        close_taken(take(&legacy, "127.0.0.1", ports[1], false));
        cr_assert_eq(take(&legacy, "127.0.0.1", ports[1], false), -ENOENT);
        legacy_close(&legacy);
}

Test(inherited, what_was_left_and_nobody_wants_is_closed_without_a_word)
{
        const struct place place = make_place();
        struct legacy legacy;
        uint16_t port = 0;
        int sockets[4];

        legacy_init(&legacy);
        sockets[0] = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);
        sockets[1] = handed_unix_socket(place.path);
        tcp_pair(&sockets[2]);
        legacy_open(&legacy, 4, sockets,
                    INHERITED_LISTENER ":" INHERITED_LISTENER ":" INHERITED_CONNECTION
                                       ":" INHERITED_STATE);
        cr_assert_eq(settle(&legacy), 0);
        cr_assert_eq(legacy.n_reports, 0);
        cr_assert_eq(count_descriptors(), legacy.n_descriptors);
        legacy_close(&legacy);
        leave_place(&place);
}

Test(inherited, a_unix_socket_whose_file_has_gone_is_not_taken_over)
{
        const struct place place = make_place();
        struct legacy legacy;
        int socket;

        legacy_init(&legacy);
        socket = handed_unix_socket(place.path);
        cr_assert_eq(unlink(place.path), 0);
        legacy_open(&legacy, 1, &socket, INHERITED_LISTENER);
        cr_assert_eq(take_path(&legacy, place.path), -ENOENT);
        legacy_close(&legacy);
        leave_place(&place);
}

Test(inherited, all_of_one_name_are_the_takers_in_their_order)
{
        struct legacy legacy;
        int sockets[6], *taken;
        size_t n_taken;

        legacy_init(&legacy);
        for (int i = 0; i < 6; i += 2)
                tcp_pair(&sockets[i]);
        legacy_open(&legacy, 6, sockets, "c:s:c:x:c:l");
        cr_assert_eq(inherited_take_all(&legacy.inherited, INHERITED_CONNECTION, &taken, &n_taken),
                     0);
        cr_assert_eq(n_taken, 3);
        for (int i = 0; i < 3; i++) {
                cr_assert_eq(taken[i], FIRST + 2 * i);
                close(taken[i]);
        }
        free(taken);
        cr_assert_eq(inherited_take_all(&legacy.inherited, INHERITED_CONNECTION, &taken, &n_taken),
                     0);
        cr_assert_eq(n_taken, 0);
        cr_assert_null(taken);
        legacy_close(&legacy);
}

Test(inherited, nothing_is_taken_without_memory_for_it)
{
        struct legacy legacy;
        int pair[2], *taken;
        size_t n_taken;

        legacy_init(&legacy);
        tcp_pair(pair);
        legacy_open(&legacy, 2, pair, "c:c");
        faults_fail(FAULT_MALLOC, 1, 1, ENOMEM);
        cr_assert_eq(inherited_take_all(&legacy.inherited, "c", &taken, &n_taken), -ENOMEM);
        faults_clear();
        cr_assert_eq(inherited_take_all(&legacy.inherited, "c", &taken, &n_taken), 0);
        cr_assert_eq(n_taken, 2);
        close(taken[0]);
        close(taken[1]);
        free(taken);
        legacy_close(&legacy);
}

Test(inherited, without_memory_the_names_stay_the_callers)
{
        struct inherited inherited;
        char *names[1] = {strdup("a")};

        faults_fail(FAULT_CALLOC, 1, 1, ENOMEM);
        cr_assert_eq(inherited_init(&inherited, FIRST, 1, names), -ENOMEM);
        inherited_free(&inherited);
        free(names[0]);
        expect_no_leaks();
}

Test(inherited, a_copy_that_cannot_be_had_is_an_error_and_no_bind)
{
        struct rlimit limit, none;
        struct legacy legacy;
        uint16_t port = legacy_open_one(&legacy, SOCK_STREAM, "127.0.0.1", false);

        getrlimit(RLIMIT_NOFILE, &limit);
        none = (struct rlimit){.rlim_cur = 4, .rlim_max = limit.rlim_max};
        setrlimit(RLIMIT_NOFILE, &none);
        cr_assert_eq(take(&legacy, "127.0.0.1", port, false), -EMFILE);
        setrlimit(RLIMIT_NOFILE, &limit);
        legacy_close(&legacy);
}
