#pragma once

/*
 * For a test of an assert():
 *
 *      Test(echo, a_mistake_aborts, .signal = TRAP)
 *      {
 *              SKIP_WITHOUT_ASSERTS();
 *              make_a_mistake();
 *      }
 */

#include <signal.h>

#ifdef NDEBUG
#define TRAP                   0
#define SKIP_WITHOUT_ASSERTS() cr_skip("asserts are compiled out")
#else
#define TRAP SIGABRT
#define SKIP_WITHOUT_ASSERTS() \
        do {                   \
        } while (0)
#endif
