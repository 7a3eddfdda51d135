#include "figures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acceptor.h"
#include "labels.h"
#include "pool.h"
#include "worker.h"

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
                };
        }
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
