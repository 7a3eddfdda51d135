#include "labels.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

struct label {
        struct list link;
        char name[];
};

static struct label *label_of(struct list *node)
{
        return CONTAINER_OF(node, struct label, link);
}

void labels_init(struct labels *labels)
{
        list_init(&labels->list);
}

const char *labels_keep(struct labels *labels, const char *name)
{
        size_t size = strlen(name) + 1;
        struct label *label;

        LIST_FOR_EACH_SAFE (node, following, &labels->list)
                if (strcmp(label_of(node)->name, name) == 0)
                        return label_of(node)->name;
        label = malloc(sizeof(*label) + size);
        if (!label)
                return NULL;
        list_init(&label->link);
        memcpy(label->name, name, size);
        list_append(&labels->list, &label->link);
        return label->name;
}

void labels_free(struct labels *labels)
{
        LIST_FOR_EACH_SAFE (node, following, &labels->list)
                free(label_of(node));
        list_init(&labels->list);
}
