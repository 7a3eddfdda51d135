#pragma once

#include <stdint.h>

/*
 * A TCP port that nobody has on any address. It lies below the range from which the kernel chooses
 * ports by itself, so that no connection and no listener on port 0 takes it before the test does.
 */
uint16_t free_port(void);
