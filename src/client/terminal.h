#pragma once

/* What is shown, and to whom: a terminal's width, and the characters that it knows. */

#include <stdbool.h>
#include <stddef.h>

/* Columns of the terminal behind the descriptor, 80 if it does not say; 0: it is no terminal. */
size_t terminal_width(int descriptor);

/* Whether the locale of the environment (LC_ALL, LC_CTYPE, LANG) is one with UTF-8. */
bool terminal_is_utf8(void);
