/*
 * The happy path:
 *  1. start(): the limits, the loop, the workers, the listeners; then READY.
 *  2. RUNNING: the loop accepts. HUP reloads; USR1 logs the statistics; USR2 begins anew at 1.
 *  3. TERM or INT: LEAVING, which is to be seen at /readyz, for shutdown_delay; then the listeners
 *     close, DRAINING. Connections go on until they end by themselves.
 *     Or SIGNAL_LEAVE: everything is left to systemd, without waiting.
 *  4. The last has ended: stop(). The workers end, every handle closes, the loop runs out.
 *
 * What can go wrong:
 *  - anything in 1: what was made is undone, server_run() returns the error;
 *  - a reload: everything stays as it is, and the log says why;
 *  - connections left at drain_timeout, or at a second TERM or INT: they are reset, then 4.
 *
 *    STARTING ──▶ RUNNING ──▶ LEAVING ──▶ DRAINING ──▶ STOPPED
 *        │            └────────────────────────────────▲
 *        └─────────────────────────────────────────────┘
 */

#include "server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "acceptor.h"
#include "inherited.h"
#include "log.h"
#include "main_loop.h"
#include "pool.h"
#include "report.h"
#include "restart.h"
#include "service_manager.h"
#include "settings.h"
#include "signals.h"
#include "telemetry.h"
#include "watchdog.h"

enum server_state { STARTING, RUNNING, LEAVING, DRAINING, STOPPED };

struct server {
        enum server_state state;
        uv_loop_t loop;
        struct config config;
        const struct config_origin *origin;
        int verbosity;
        int64_t connections_possible; /* what the limit on open files allows */
        struct inherited inherited;
        struct restart restart;
        struct pool pool;
        struct acceptor acceptor;
        struct telemetry telemetry;
        struct signals signals;
        uv_timer_t drain_timer; /* in LEAVING: shutdown_delay */
        struct watchdog watchdog;
};

static void on_release(void *user);
static void on_signal(void *user, int number, int value);
static void on_shutdown_delay(uv_timer_t *timer);
static void on_drain_timeout(uv_timer_t *timer);

static int start_timers(struct server *server)
{
        int r = uv_timer_init(&server->loop, &server->drain_timer);

        if (r == 0)
                r = telemetry_start_status(&server->telemetry, &server->loop);
        if (r == 0)
                r = watchdog_start(&server->watchdog, &server->loop, &server->pool);
        return r;
}

/* Puts the configuration into force as far as the way in is concerned. */
static int apply(struct server *server)
{
        char problem[ACCEPTOR_PROBLEM_MAX];
        int r = acceptor_apply(
                &server->acceptor, &server->config,
                settings_max_connections(&server->config, server->connections_possible), problem);

        if (r < 0)
                log_error("%s", problem);
        else
                report_backlogs(&server->config);
        return r;
}

/* Listens everywhere; on failure nothing is open. */
static int open_listeners(struct server *server)
{
        int r;

        acceptor_inherit(&server->acceptor, &server->inherited);
        r = apply(server);
        if (r == 0) {
                r = telemetry_open(&server->telemetry, &server->loop, &server->config,
                                   &server->inherited);
                /* Metrics that cannot be had are no reason to drop connections. */
                if (inherited_is_legacy(&server->inherited))
                        r = 0;
        }
        if (r == 0)
                handover_take_up(&server->restart.handover);
        if (inherited_settle(&server->inherited, log_problem, NULL) > 0 &&
            !inherited_is_legacy(&server->inherited))
                r = -EBADFD;
        if (r < 0) {
                telemetry_close(&server->telemetry);
                acceptor_close(&server->acceptor);
        }
        return r;
}

