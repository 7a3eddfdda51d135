#pragma once

/* The command line of echoc(1). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mode {
        MODE_PROBE = 1,
        MODE_TRANSCRIPT = 2,
        MODE_LOAD = 4,
        MODE_HOLD = 8,
        MODE_STATUS = 16,
};

struct arguments {
        enum mode mode;
        const char *host;
        uint64_t port;
        int family;     /* AF_UNSPEC: either */
        uint64_t count; /* messages; 0: until it is stopped */
        double interval_s;
        double timeout_s; /* 0: none, which only a transcript can have */
        uint64_t size;    /* bytes of a message */
        bool is_quiet;
        uint64_t n_clients;
        const char **texts;
        size_t n_texts;
        uint64_t n_connections;
        uint64_t depth; /* messages of a connection that may be under way */
        double seconds;
        uint64_t n_threads;
        double rate; /* messages a second; 0: as fast as answers come */
        bool is_bulk, is_connect, is_json;
        uint64_t seed;
};

/*
 * Reads the command line; says what is wrong with it. -1: go on; else the status to exit with. What
 * it gives points into argv; arguments_free() frees the rest.
 */
int arguments_take(struct arguments *ret_arguments, int argc, char **argv);

void arguments_free(struct arguments *arguments);
