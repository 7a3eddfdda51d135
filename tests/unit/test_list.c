#include <criterion/criterion.h>

#include "list.h"
#include "util.h"

#define N 5

struct item {
        int before; /* so that the node is not at the beginning */
        struct list link;
        int number;
};

static struct item items[N];

static void init_items(void)
{
        for (int i = 0; i < N; i++) {
                items[i] = (struct item){.number = i};
                list_init(&items[i].link);
        }
}

TestSuite(list, .init = init_items);

/* Whether the list has these items, both ways; ends with -1. */
static void expect_numbers(struct list *head, const int *numbers)
{
        struct list *node = head;

        for (; *numbers >= 0; numbers++) {
                cr_assert_eq(node->next->previous, node);
                node = node->next;
                cr_assert_neq(node, head, "too short: %d is missing", *numbers);
                cr_assert_eq(CONTAINER_OF(node, struct item, link)->number, *numbers);
        }
        cr_assert_eq(node->next, head, "too long");
        cr_assert_eq(head->previous, node);
}

#define EXPECT(head, ...) expect_numbers(head, (const int[]){__VA_ARGS__, -1})

static void append_items(struct list *head, int from, int to)
{
        for (int i = from; i < to; i++)
                list_append(head, &items[i].link);
}

Test(list, a_new_one_is_empty)
{
        struct list head;

        list_init(&head);
        cr_assert(list_is_empty(&head));
        cr_assert(list_is_empty(&head));
}

Test(list, append_keeps_the_order)
{
        struct list head;

        list_init(&head);
        append_items(&head, 0, N);
        cr_assert_not(list_is_empty(&head));
        EXPECT(&head, 0, 1, 2, 3, 4);
}

Test(list, unlinks_the_first_the_last_and_one_between)
{
        struct list head;

        list_init(&head);
        append_items(&head, 0, N);
        list_unlink(&items[0].link);
        EXPECT(&head, 1, 2, 3, 4);
        list_unlink(&items[4].link);
        EXPECT(&head, 1, 2, 3);
        list_unlink(&items[2].link);
        EXPECT(&head, 1, 3);
        cr_assert_not(list_is_linked(&items[2].link));
        cr_assert(list_is_linked(&items[3].link));
}

Test(list, unlinking_twice_does_no_harm)
{
        struct list head;

        list_init(&head);
        append_items(&head, 0, 3);
        list_unlink(&items[1].link);
        list_unlink(&items[1].link);
        EXPECT(&head, 0, 2);
}

Test(list, the_only_node_leaves_it_empty)
{
        struct list head;

        list_init(&head);
        append_items(&head, 2, 3);
        cr_assert(list_is_linked(&items[2].link));
        list_unlink(&items[2].link);
        cr_assert(list_is_empty(&head));
}

Test(list, walks_while_every_node_is_unlinked)
{
        struct list head;
        int n = 0;

        list_init(&head);
        append_items(&head, 0, N);
        LIST_FOR_EACH_SAFE (node, following, &head) {
                cr_assert_eq(CONTAINER_OF(node, struct item, link)->number, n++);
                list_unlink(node);
        }
        cr_assert_eq(n, N);
        cr_assert(list_is_empty(&head));
}

Test(list, walks_an_empty_one_not_at_all)
{
        struct list head;

        list_init(&head);
        LIST_FOR_EACH_SAFE (node, following, &head)
                cr_assert(false, "there is nothing to walk");
}

Test(list, splice_moves_all_to_the_end)
{
        struct list to, from;

        list_init(&to);
        list_init(&from);
        append_items(&to, 0, 2);
        append_items(&from, 2, N);
        list_splice(&to, &from);
        EXPECT(&to, 0, 1, 2, 3, 4);
        cr_assert(list_is_empty(&from));
}

Test(list, splice_into_an_empty_one)
{
        struct list to, from;

        list_init(&to);
        list_init(&from);
        append_items(&from, 0, 3);
        list_splice(&to, &from);
        EXPECT(&to, 0, 1, 2);
        cr_assert(list_is_empty(&from));
}

Test(list, splice_of_an_empty_one_changes_nothing)
{
        struct list to, from;

        list_init(&to);
        list_init(&from);
        list_splice(&to, &from);
        cr_assert(list_is_empty(&to));
        append_items(&to, 0, 2);
        list_splice(&to, &from);
        EXPECT(&to, 0, 1);
}
