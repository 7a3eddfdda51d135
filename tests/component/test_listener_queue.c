/* What the kernel says of a listening socket, with clients that are there and are not accepted. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "handed.h"
#include "listener_queue.h"
#include "stage.h"

TestSuite(listener_queue, .timeout = HANG_S);

static struct listener_queue look(int descriptor)
{
        struct listener_queue queue;

        cr_assert(listener_queue_look(descriptor, &queue));
        return queue;
}

/* Waits until there are so many: they come a moment after connect(2) is back. */
static void await_length(int descriptor, uint64_t n)
{
        while (look(descriptor).length < n)
                poll(NULL, 0, 1);
        cr_assert_eq(look(descriptor).length, n);
}

Test(listener_queue, its_length_is_who_waits)
{
        uint16_t port = 0;
        int listener = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port), clients[3];

        cr_assert_eq(look(listener).length, 0);
        for (unsigned i = 0; i < 3; i++)
                clients[i] = client_connect(port);
        await_length(listener, 3);
        close(accept(listener, NULL, NULL));
        cr_assert_eq(look(listener).length, 2);
        for (unsigned i = 0; i < 3; i++)
                close(clients[i]);
        close(listener);
}

Test(listener_queue, its_limit_is_the_backlog)
{
        uint16_t port = 0;
        int listener = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port);

        cr_assert_eq(listen(listener, 7), 0);
        cr_assert_eq(look(listener).limit, 7);
        close(listener);
}

static int connect_at_once(uint16_t port)
{
        const struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        cr_assert_eq(connect(client, (const struct sockaddr *)&address, sizeof(address)), -1);
        cr_assert_eq(errno, EINPROGRESS);
        return client;
}

Test(listener_queue, who_comes_when_it_is_full_is_dropped_and_counted)
{
        uint16_t port = 0;
        int listener = handed_socket(SOCK_STREAM, "127.0.0.1", false, &port), clients[6];

        cr_assert_eq(listen(listener, 1), 0);
        for (unsigned i = 0; i < 6; i++)
                clients[i] = connect_at_once(port);
        while (look(listener).n_drops == 0)
                poll(NULL, 0, 10);
        cr_assert_eq(look(listener).length, 2, "the limit and one more");
        for (unsigned i = 0; i < 6; i++)
                close(clients[i]);
        close(listener);
}

Test(listener_queue, what_does_not_listen_tells_nothing)
{
        struct listener_queue queue;
        int pair[2];

        tcp_pair(pair);
        cr_assert_not(listener_queue_look(pair[0], &queue));
        close(pair[0]);
        close(pair[1]);
        unix_pair(pair);
        cr_assert_not(listener_queue_look(pair[0], &queue));
        close(pair[0]);
        close(pair[1]);
        cr_assert_not(listener_queue_look(-1, &queue));
}
