#pragma once

/* Echods behind a real HAProxy, with the configuration that the examples have. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon.h"

#define N_SERVERS 3

/* As they are told apart in the example. */
enum { SUMMED, PLAINLY_CHECKED, TEXT };

/* HAProxy and what stands behind it. */
struct farm {
        struct daemon *servers[N_SERVERS];
        uint16_t ports[N_SERVERS];
        uint16_t health_ports[N_SERVERS]; /* 0: no metrics */
        const char *options;
        pid_t haproxy;
        uint16_t port;
};

extern struct farm farm;

bool farm_is_installed(void);

/* Needs scratch.h's directory. `options` are those of every echod, and must outlive the farm. */
void farm_open(const char *options);
void farm_close(void);

void farm_start_server(unsigned i);

/* With TERM, and waits for its exit. */
void farm_stop_server(unsigned i);

/* What HAProxy answers. Valid until the next call. */
const char *farm_administer(const char *command);

/* HAProxy's word on a server; `command` is what follows its name. */
void farm_set_server(unsigned i, const char *command);

/* A program whose output goes to that file. Ends even if the test fails: it dies with the test. */
pid_t farm_spawn(const char *output, const char *const arguments[]);

/* The exit status, or 128 + signal. */
int farm_await_exit(pid_t pid);

/* Of a file. Valid until the next call. */
const char *farm_contents(const char *path);
