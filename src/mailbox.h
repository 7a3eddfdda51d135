#pragma once

/*
 * What the main thread wants of a worker, collected until the worker takes it. Whose turn it is to
 * touch it, the worker's mutex says.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "connection.h"
#include "list.h"

/* What the main thread waits for. On its stack. */
struct order {
        const struct census *census; /* to be taken, or NULL */
        struct list *frozen;         /* where everybody is to go, or NULL */
        int result;
        uv_sem_t is_done;
};

/* What the main thread wants of the worker. */
struct mail {
        struct arrival *arrivals;
        size_t n_arrivals, capacity;
        struct connection_limits limits;
        bool has_limits;
        uint64_t busy_poll_ns;
        bool has_busy_poll;
        struct order *order; /* or NULL */
        uint64_t ping;       /* 0: none */
        bool must_reset;
        bool must_stop;
};

struct mailbox {
        struct mail mail;
        struct arrival *spare; /* room for the arrivals of the mail after this, or NULL */
        size_t spare_capacity;
};

/* -ENOMEM: the arrival is not in the mail. */
int mail_add(struct mail *mail, const struct arrival *arrival);

/* The mail so far; the mailbox is empty again. It has to be returned. */
struct mail mailbox_take(struct mailbox *mailbox);

/*
 * Keeps the room of a mail that has been obeyed for the next but one, so that a connection costs no
 * allocation. Only the worker's thread has to do with it.
 */
void mailbox_return(struct mailbox *mailbox, struct mail *mail);

void mailbox_free(struct mailbox *mailbox);