/* On failure what was made before is closed, but for the timers, which close_loop() closes. */
static int start_serving(struct server *server)
{
        const struct config *config = &server->config;
        const struct connection_limits limits = settings_limits(config);
        int r = pool_start(&server->pool, &server->loop, settings_n_workers(config),
                           (size_t)config->read_buffer, &limits, on_release, server);

        if (r < 0)
                return r;
        pool_set_busy_poll(&server->pool, settings_busy_poll_ns(config));
        r = acceptor_init(&server->acceptor, &server->loop, &server->pool);
        if (r < 0) {
                pool_stop(&server->pool);
                return r;
        }
        r = open_listeners(server);
        if (r < 0) {
                pool_stop(&server->pool);
                acceptor_free(&server->acceptor);
        }
        return r;
}

static int start_in_loop(struct server *server)
{
        int r = start_timers(server);

        if (r == 0)
                r = signals_open(&server->signals, &server->loop, on_signal, server);
        if (r < 0)
                return r;
        r = start_serving(server);
        if (r < 0)
                signals_close(&server->signals);
        return r;
}

/* Ends the loop, and the pool, which lives in it. */
static void close_loop(struct server *server)
{
        main_loop_end(&server->loop);
        pool_free(&server->pool);
}

static int start(struct server *server)
{
        int64_t n_descriptors = settings_descriptors(&server->config);
        int r;

        if (n_descriptors < 0)
                return (int)n_descriptors;
        server->connections_possible = n_descriptors;
        r = handover_receive(&server->inherited);
        if (r == 0)
                r = uv_loop_init(&server->loop);
        if (r < 0)
                return r;
        r = start_in_loop(server);
        if (r < 0)
                close_loop(server);
        return r;
}

int server_run(struct config *config, const struct config_origin *origin, int verbosity,
               char *const argv[])
{
        struct server server = {
                .config = *config,
                .origin = origin,
                .verbosity = verbosity,
        };
        int r;

        telemetry_init(&server.telemetry, &server.acceptor);
        *config = CONFIG_NULL;
        restart_init(&server.restart, &server.loop,
                     &(struct handover){&server.acceptor, &server.pool, &server.inherited}, argv);
        log_use_time_stamps();
        settings_set_log(&server.config, verbosity);
        log_notice("echod " ECHOD_VERSION " starting, libuv %s", uv_version_string());
        r = start(&server);
        if (r == 0) {
                report_settings(&server.config, &server.pool, &server.acceptor);
                server.state = RUNNING;
                server.telemetry.is_ready = true;
                service_manager_ready();
                pool_run(&server.pool);
                close_loop(&server);
                acceptor_free(&server.acceptor);
                log_notice("stopped");
        } else {
                log_error("cannot start: %s",
                          r == -EBADFD ? "unexpected descriptors" : uv_strerror(r));
        }
        inherited_free(&server.inherited);
        config_free(&server.config);
        return r;
}

static void warn_restart(void *user, const char *option)
{
        (void)user;
        log_warning("%s: a change needs a restart; the rest of the configuration is in force",
                    option);
}

/* The new configuration in place of the old, all or nothing. Takes `next` over. */
static int replace_config(struct server *server, const struct config *next)
{
        struct config previous = server->config;
        struct connection_limits limits;
        int r;

        server->config = *next;
        config_keep_restart_only(&server->config, &previous, warn_restart, NULL);
        r = apply(server);
        if (r < 0) {
                log_error("the configuration stays as it was");
                config_free(&server->config);
                server->config = previous;
                return r;
        }
        config_free(&previous);
        limits = settings_limits(&server->config);
        pool_set_limits(&server->pool, &limits);
        pool_set_busy_poll(&server->pool, settings_busy_poll_ns(&server->config));
        settings_set_log(&server->config, server->verbosity);
        log_notice("configuration reloaded");
        report_settings(&server->config, &server->pool, &server->acceptor);
        return 0;
}

