#pragma once

/* The contract with scripts. */
enum exit_status {
        STATUS_GOOD = 0,  /* everything came back */
        STATUS_BAD = 1,   /* something was lost, wrong or late */
        STATUS_USAGE = 2, /* a mistake on the command line, or no connection */
};
