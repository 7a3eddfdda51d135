#pragma once

#include <stdbool.h>

#include "config_data.h"

/*
 * Whether two listeners would bind the same address: equal ones, or one that is a wildcard for the
 * other, on the same port. Port 0 clashes with nothing.
 */
bool config_clash(const struct config_listener *a, const struct config_listener *b);
