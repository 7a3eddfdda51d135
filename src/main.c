#include <errno.h>
#include <getopt.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "config.h"
#include "log.h"
#include "metrics.h"
#include "server.h"
#include "service_manager.h"
#include "settings.h"
#include "signals.h"
#include "standard_streams.h"

/* The contract with scripts and with systemd's RestartPreventExitStatus=. */
enum exit_status {
        EXIT_STOPPED = 0,
        EXIT_FAILED = 1,
        EXIT_USAGE = 2,
        EXIT_NOT_PERMITTED = 4,
        EXIT_CONFIG = 6,
};

enum task { TASK_SERVE, TASK_CHECK, TASK_PRINT };

struct arguments {
        struct config_origin origin;
        enum task task;
        int verbosity;
        char *const *argv;
};

static const char USAGE[] =
        "Usage: echod [-c FILE] [-o 'OPTION = VALUE;']... [-t | -T] [-v] [-V] [-h]\n"
        "TCP echo daemon (RFC 862).\n"
        "\n"
        "  -c FILE    configuration file (" ECHOD_DEFAULT_CONFIG ")\n"
        "  -o OPTION  an option in the file's syntax, which overrides it; may be repeated\n"
        "  -t         check the configuration and exit\n"
        "  -T         the same, and print it in the file's syntax\n"
        "  -v         log more; may be repeated\n"
        "  -V         print the versions and exit\n"
        "  -h         print this help and exit\n"
        "\n"
        "See echod(8) and echod.conf(5).\n";

static void print_version(void)
{
        printf("echod %s\nlibuv %s\nlibconfig %d.%d.%d\nfeatures: %s %s\n", ECHOD_VERSION,
               uv_version_string(), LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR,
               LIBCONFIG_VER_REVISION, service_manager_feature(), metrics_feature());
}

/* -1: go on; else the status to exit with. */
static int take_option(struct arguments *arguments, int option)
{
        struct config_origin *origin = &arguments->origin;

        switch (option) {
        case 'c':
                origin->path = optarg;
                origin->is_optional = false;
                return -1;
        case 'o':
                origin->overrides[origin->n_overrides++] = optarg;
                return -1;
        case 't':
                arguments->task = MAX(arguments->task, TASK_CHECK);
                return -1;
        case 'T':
                arguments->task = TASK_PRINT;
                return -1;
        case 'v':
                arguments->verbosity++;
                return -1;
        case 'V':
                print_version();
                return EXIT_STOPPED;
        case 'h':
                fputs(USAGE, stdout);
                return EXIT_STOPPED;
        default:
                fputs(USAGE, stderr);
                return EXIT_USAGE;
        }
}

static int take_arguments(struct arguments *arguments, int argc, char **argv)
{
        int option, status = -1;

        while (status < 0 && (option = getopt(argc, argv, "c:o:tTvVh")) != -1)
                status = take_option(arguments, option);
        if (status < 0 && optind < argc) {
                fprintf(stderr, "echod: unexpected argument '%s'\n%s", argv[optind], USAGE);
                return EXIT_USAGE;
        }
        return status;
}

static int serve(struct config *config, const struct arguments *arguments)
{
        switch (server_run(config, &arguments->origin, arguments->verbosity, arguments->argv)) {
        case 0:
                return EXIT_STOPPED;
        case -EACCES:
        case -EPERM:
                return EXIT_NOT_PERMITTED;
        case -EBADFD:
                return EXIT_CONFIG;
        default:
                return EXIT_FAILED;
        }
}

static int run(const struct arguments *arguments)
{
        struct config_problems problems = {.report = log_problem};
        struct config config;
        int r, status = EXIT_STOPPED;

        if (arguments->task == TASK_SERVE)
                signals_block();
        r = config_load(&config, &arguments->origin, &problems);
        if (r < 0) {
                log_error("bad configuration: %u problem%s", problems.n_problems,
                          problems.n_problems == 1 ? "" : "s");
                return r == -ENOMEM ? EXIT_FAILED : EXIT_CONFIG;
        }
        settings_set_log_level(&config, arguments->verbosity);
        if (r == CONFIG_FILE_ABSENT)
                log_notice("%s does not exist: built-in defaults", arguments->origin.path);
        if (arguments->task == TASK_SERVE)
                status = serve(&config, arguments);
        else if (arguments->task == TASK_PRINT)
                config_print(&config, stdout);
        else
                log_notice("the configuration is valid");
        config_free(&config);
        return status;
}

/* A full disk is not to pass for a printed configuration. */
static int flush_output(int status)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        log_error("cannot write to standard output: %s", strerror(errno));
        return EXIT_FAILED;
}

int main(int argc, char **argv)
{
        const char **overrides = calloc((size_t)argc, sizeof(*overrides));
        struct arguments arguments = {
                .origin = {.path = ECHOD_DEFAULT_CONFIG, .is_optional = true},
                .argv = argv,
        };
        int status;

        standard_streams_open();
        log_setup();
        if (!overrides) {
                log_error("out of memory");
                return EXIT_FAILED;
        }
        arguments.origin.overrides = overrides;
        status = take_arguments(&arguments, argc, argv);
        if (status < 0)
                status = run(&arguments);
        free(overrides);
        return flush_output(status);
}
