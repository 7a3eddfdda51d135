#include "config_clash.h"

#include <string.h>

#include "address.h"

/* The address of a listener as far as one can clash with another. */
static bool is_wildcard_for(const char *address, uint16_t family)
{
        return strcmp(address, "*") == 0 ||
               strcmp(address, family == AF_INET ? "0.0.0.0" : "::") == 0;
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
        return is_wildcard_for(a->address, x.family) || is_wildcard_for(b->address, x.family) ||
               memcmp(&x, &y, sizeof(x)) == 0;
}
