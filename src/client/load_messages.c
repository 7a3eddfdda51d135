#include "load_messages.h"

#include <stddef.h>

#include "util.h"

void load_messages_init(struct load_messages *messages, struct load_message *under_way,
                        struct load_message *in_gap, uint64_t size, uint64_t depth)
{
        *messages = (struct load_messages){
                .under_way = under_way,
                .in_gap = in_gap,
                .size = (uint32_t)size,
                .depth = (uint32_t)depth,
        };
}

void load_messages_reset(struct load_messages *messages)
{
        messages->n_sent = messages->n_passed = 0;
}

uint64_t load_messages_room(const struct load_messages *messages)
{
        return messages->depth - (messages->n_sent - messages->n_passed);
}

void load_messages_send(struct load_messages *messages, uint64_t due_ns)
{
        messages->under_way[messages->n_sent % messages->depth] = (struct load_message){
                .due_ns = due_ns,
                .n_missing = messages->size,
                .number = (uint32_t)messages->n_sent,
        };
        messages->n_sent++;
}

/* NULL: nobody waits for it. */
static struct load_message *find(const struct load_messages *messages, uint64_t n)
{
        size_t at = n % messages->depth;
        struct load_message *message =
                n < messages->n_passed ? &messages->in_gap[at] : &messages->under_way[at];

        return message->number == (uint32_t)n && message->n_missing > 0 ? message : NULL;
}

uint64_t load_messages_take(struct load_messages *messages, uint64_t from, uint64_t to,
                            uint64_t now_ns, struct histogram *latencies)
{
        uint64_t n_whole = 0, size = messages->size;

        for (uint64_t n = from / size; from < to; n++) {
                uint64_t end = MIN(to, (n + 1) * size);
                struct load_message *message = find(messages, n);

                if (message) {
                        message->n_missing -= (uint32_t)MIN(end - from, message->n_missing);
                        if (message->n_missing == 0) {
                                histogram_add(latencies, now_ns - message->due_ns);
                                n_whole++;
                        }
                }
                from = end;
        }
        return n_whole;
}

uint64_t load_messages_pass(struct load_messages *messages, uint64_t high, uint64_t gap_start,
                            uint64_t gap_end)
{
        uint64_t first = messages->n_passed, size = messages->size;

        for (; messages->n_passed < messages->n_sent; messages->n_passed++) {
                uint64_t start = messages->n_passed * size, end = start + size;
                size_t at = messages->n_passed % messages->depth;

                if (end > high)
                        break;
                if (start < gap_end && end > gap_start && messages->under_way[at].n_missing > 0)
                        messages->in_gap[at] = messages->under_way[at];
        }
        return messages->n_passed - first;
}

uint64_t load_messages_give_up(struct load_messages *messages, uint64_t now_ns,
                               struct histogram *latencies)
{
        uint64_t n_missing = 0;

        for (; messages->n_passed < messages->n_sent; messages->n_passed++) {
                const struct load_message *message = find(messages, messages->n_passed);

                if (!message)
                        continue;
                histogram_add(latencies, now_ns - message->due_ns);
                n_missing++;
        }
        return n_missing;
}
