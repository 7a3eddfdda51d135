#include <criterion/criterion.h>

#include "fault.h"
#include "util.h"

Test(fault, says_what_it_found)
{
        static const struct {
                struct fault fault;
                const char *text;
        } cases[] = {
                {{FAULT_LOST, 128, 1, {0, 0}}, "offset 128: 1 byte lost"},
                {{FAULT_LOST, 0, 20, {0, 0}}, "offset 0: 20 bytes lost"},
                {{FAULT_CORRUPTED, 5, 2, {0, 0}}, "offset 5: 2 bytes corrupted"},
                {{FAULT_DUPLICATED, 128, 0, {3, 64}},
                 "offset 128: duplicated: bytes from offset 64 on came again"},
                {{FAULT_REORDERED, 64, 0, {3, 128}},
                 "offset 64: reordered: bytes from offset 128 on came first"},
                {{FAULT_MIXED, 64, 0, {7, 640}},
                 "offset 64: mixed: bytes of connection 7 from its offset 640 on"},
        };
        char text[FAULT_TEXT_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                cr_assert_str_eq(fault_format(&cases[i].fault, text), cases[i].text);
}
