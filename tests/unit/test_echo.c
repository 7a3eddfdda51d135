#include <criterion/criterion.h>

#include "echo.h"

Test(echo, reads_on_while_the_socket_takes_everything)
{
        struct echo echo;

        echo_init(&echo);
        for (size_t n = 1; n < 100; n++)
                cr_assert_eq(echo_received(&echo, n, n), ECHO_READ);
        cr_assert_eq(echo.received, 4950);
        cr_assert_eq(echo_sent(&echo), 4950);
}
