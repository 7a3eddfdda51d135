#include "telemetry.h"

#include "acceptor.h"
#include "config_data.h"
#include "log.h"
#include "metrics.h"
#include "metrics_page.h"
#include "report.h"
#include "service_manager.h"
#include "util.h"

#define STATUS_INTERVAL_MS 5000

static int on_page(void *user, struct exposition *exposition);
static bool on_readiness(void *user);

static void on_status(uv_timer_t *timer);

static const struct metrics_events EVENTS = {.write = on_page, .is_ready = on_readiness};

void telemetry_init(struct telemetry *telemetry, const struct acceptor *acceptor)
{
        *telemetry = (struct telemetry){
                .sources = {.acceptor = acceptor},
                .reported_load = UINT64_MAX,
        };
}

int telemetry_start_status(struct telemetry *telemetry, uv_loop_t *loop)
{
        int r = uv_timer_init(loop, &telemetry->status_timer);

        if (r == 0 && service_manager_is_there())
                r = uv_timer_start(&telemetry->status_timer, on_status, 0, STATUS_INTERVAL_MS);
        return r;
}

int telemetry_open(struct telemetry *telemetry, uv_loop_t *loop, const struct config *config,
                   struct inherited *inherited)
{
        const struct metrics_options options = {
                .address = config->metrics.address,
                .port = (uint16_t)config->metrics.port,
                .inherited = inherited,
        };
        char problem[METRICS_PROBLEM_MAX];
        int r;

        if (!config->metrics.is_enabled)
                return 0;
        r = metrics_open(&telemetry->metrics, loop, &options, &EVENTS, telemetry, problem);
        if (r < 0)
                log_error("%s", problem);
        else
                log_notice("metrics on http://%s/metrics", metrics_name(telemetry->metrics));
        return r;
}

void telemetry_count_reload(struct telemetry *telemetry, bool has_failed)
{
        struct figures_reloads *reloads = &telemetry->sources.reloads;

        reloads->n_failed += has_failed;
        reloads->n_succeeded += !has_failed;
        reloads->has_failed = has_failed;
}

void telemetry_report(struct telemetry *telemetry)
{
        struct figures figures;
        int r = figures_collect(&figures, &telemetry->sources);

        if (r < 0) {
                log_error("no statistics: %s", uv_strerror(r));
                return;
        }
        report_statistics(&figures);
        figures_free(&figures);
}

void telemetry_close(struct telemetry *telemetry)
{
        metrics_close(telemetry->metrics);
        telemetry->metrics = NULL;
}

static int on_page(void *user, struct exposition *exposition)
{
        struct telemetry *telemetry = user;
        struct figures figures;
        int r = figures_collect(&figures, &telemetry->sources);

        if (r < 0)
                return r;
        metrics_page_write(exposition, &figures);
        figures_free(&figures);
        return 0;
}

static bool on_readiness(void *user)
{
        const struct telemetry *telemetry = user;

        return telemetry->is_ready;
}

static void on_status(uv_timer_t *timer)
{
        struct telemetry *telemetry = CONTAINER_OF(timer, struct telemetry, status_timer);
        uint64_t load = acceptor_load(telemetry->sources.acceptor);

        if (load == telemetry->reported_load)
                return;
        telemetry->reported_load = load;
        service_manager_status("Serving %llu connections", (unsigned long long)load);
}
