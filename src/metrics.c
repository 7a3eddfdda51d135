/*
 * The happy path:
 *  1. metrics_open() listens, and has the main loop watch libmicrohttpd's epoll descriptor.
 *  2. on_readable(): libmicrohttpd accepts, reads, and calls on_request() for a whole request.
 *  3. on_request() queues the answer; libmicrohttpd writes it as the socket takes it, and closes.
 *  4. metrics_close() ends all of that; on_closed() frees it.
 *
 * What can go wrong:
 *  - it cannot listen: metrics_open() fails and leaves nothing behind;
 *  - a request is no GET or HEAD, or for something else: 405, 404;
 *  - it is longer than a connection's memory: libmicrohttpd answers 414 or 431;
 *  - the peer is slow to ask or to read: shut_down_overdue() ends the connection;
 *  - there are too many: the others wait, since each connection ends after one answer, or soon;
 *  - nobody can be accepted, for lack of descriptors: rest() keeps the loop from spinning;
 *  - no memory for a page: 503.
 */

#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

/* A whole request line with its headers has to fit in, less what the answer's headers take. */
#define CONNECTION_MEMORY 8192

/* From the accept to the last byte of the answer. */
#define CONNECTION_LIFETIME_MS 10000

/* Of one address, so that one mistaken client does not take all places. */
#define CONNECTIONS_EACH_ADDRESS_MAX (METRICS_CONNECTIONS_MAX / 2)

#define RETRY_MS 100

#define NEVER UINT64_MAX

/* A connection of libmicrohttpd's. */
struct place {
        struct MHD_Connection *connection; /* NULL: free */
        uint64_t deadline_ms;              /* NEVER: it has been shut down */
};

struct metrics {
        struct MHD_Daemon *daemon;
        uv_poll_t poll;
        uv_timer_t timer;
        unsigned n_open_handles; /* of the two above */
        int descriptor;          /* the listening socket, which is the daemon's */
        struct place places[METRICS_CONNECTIONS_MAX];
        bool has_closed; /* a connection, in this turn */
        char name[ADDRESS_TEXT_MAX];
        const struct metrics_events *events;
        void *user;
};

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);
static void on_connection(void *user, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code);
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context);

const char *metrics_feature(void)
{
        return "+metrics";
}

/* Takes the socket over. False: out of memory, or of descriptors. */
static bool start_daemon(struct metrics *metrics)
{
        struct MHD_OptionItem options[] = {
                {MHD_OPTION_LISTEN_SOCKET, metrics->descriptor, NULL},
                {MHD_OPTION_CONNECTION_LIMIT, METRICS_CONNECTIONS_MAX, NULL},
                {MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_EACH_ADDRESS_MAX, NULL},
                {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
                {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, metrics},
                {MHD_OPTION_END, 0, NULL},
        };

        metrics->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, metrics,
                                           MHD_OPTION_ARRAY, options, MHD_OPTION_END);
        if (metrics->daemon)
                return true;
        /* It may have closed the socket, or not; no other thread opens anything at the start. */
        if (fcntl(metrics->descriptor, F_GETFD) >= 0)
                close(metrics->descriptor);
        return false;
}

