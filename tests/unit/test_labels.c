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
