#pragma once

/*
 * An intrusive, circular, doubly linked list. A head and an unlinked node both point to
 * themselves, so unlinking twice does no harm.
 */

#include <stdbool.h>

struct list {
        struct list *previous;
        struct list *next;
};

/* Walks the list; the current node may be unlinked in the body. */
#define LIST_FOR_EACH_SAFE(node, following, head)                                       \
        for (struct list *node = (head)->next, *following = node->next; node != (head); \
             node = following, following = node->next)

static inline void list_init(struct list *list)
{
        list->previous = list;
        list->next = list;
}

static inline bool list_is_empty(const struct list *head)
{
        return head->next == head;
}

static inline bool list_is_linked(const struct list *node)
{
        return node->next != node;
}

static inline void list_unlink(struct list *node)
{
        node->previous->next = node->next;
        node->next->previous = node->previous;
        list_init(node);
}

/* Links an unlinked node as the last one. */
static inline void list_append(struct list *head, struct list *node)
{
        node->previous = head->previous;
        node->next = head;
        head->previous->next = node;
        head->previous = node;
}

/* Moves every node of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
        if (list_is_empty(from))
                return;
        from->next->previous = to->previous;
        to->previous->next = from->next;
        from->previous->next = to;
        to->previous = from->previous;
        list_init(from);
}
