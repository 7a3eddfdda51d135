#include "figures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acceptor.h"
#include "labels.h"
#include "pool.h"
#include "worker.h"

static struct figures_listener *find(struct figures *figures, const char *label)
{
        for (size_t i = 0; i < figures->n_listeners; i++)
                if (figures->listeners[i].name == label)
                        return &figures->listeners[i];
        return NULL;
}

/* Two may have the same name for a while, when one that retires was opened anew. */
static void look_at_queues(struct figures *figures, const struct list *listeners)
{
        LIST_FOR_EACH_SAFE (node, following, listeners) {
                const struct listener *listener = CONTAINER_OF(node, struct listener, link);
                struct figures_listener *told = find(figures, listener->label);
                struct listener_queue queue;

                if (!told || !listener_queue_look(listener->descriptor, &queue))
                        continue;
                told->has_queue = true;
                told->queue.length += queue.length;
                told->queue.limit += queue.limit;
                told->queue.n_drops += queue.n_drops;
        }
}

static int collect_listeners(struct figures *figures, const struct acceptor *acceptor)
{
        const struct labels *labels = &acceptor->listeners.labels;

        figures->listeners = calloc(labels_count(labels) + 1, sizeof(*figures->listeners));
        if (!figures->listeners)
                return -ENOMEM;
        LIST_FOR_EACH_SAFE (node, following, &labels->list) {
                const struct label *label = CONTAINER_OF(node, struct label, link);

                figures->listeners[figures->n_listeners++] = (struct figures_listener){
                        .name = label->name,
                        .n_accepted = label->n_accepted,
                        .queue.n_drops = label->n_drops,
                };
        }
        look_at_queues(figures, &acceptor->listeners.active);
        look_at_queues(figures, &acceptor->listeners.retiring);
        return 0;
}

static int collect_workers(struct figures *figures, const struct pool *pool)
{
        figures->workers = calloc(pool->n_workers, sizeof(*figures->workers));
        if (!figures->workers)
                return -ENOMEM;
        for (size_t i = 0; i < pool->n_workers; i++)
                figures->workers[i] = (struct figures_worker){
                        .n_connections = worker_load(pool->workers[i]),
                        .busy_ns = worker_busy_ns(pool->workers[i]),
                };
        figures->n_workers = pool->n_workers;
        return 0;
}

int figures_collect(struct figures *ret_figures, struct figures_sources *sources)
{
        const struct acceptor *acceptor = sources->acceptor;
        struct figures figures = {
                .n_connections = pool_load(acceptor->pool),
                .max_connections = acceptor->admission.max_connections,
                .n_probes = acceptor->n_probes,
                .n_awaiting_header = acceptor->vestibule.n_guests,
                .reloads = sources->reloads,
        };
        int r;

        r = collect_listeners(&figures, acceptor);
        if (r == 0)
                r = collect_workers(&figures, acceptor->pool);
        if (r < 0) {
                figures_free(&figures);
                return r;
        }
        memcpy(figures.n_refused, acceptor->n_refused, sizeof(figures.n_refused));
        pool_stats(acceptor->pool, &figures.total);
        process_look(&sources->process);
        figures.process = sources->process;
        *ret_figures = figures;
        return 0;
}

void figures_free(struct figures *figures)
{
        free(figures->listeners);
        free(figures->workers);
        figures->listeners = NULL;
        figures->workers = NULL;
}

uint64_t figures_accepted(const struct figures *figures)
{
        uint64_t n = 0;

        for (size_t i = 0; i < figures->n_listeners; i++)
                n += figures->listeners[i].n_accepted;
        return n;
}
