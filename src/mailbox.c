#include "mailbox.h"

#include <errno.h>
#include <stdlib.h>

/* What a burst has made larger is not kept. */
#define SPARE_CAPACITY_MAX 1024

static int grow(struct mail *mail)
{
        size_t capacity = mail->capacity ? mail->capacity * 2 : 64;
        struct arrival *arrivals = realloc(mail->arrivals, capacity * sizeof(*arrivals));

        if (!arrivals)
                return -ENOMEM;
        mail->arrivals = arrivals;
        mail->capacity = capacity;
        return 0;
}

int mail_add(struct mail *mail, const struct arrival *arrival)
{
        int r = mail->n_arrivals == mail->capacity ? grow(mail) : 0;

        if (r == 0)
                mail->arrivals[mail->n_arrivals++] = *arrival;
        return r;
}

struct mail mailbox_take(struct mailbox *mailbox)
{
        struct mail taken = mailbox->mail;

        mailbox->mail =
                (struct mail){.arrivals = mailbox->spare, .capacity = mailbox->spare_capacity};
        mailbox->spare = NULL;
        mailbox->spare_capacity = 0;
        return taken;
}

void mailbox_return(struct mailbox *mailbox, struct mail *mail)
{
        if (mailbox->spare || mail->capacity > SPARE_CAPACITY_MAX) {
                free(mail->arrivals);
                return;
        }
        mailbox->spare = mail->arrivals;
        mailbox->spare_capacity = mail->capacity;
}

void mailbox_free(struct mailbox *mailbox)
{
        free(mailbox->mail.arrivals);
        free(mailbox->spare);
}
