/* In place of metrics.c, in a build without libmicrohttpd. */

#include "metrics.h"

#include <errno.h>
#include <stdio.h>

const char *metrics_feature(void)
{
        return "-metrics";
}

/* The configuration does not let it come to this. */
int metrics_open(struct metrics **ret_metrics, uv_loop_t *loop,
                 const struct metrics_options *options, const struct metrics_events *events,
                 void *user, char problem[static METRICS_PROBLEM_MAX])
{
        (void)ret_metrics;
        (void)loop;
        (void)options;
        (void)events;
        (void)user;
        snprintf(problem, METRICS_PROBLEM_MAX, "this build has no metrics");
        return -ENOSYS;
}

const char *metrics_name(const struct metrics *metrics)
{
        (void)metrics;
        return "";
}

void metrics_close(struct metrics *metrics)
{
        (void)metrics;
}
