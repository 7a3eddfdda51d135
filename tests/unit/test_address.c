#include <criterion/criterion.h>

#include "address.h"

Test(address, an_ipv4_mapped_address_counts_as_ipv4)
{
        struct address address;
        char text[ADDRESS_TEXT_MAX];

        cr_assert_eq(address_parse(&address, "::ffff:192.0.2.1", 7), 0);
        cr_assert_str_eq(address_format(&address, text), "192.0.2.1:7");
}
