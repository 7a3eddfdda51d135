#include "config_clash.h"

#include <string.h>

#include "address.h"

static bool is_wildcard(const struct address *address)
{
        static const uint8_t zero[sizeof(address->ip)];

        return memcmp(address->ip, zero, sizeof(zero)) == 0;
}

bool config_clash(const struct config_listener *a, const struct config_listener *b)
{
        struct address x = {0}, y = {0};
        bool is_path = a->address[0] == '/' || b->address[0] == '/';

        if (is_path || strcmp(a->address, b->address) == 0)
                return strcmp(a->address, b->address) == 0 &&
                       (is_path || (a->port == b->port && a->port != 0));
        if (a->port != b->port || a->port == 0)
                return false;
        if (address_parse(&x, a->address, 0) < 0) /* "*" */
                return true;
        if (address_parse(&y, b->address, 0) < 0)
                return true;
        if (x.family != y.family)
                return false;
        return is_wildcard(&x) || is_wildcard(&y) || memcmp(&x, &y, sizeof(x)) == 0;
}