static int watch(struct metrics *metrics, uv_loop_t *loop)
{
        const union MHD_DaemonInfo *info =
                MHD_get_daemon_info(metrics->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        int r = uv_poll_init(loop, &metrics->poll, info->epoll_fd);

        if (r < 0)
                return r;
        metrics->n_open_handles++;
        r = uv_timer_init(loop, &metrics->timer);
        if (r < 0)
                return r;
        metrics->n_open_handles++;
        return uv_poll_start(&metrics->poll, UV_READABLE, on_readable);
}

int metrics_open(struct metrics **ret_metrics, uv_loop_t *loop,
                 const struct metrics_options *options, const struct metrics_events *events,
                 void *user, char problem[static METRICS_PROBLEM_MAX])
{
        struct metrics *metrics = calloc(1, sizeof(*metrics));
        char name[ADDRESS_TEXT_MAX] = "";
        int r = -ENOMEM;

        if (metrics) {
                metrics->events = events;
                metrics->user = user;
                r = metrics_socket_open(options, &metrics->descriptor, metrics->name);
                strcpy(name, metrics->name);
        }
        if (r == 0 && !start_daemon(metrics))
                r = -ENOMEM;
        if (r < 0)
                free(metrics);
        else if ((r = watch(metrics, loop)) < 0)
                metrics_close(metrics);
        if (r < 0)
                snprintf(problem, METRICS_PROBLEM_MAX, "cannot serve metrics on %s: %s", name,
                         strerror(-r));
        else
                *ret_metrics = metrics;
        return r;
}

const char *metrics_name(const struct metrics *metrics)
{
        return metrics->name;
}

static void on_closed(uv_handle_t *handle)
{
        struct metrics *metrics = handle->data;

        if (--metrics->n_open_handles == 0)
                free(metrics);
}

static void close_handle(struct metrics *metrics, uv_handle_t *handle)
{
        handle->data = metrics;
        uv_close(handle, on_closed);
}

void metrics_close(struct metrics *metrics)
{
        unsigned n;

        if (!metrics)
                return;
        n = metrics->n_open_handles;
        /* Before the descriptor that it watches is closed. */
        if (n > 0)
                close_handle(metrics, (uv_handle_t *)&metrics->poll);
        if (n > 1)
                close_handle(metrics, (uv_handle_t *)&metrics->timer);
        MHD_stop_daemon(metrics->daemon);
        metrics->daemon = NULL;
        if (n == 0)
                free(metrics);
}

/* Ends connections that have had their time; libmicrohttpd then sees the end of their input. */
static void shut_down_overdue(struct metrics *metrics)
{
        uint64_t now_ms = uv_now(metrics->timer.loop);

        for (size_t i = 0; i < METRICS_CONNECTIONS_MAX; i++) {
                struct place *place = &metrics->places[i];

                if (!place->connection || place->deadline_ms > now_ms)
                        continue;
                shutdown(MHD_get_connection_info(place->connection,
                                                 MHD_CONNECTION_INFO_CONNECTION_FD)
                                 ->connect_fd,
                         SHUT_RDWR);
                place->deadline_ms = NEVER;
        }
}

/* In how many milliseconds there is something to do without an event. */
static uint64_t next_turn_ms(const struct metrics *metrics)
{
        uint64_t now_ms = uv_now(metrics->timer.loop), next_ms = NEVER;
        MHD_UNSIGNED_LONG_LONG timeout_ms;

        /* Only then does libmicrohttpd see that it may accept again. */
        if (metrics->has_closed)
                return 0;
        for (size_t i = 0; i < METRICS_CONNECTIONS_MAX; i++)
                if (metrics->places[i].connection)
                        next_ms = MIN(next_ms, metrics->places[i].deadline_ms);
        if (next_ms != NEVER)
                next_ms -= MIN(next_ms, now_ms);
        if (MHD_get_timeout(metrics->daemon, &timeout_ms) == MHD_YES)
                next_ms = MIN(next_ms, timeout_ms);
        return next_ms;
}

/* With no connection, libmicrohttpd tries to accept for ever, at once, also if it cannot. */
static bool is_stuck(const struct metrics *metrics)
{
        struct pollfd waiting = {.fd = metrics->descriptor, .events = POLLIN};

        for (size_t i = 0; i < METRICS_CONNECTIONS_MAX; i++)
                if (metrics->places[i].connection)
                        return false;
        return poll(&waiting, 1, 0) > 0;
}

static void rest(struct metrics *metrics)
{
        uv_poll_stop(&metrics->poll);
        uv_timer_start(&metrics->timer, on_timer, RETRY_MS, 0);
}

static void turn(struct metrics *metrics)
{
        uint64_t next_ms;

        metrics->has_closed = false;
        shut_down_overdue(metrics);
        MHD_run(metrics->daemon);
        /* After an end it has yet to try: who waits then is the next client. */
        if (!metrics->has_closed && is_stuck(metrics)) {
                rest(metrics);
                return;
        }
        next_ms = next_turn_ms(metrics);
        if (next_ms == NEVER)
                uv_timer_stop(&metrics->timer);
        else
                uv_timer_start(&metrics->timer, on_timer, next_ms, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
        (void)status;
        (void)events;
        turn(CONTAINER_OF(poll, struct metrics, poll));
}

static void on_timer(uv_timer_t *timer)
{
        struct metrics *metrics = CONTAINER_OF(timer, struct metrics, timer);

        /* It is watched already but after a rest, so this can fail only by a mistake of ours. */
        uv_poll_start(&metrics->poll, UV_READABLE, on_readable);
        turn(metrics);
}

static struct place *free_place(struct metrics *metrics)
{
        for (size_t i = 0; i < METRICS_CONNECTIONS_MAX; i++)
                if (!metrics->places[i].connection)
                        return &metrics->places[i];
        return NULL;
}

/* There is a place for each, since libmicrohttpd accepts no more. */
static void on_connection(void *user, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
        struct metrics *metrics = user;
        struct place *place = *context;

        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                place = free_place(metrics);
                *context = place;
                if (place)
                        *place = (struct place){
                                .connection = connection,
                                .deadline_ms = uv_now(metrics->timer.loop) + CONNECTION_LIFETIME_MS,
                        };
        } else {
                metrics->has_closed = true;
                if (place)
                        place->connection = NULL;
        }
}

/* Takes over the text. One answer for each connection, so that none keeps its place for long. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              enum MHD_ResponseMemoryMode mode, char *text, size_t length,
                              const char *type)
{
        struct MHD_Response *response = MHD_create_response_from_buffer(length, text, mode);
        enum MHD_Result result;

        if (!response) {
                if (mode == MHD_RESPMEM_MUST_FREE)
                        free(text);
                return MHD_NO;
        }
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
                MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
        result = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
        return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text)
{
        return answer(connection, status, MHD_RESPMEM_PERSISTENT, (char *)(uintptr_t)text,
                      strlen(text), "text/plain; charset=utf-8");
}

static enum MHD_Result answer_page(struct metrics *metrics, struct MHD_Connection *connection)
{
        struct exposition exposition = EXPOSITION_NULL;
        int r = metrics->events->write(metrics->user, &exposition);
        size_t length;
        char *text = exposition_take(&exposition, &length);

        if (r < 0 || !text) {
                free(text);
                return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory\n");
        }
        return answer(connection, MHD_HTTP_OK, MHD_RESPMEM_MUST_FREE, text, length,
                      EXPOSITION_CONTENT_TYPE);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
        struct metrics *metrics = user;

        (void)version;
        (void)upload;
        (void)upload_size;
        (void)context;
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
                return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        if (strcmp(url, "/metrics") == 0)
                return answer_page(metrics, connection);
        if (strcmp(url, "/healthz") == 0)
                return answer_text(connection, MHD_HTTP_OK, "alive\n");
        if (strcmp(url, "/readyz") != 0)
                return answer_text(connection, MHD_HTTP_NOT_FOUND,
                                   "there are /metrics, /healthz and /readyz\n");
        return metrics->events->is_ready(metrics->user)
                       ? answer_text(connection, MHD_HTTP_OK, "ready\n")
                       : answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "draining\n");
}
