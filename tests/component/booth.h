#pragma once

/*
 * The endpoint of the metrics in a loop that the test turns itself, and those who ask it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "metrics.h"

struct booth {
        uv_loop_t loop;
        struct metrics *metrics;
        uint16_t port;
        unsigned n_descriptors;
        unsigned n_pages; /* that were written */
        size_t n_lines;   /* of a page */
        bool is_ready;
        bool is_page_missing;
        bool comes_next; /* somebody is to come while the next page is written */
        int next_client; /* who that was */
};

extern struct booth booth;

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* Listens on 127.0.0.1 and any free port. */
void booth_open(void);

/* Expects that nothing is left. */
void booth_close(void);

/* The same without the endpoint. */
void booth_open_loop(void);
void booth_close_loop(void);

/* Opens the endpoint at this address; metrics_open() with the booth's callbacks. */
int booth_try(const char *address);
int booth_try_with(struct metrics **ret_metrics, const struct metrics_options *options,
                   char problem[static METRICS_PROBLEM_MAX]);

/* Lets the loop do what there is to do now. */
void booth_turn(void);

/* The same a good many times, for what must not happen. */
void booth_turn_often(void);

/* Expects that the loop has nothing to do now. */
void booth_expect_rest(void);

/* Connects to the endpoint from this address, and waits until the loop has to do with it. */
int booth_connect(const char *source);

void booth_request(int client, const char *request);

/* All that comes until the end, which is no reset; closes the client. Valid until the next call. */
const char *booth_receive_all(int client);

/* The answer to a client of its own. Valid as above. */
const char *booth_ask(const char *request);

/* The status at the beginning of an answer, "200 ". */
void booth_expect_status(const char *answer, const char *status);
