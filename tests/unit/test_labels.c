#include <criterion/criterion.h>
#include <stdio.h>

#include "labels.h"

Test(labels, the_same_name_is_kept_once)
{
        struct labels labels;
        const char *name;

        labels_init(&labels);
        name = labels_keep(&labels, "127.0.0.1:7");
        cr_assert_str_eq(name, "127.0.0.1:7");
        cr_assert_eq(labels_keep(&labels, "127.0.0.1:7"), name);
        cr_assert_neq(labels_keep(&labels, "127.0.0.1:8"), name);
        labels_free(&labels);
}

Test(labels, what_is_counted_under_a_name_is_found_by_it)
{
        struct labels labels;
        const char *name;

        labels_init(&labels);
        cr_assert_eq(labels_count(&labels), 0);
        name = labels_keep(&labels, "127.0.0.1:7");
        labels_keep(&labels, "[::1]:7");
        cr_assert_eq(labels_count(&labels), 2);
        cr_assert_eq(label_of(name)->n_accepted, 0);
        label_of(name)->n_accepted++;
        cr_assert_eq(label_of(labels_keep(&labels, "127.0.0.1:7"))->n_accepted, 1);
        labels_free(&labels);
}

Test(labels, a_name_outlives_what_it_was_copied_from)
{
        struct labels labels;
        char text[16] = "[::]:7";
        const char *name;

        labels_init(&labels);
        name = labels_keep(&labels, text);
        snprintf(text, sizeof(text), "gone");
        cr_assert_str_eq(name, "[::]:7");
        labels_free(&labels);
}