static void reload(struct server *server)
{
        struct config_problems problems = {.report = log_problem};
        struct config next;
        int r;

        if (server->state != RUNNING) {
                log_notice("no reload while stopping");
                return;
        }
        service_manager_reloading();
        r = config_load(&next, server->origin, &problems);
        if (r == CONFIG_FILE_ABSENT)
                log_notice("%s does not exist: built-in defaults", server->origin->path);
        if (r >= 0)
                r = replace_config(server, &next);
        else
                log_error("the configuration stays as it was: %s", uv_strerror(r));
        telemetry_count_reload(&server->telemetry, r < 0);
        service_manager_ready();
}

/* Closes everything; the loop then runs out. */
static void stop(struct server *server)
{
        server->state = STOPPED;
        signals_close(&server->signals);
        telemetry_close(&server->telemetry);
        acceptor_close(&server->acceptor);
        pool_stop(&server->pool);
        main_loop_close_handles(&server->loop);
}

/* Stops as soon as no connection is left. */
static void check_drained(struct server *server)
{
        if (server->state != DRAINING)
                return;
        pool_await_release(&server->pool);
        if (acceptor_load(&server->acceptor) == 0)
                stop(server);
}

static void on_release(void *user)
{
        struct server *server = user;

        acceptor_on_release(&server->acceptor);
        check_drained(server);
}

static void reset_all(struct server *server)
{
        pool_reset_all(&server->pool);
        acceptor_reset_guests(&server->acceptor);
}

/* The listeners close; who is connected may stay until drain_timeout. */
static void drain(struct server *server, const char *cause)
{
        uint64_t timeout_ms = (uint64_t)server->config.drain_timeout_ms;

        server->state = DRAINING;
        acceptor_finish(&server->acceptor);
        log_notice("%s: no longer accepting, waiting %.3f s for %llu connections", cause,
                   (double)timeout_ms / 1e3, (unsigned long long)acceptor_load(&server->acceptor));
        uv_timer_start(&server->drain_timer, on_drain_timeout, timeout_ms, 0);
        check_drained(server);
}

/* Whoever asks is told that this server is not to be counted on; those who come are served. */
static void leave(struct server *server, const char *cause)
{
        uint64_t delay_ms = (uint64_t)server->config.shutdown_delay_ms;

        server->telemetry.is_ready = false;
        restart_cancel(&server->restart);
        service_manager_stopping();
        if (delay_ms == 0) {
                drain(server, cause);
                return;
        }
        server->state = LEAVING;
        log_notice("%s: accepting for %.3f s more", cause, (double)delay_ms / 1e3);
        uv_timer_start(&server->drain_timer, on_shutdown_delay, delay_ms, 0);
}

/* SIGTERM or SIGINT. */
static void terminate(struct server *server, const char *name)
{
        if (server->state == RUNNING) {
                leave(server, name);
                return;
        }
        if (server->state == LEAVING)
                drain(server, name);
        if (server->state != DRAINING)
                return;
        log_notice("%s again: resetting %llu connections", name,
                   (unsigned long long)acceptor_load(&server->acceptor));
        reset_all(server);
}

static void on_signal(void *user, int number, int value)
{
        struct server *server = user;

        if (number == SIGNAL_LEAVE) {
                if (restart_by_systemd(&server->restart, value))
                        stop(server);
                else if (value < 0 && server->state == RUNNING)
                        leave(server, "restart");
                return;
        }

        switch (number) {
        case SIGHUP:
                reload(server);
                break;
        case SIGUSR1:
                telemetry_report(&server->telemetry);
                break;
        case SIGUSR2:
                restart_in_place(&server->restart);
                break;
        default:
                terminate(server, strsignal(number));
                break;
        }
}

static void on_shutdown_delay(uv_timer_t *timer)
{
        drain(CONTAINER_OF(timer->loop, struct server, loop), "shutdown_delay");
}

static void on_drain_timeout(uv_timer_t *timer)
{
        struct server *server = CONTAINER_OF(timer->loop, struct server, loop);

        log_notice("drain_timeout: resetting %llu connections",
                   (unsigned long long)acceptor_load(&server->acceptor));
        reset_all(server);
}
