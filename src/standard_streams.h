#pragma once

/* Standard input, output and error, which whoever starts a program may have closed. */

/*
 * Opens /dev/null for those that are closed, which would otherwise become the next sockets and get
 * what is printed. To be called first. Best effort: without a /dev/null all is as before.
 */
void standard_streams_open(void);
