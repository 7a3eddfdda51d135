#include <criterion/criterion.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"

Test(smoke, a_message_comes_back_and_the_daemon_stops_with_status_0)
{
        struct daemon *daemon = DAEMON();
        int client = client_connect(daemon->port);

        client_echo(client, "hello");
        client_half_close(client);
        client_expect_eof(client);
        close(client);
        daemon_stop(daemon);
}
