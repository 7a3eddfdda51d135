#include "sent_messages.h"

#include <errno.h>
#include <stdlib.h>

#include "util.h"

#define CAPACITY_MIN 64

void sent_messages_init(struct sent_messages *sent, uint64_t size, uint64_t capacity_max)
{
        *sent = (struct sent_messages){.size = size, .capacity_max = capacity_max};
}

void sent_messages_free(struct sent_messages *sent)
{
        free(sent->messages);
}

static struct sent_message *at(const struct sent_messages *sent, uint64_t n)
{
        return &sent->messages[n % sent->capacity];
}

static bool is_full(const struct sent_messages *sent)
{
        return sent->n - sent->first == sent->capacity;
}

static int grow(struct sent_messages *sent)
{
        struct sent_messages larger = *sent;

        larger.capacity = MIN(MAX(CAPACITY_MIN, 2 * sent->capacity), sent->capacity_max);
        larger.messages = calloc(larger.capacity, sizeof(*larger.messages));
        if (!larger.messages)
                return -ENOMEM;
        for (uint64_t i = sent->first; i < sent->n; i++)
                *at(&larger, i) = *at(sent, i);
        free(sent->messages);
        *sent = larger;
        return 0;
}

bool sent_messages_have_room(const struct sent_messages *sent)
{
        return sent->n - sent->n_judged < sent->capacity_max;
}

int sent_messages_add(struct sent_messages *sent, uint64_t sent_ns)
{
        int r = 0;

        if (is_full(sent) && sent->capacity < sent->capacity_max)
                r = grow(sent);
        if (r < 0)
                return r;
        if (is_full(sent))
                sent->first++;
        *at(sent, sent->n++) = (struct sent_message){.sent_ns = sent_ns};
        return 0;
}

static bool is_back(const struct sent_messages *sent, const struct sent_message *message)
{
        return message->n_good == sent->size;
}

struct sent_message *sent_messages_judge(struct sent_messages *sent)
{
        for (; sent->n_judged < sent->n; sent->n_judged++) {
                struct sent_message *message = at(sent, sent->n_judged);

                if (!is_back(sent, message) && !message->is_late)
                        return message;
        }
        return NULL;
}

uint64_t sent_messages_under_way(const struct sent_messages *sent)
{
        uint64_t n = 0;

        for (uint64_t i = sent->n_judged; i < sent->n; i++)
                n += !is_back(sent, at(sent, i));
        return n;
}

void sent_messages_forget(struct sent_messages *sent, uint64_t n)
{
        sent->first = MAX(sent->first, MIN(n, sent->n_judged));
}

struct sent_message *sent_messages_find(const struct sent_messages *sent, uint64_t n)
{
        return n >= sent->first && n < sent->n ? at(sent, n) : NULL;
}
