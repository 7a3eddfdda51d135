#pragma once

/*
 * One connection under load. What kind of load it is, is a table of what to do at each event; what
 * is counted goes into the context, which the links of a thread share.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arguments.h"
#include "histogram.h"
#include "link.h"
#include "load_messages.h"
#include "load_schedule.h"
#include "verifier.h"

/* What ended a connection, or a message, before its time. */
enum load_error {
        LOAD_NOT_CONNECTED,
        LOAD_RESET,      /* or any other failure of an open connection */
        LOAD_ENDED,      /* by the server */
        LOAD_UNANSWERED, /* messages */
        N_LOAD_ERRORS,
};

/* Written by one thread, read by any. */
typedef _Atomic uint64_t load_counter;

struct load_counters {
        load_counter n_opened;   /* connections that were up */
        load_counter n_closed;   /* and are no more */
        load_counter n_sent;     /* messages, or with --connect connections opened */
        load_counter n_received; /* back in full */
        load_counter n_over;     /* under way no more: they came, whole or not, or never will */
        load_counter n_bytes;    /* back, for the first time, and right */
        load_counter n_unsent;   /* due by the rate; told by load_link_drop_due() */
        load_counter errors[N_LOAD_ERRORS];
        load_counter faults[N_FAULT_KINDS];
};

static inline void load_count(load_counter *counter, uint64_t n)
{
        uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);

        atomic_store_explicit(counter, before + n, memory_order_relaxed);
}

static inline uint64_t load_read(const load_counter *counter)
{
        return atomic_load_explicit(counter, memory_order_relaxed);
}

/* The first few faults are told. */
#define LOAD_FAULTS_TOLD 4

struct load_told_fault {
        uint32_t connection;
        struct fault fault;
};

struct load_link;

/* Of one thread. */
struct load_context {
        struct link_context links;
        const struct arguments *arguments;
        struct pattern *pattern;     /* of all threads */
        struct histogram *latencies; /* ns */
        struct load_counters counters;
        struct load_told_fault told[LOAD_FAULTS_TOLD];
        unsigned n_told;
        int first_failure; /* of connecting; negative errno, or 0 */
        unsigned thread;   /* its number */
        uint64_t n_links;
        struct load_schedule schedule; /* with a rate */
        bool is_running;               /* messages may be sent */
        bool is_stopping;              /* no further ones */
        bool is_full; /* with a rate: none can send, and on_room() is to be called */
        /* The first attempt of a link has come to something; a link has room for more than is due;
         * a link is gone for good. */
        void (*on_attempted)(struct load_context *context);
        void (*on_room)(struct load_context *context);
        void (*on_gone)(struct load_context *context);
};

struct load_link {
        struct link link;
        struct load_context *context;
        struct verifier verifier;
        uint32_t number; /* of all threads' connections; they take turns with them */
        struct load_messages messages;
        uint64_t began_ns, half_closed_ns;
        bool is_started, is_open, is_half_closed, is_ended, is_attempted, is_gone;
        bool is_well; /* it has ended as it should; with --connect the next one follows */
};

/* `room`: for twice as many as the depth. */
void load_link_init(struct load_link *link, struct load_context *context, uint32_t number,
                    struct load_message *room);

/* Begins to connect. Whatever happens, on_attempted() and in the end on_gone() are called, perhaps
 * at once. */
void load_link_open(struct load_link *link);

/* Sending begins; links that open later begin by themselves. */
void load_link_go(struct load_link *link);

/* Sends what is due by the rate, as far as the depth allows. */
void load_link_send_due(struct load_link *link);

/* Whether it could send more. */
bool load_link_has_room(const struct load_link *link);

/*
 * Sends nothing new, waits for what is under way, and ends. One that has not begun never does,
 * which is an error only if there was time for it.
 */
void load_link_stop(struct load_link *link);

/* How long to wait until the server closes, too, with --connect. */
#define LOAD_LINGER_NS UINT64_C(1000000000)

/* Closes a connection that the server has left half-closed for LOAD_LINGER_NS. */
void load_link_sweep(struct load_link *link);

/* Ends at once; what is under way is lost. */
void load_link_quit(struct load_link *link);

/*
 * Counts what was due at a time, at the latest, and has not been sent; how long it has waited then,
 * it would have waited at least. For the end of all, whatever has become of the link. `n_values`:
 * see load_schedule_add_waits().
 */
void load_link_drop_due(const struct load_link *link, uint64_t now_ns, uint64_t n_values);
