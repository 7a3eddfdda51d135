#pragma once

/*
 * What a fuzzing program has: one function that is given bytes, and aborts if something is wrong
 * with what came of them. libFuzzer calls it, or driver.c does.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* As assert(3), in every build. */
#define EXPECT(condition)                                                                       \
        do {                                                                                    \
                if (!(condition)) {                                                             \
                        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
                        abort();                                                                \
                }                                                                               \
        } while (0)
