/* The server runs in the test's own thread; what it is to meet is sent on its way when it is ready.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"
#include "config.h"
#include "descriptors.h"
#include "faults.h"
#include "log.h"
#include "server.h"
#include "signals.h"
#include "stage.h"

TestSuite(server, .timeout = HANG_S);

/* A directory with a configuration file and the Unix socket that it names. */
static struct place place;
static char file[80];

static unsigned n_ready; /* how often the server has said so */
static int client;

static void write_config(const char *more)
{
        FILE *stream = fopen(file, "we");

        cr_assert(stream);
        fprintf(stream, "workers = 2; read_buffer = 4096;\n%s\n", more);
        cr_assert_eq(fclose(stream), 0);
}

/* A configuration that listens on the Unix socket and on `listener`. */
static void write_listeners(const char *listener)
{
        char text[400];

        snprintf(text, sizeof(text), "listeners = ( { address = \"%s\"; }%s );", place.path,
                 listener);
        write_config(text);
}

#ifdef HAVE_MICROHTTPD
#define METRICS "metrics = { port = 0; };"
#else
#define METRICS ""
#endif

/* A configuration with all that a server can open. */
static void write_everything(void)
{
        char text[400];

        snprintf(
                text, sizeof(text),
                "listeners = ( { address = \"%s\"; }, { address = \"127.0.0.1\"; port = 0; } );\n" METRICS,
                place.path);
        write_config(text);
}

static void begin(void)
{
        place = make_place();
        snprintf(file, sizeof(file), "%s/conf", place.directory);
        write_listeners("");
        warm_up();
}

static void end(void)
{
        unlink(file);
        leave_place(&place);
}

static int run(void (*on_ready)(void))
{
        const struct config_origin origin = {.path = file};
        struct config_problems problems = {.report = log_problem};
        unsigned n_descriptors = count_descriptors();
        char name[] = "echod", *argv[] = {name, NULL};
        struct config config;
        int r;

        n_ready = 0;
        faults_on_ready = on_ready;
        signals_block();
        r = config_load(&config, &origin, &problems);
        if (r >= 0)
                r = server_run(&config, &origin, 0, argv);
        config_free(&config);
        cr_assert_eq(count_descriptors(), n_descriptors + (client > 0), "descriptors are left");
        cr_assert_eq(access(place.path, F_OK), -1, "the socket's file is left");
        return r;
}

static void terminate(void)
{
        raise(SIGTERM);
}

/* A client that sends a text, and says no more. */
static void bring_client(void)
{
        client = client_connect_unix(place.path);
        client_send(client, "text", 4);
}

static void expect_answer(void)
{
        client_receive(client, (char[4]){0}, 4);
        client_expect_eof(client);
        close(client);
        client = 0;
}

static void start_and_stop(void *user)
{
        int r;

        (void)user;
        r = run(terminate);
        cr_assert(r == 0 || faults_have_struck());
}

Test(server, each_call_that_fails_at_start_is_an_error_and_leaves_nothing)
{
        begin();
        setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
        write_everything();
        faults_force_each(start_and_stop, NULL);
        expect_no_leaks();
        end();
}

static void expect_start_fails(enum fault_target target, int error)
{
        faults_fail(target, 1, 1, error);
        cr_assert_eq(run(terminate), -error);
        cr_assert(faults_have_struck());
}

Test(server, refuses_to_start_with_the_error)
{
        begin();
        expect_start_fails(FAULT_UV_LOOP_INIT, EMFILE);
        expect_start_fails(FAULT_SIGNALFD, EMFILE);
        expect_start_fails(FAULT_UV_TIMER_INIT, ENOMEM);
        expect_start_fails(FAULT_UV_THREAD_CREATE, EAGAIN);
        expect_start_fails(FAULT_SOCKET, ENFILE);
        expect_start_fails(FAULT_BIND, EACCES);
        expect_start_fails(FAULT_LISTEN, EADDRINUSE);
        expect_start_fails(FAULT_GETRLIMIT, EFAULT);
        expect_no_leaks();
        end();
}

static void bring_client_and_terminate(void)
{
        bring_client();
        client_half_close(client);
        raise(SIGTERM);
}

Test(server, serves_who_is_in_the_queue_before_it_stops)
{
        begin();
        cr_assert_eq(run(bring_client_and_terminate), 0);
        expect_answer();
        expect_no_leaks();
        end();
}

static void bring_client_and_terminate_twice(void)
{
        bring_client();
        raise(SIGTERM);
        raise(SIGINT);
}

Test(server, a_second_signal_resets_what_is_open)
{
        begin();
        cr_assert_eq(run(bring_client_and_terminate_twice), 0);
        cr_assert_eq(faults_n_logged("again: resetting 1 connections"), 1);
        close(client);
        expect_no_leaks();
        end();
}

static void bring_silent_client_and_terminate(void)
{
        bring_client();
        raise(SIGTERM);
}

Test(server, drain_timeout_resets_what_is_open)
{
        char text[200];

        begin();
        snprintf(text, sizeof(text), "drain_timeout = 0.01; listeners = ( { address = \"%s\"; } );",
                 place.path);
        write_config(text);
        cr_assert_eq(run(bring_silent_client_and_terminate), 0);
        cr_assert_eq(faults_n_logged("drain_timeout: resetting 1 connections"), 1);
        close(client);
        expect_no_leaks();
        end();
}

/* First ready: reload, with one listener more and a call that fails. Second: serve, and stop. */
static void reload_and_serve(void)
{
        if (n_ready++ == 0) {
                write_listeners(", { address = \"127.0.0.1\"; port = 0; }");
                faults_begin();
                raise(SIGHUP);
                return;
        }
        faults_postpone();
        bring_client_and_terminate();
}

static void start_and_reload(void *user)
{
        (void)user;
        faults_postpone();
        write_listeners("");
        cr_assert_eq(run(reload_and_serve), 0);
        cr_assert_eq(n_ready, 2);
        expect_answer();
}

Test(server, each_call_that_fails_at_reload_leaves_it_serving)
{
        begin();
        faults_force_each(start_and_reload, NULL);
        cr_assert_gt(faults_n_logged("configuration reloaded"), 0);
        cr_assert_gt(faults_n_logged("stays as it was"), 0);
        expect_no_leaks();
        end();
}

static void limit_descriptors(rlim_t soft, rlim_t hard)
{
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){soft, hard}), 0);
}

Test(server, refuses_to_start_without_descriptors_for_clients)
{
        begin();
        limit_descriptors(60, 60);
        cr_assert_eq(run(terminate), -EMFILE);
        expect_no_leaks();
        end();
}

Test(descriptors, raises_the_limit_as_far_as_it_may)
{
        struct rlimit limit;
        int64_t n;

        limit_descriptors(100, 500);
        n = descriptors_for_connections(4);
        cr_assert_gt(n, 300);
        cr_assert_lt(n, 500);
        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        cr_assert_eq(limit.rlim_cur, 500);
}

Test(descriptors, each_worker_needs_some)
{
        limit_descriptors(500, 500);
        cr_assert_lt(descriptors_for_connections(10), descriptors_for_connections(1));
        cr_assert_eq(descriptors_for_connections(200), -EMFILE);
}

Test(descriptors, errors_are_passed_on)
{
        limit_descriptors(100, 500);
        faults_fail(FAULT_GETRLIMIT, 1, 1, EFAULT);
        cr_assert_eq(descriptors_for_connections(1), -EFAULT);
        faults_fail(FAULT_SETRLIMIT, 1, 1, EPERM);
        cr_assert_eq(descriptors_for_connections(1), -EPERM);
}
