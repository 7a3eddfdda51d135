#include "labels.h"

#include <stdlib.h>
#include <string.h>

static struct label *label_at(struct list *node)
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
                if (strcmp(label_at(node)->name, name) == 0)
                        return label_at(node)->name;
        label = malloc(sizeof(*label) + size);
        if (!label)
                return NULL;
        list_init(&label->link);
        label->n_accepted = 0;
        label->n_drops = 0;
        memcpy(label->name, name, size);
        list_append(&labels->list, &label->link);
        return label->name;
}

size_t labels_count(const struct labels *labels)
{
        size_t n = 0;

        LIST_FOR_EACH_SAFE (node, following, &labels->list)
                n++;
        return n;
}

void labels_free(struct labels *labels)
{
        LIST_FOR_EACH_SAFE (node, following, &labels->list)
                free(label_at(node));
        list_init(&labels->list);
}
