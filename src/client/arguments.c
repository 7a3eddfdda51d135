#include "arguments.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "exit_status.h"
#include "pattern.h"
#include "util.h"

#define MODES_ALL (MODE_PROBE | MODE_TRANSCRIPT | MODE_LOAD | MODE_HOLD | MODE_STATUS)

#define SIZE_MAX_BYTES (16 << 20)

enum type { TYPE_FLAG, TYPE_INTEGER, TYPE_NUMBER, TYPE_TEXT, TYPE_MODE, TYPE_FAMILY, TYPE_END };

/* Options without a letter. */
enum {
        CODE_TRANSCRIPT = 256,
        CODE_CLIENTS,
        CODE_LOAD,
        CODE_HOLD,
        CODE_THREADS,
        CODE_BULK,
        CODE_CONNECT,
        CODE_RATE,
        CODE_JSON,
        CODE_SEED,
        CODE_STATUS
};

struct argument {
        int code;         /* the letter, or one of the above */
        const char *name; /* as it is written */
        enum type type;
        unsigned modes; /* those in which it makes sense */
        size_t field;
        double min, max; /* of a number; of TYPE_MODE and TYPE_FAMILY, min is the value */
};

#define FIELD(name) offsetof(struct arguments, name)

static const struct argument ARGUMENTS[] = {
        {'4', "-4", TYPE_FAMILY, MODES_ALL, FIELD(family), AF_INET, 0},
        {'6', "-6", TYPE_FAMILY, MODES_ALL, FIELD(family), AF_INET6, 0},
        {'c', "-c", TYPE_INTEGER, MODE_PROBE | MODE_STATUS, FIELD(count), 1, 1e15},
        {'i', "-i", TYPE_NUMBER, MODE_PROBE | MODE_TRANSCRIPT | MODE_STATUS, FIELD(interval_s),
         0.001, 86400},
        {'s', "-s", TYPE_INTEGER, MODE_PROBE | MODE_LOAD | MODE_HOLD, FIELD(size), 1,
         SIZE_MAX_BYTES},
        {'W', "-W", TYPE_NUMBER, MODES_ALL & ~MODE_LOAD, FIELD(timeout_s), 0.001, 3600},
        {'q', "-q", TYPE_FLAG, MODE_PROBE, FIELD(is_quiet), 0, 0},
        {'m', "-m", TYPE_TEXT, MODE_TRANSCRIPT, FIELD(texts), 0, 0},
        {'n', "-n", TYPE_INTEGER, MODE_LOAD | MODE_HOLD, FIELD(n_connections), 1,
         PATTERN_CONNECTIONS_MAX},
        {'d', "-d", TYPE_INTEGER, MODE_LOAD, FIELD(depth), 1, 4096},
        {'t', "-t", TYPE_NUMBER, MODE_LOAD | MODE_HOLD, FIELD(seconds), 0.001, 30 * 86400},
        {CODE_TRANSCRIPT, "--transcript", TYPE_MODE, MODES_ALL, 0, MODE_TRANSCRIPT, 0},
        {CODE_LOAD, "--load", TYPE_MODE, MODES_ALL, 0, MODE_LOAD, 0},
        {CODE_HOLD, "--hold", TYPE_MODE, MODES_ALL, 0, MODE_HOLD, 0},
        {CODE_STATUS, "--status", TYPE_MODE, MODES_ALL, 0, MODE_STATUS, 0},
        {CODE_CLIENTS, "--clients", TYPE_INTEGER, MODE_TRANSCRIPT, FIELD(n_clients), 1, 1000},
        {CODE_THREADS, "--threads", TYPE_INTEGER, MODE_LOAD, FIELD(n_threads), 1, 256},
        {CODE_BULK, "--bulk", TYPE_FLAG, MODE_LOAD, FIELD(is_bulk), 0, 0},
        {CODE_CONNECT, "--connect", TYPE_FLAG, MODE_LOAD, FIELD(is_connect), 0, 0},
        {CODE_RATE, "--rate", TYPE_NUMBER, MODE_LOAD, FIELD(rate), 0.001, 1e8},
        {CODE_JSON, "--json", TYPE_FLAG, MODE_LOAD, FIELD(is_json), 0, 0},
        {CODE_SEED, "--seed", TYPE_INTEGER, MODE_PROBE | MODE_LOAD | MODE_HOLD, FIELD(seed), 0,
         1e15},
        {0, NULL, TYPE_END, 0, 0, 0, 0},
};

static const char SHORT_OPTIONS[] = "46c:i:s:W:qm:n:d:t:hV";

static const struct option LONG_OPTIONS[] = {
        {"transcript", no_argument, NULL, CODE_TRANSCRIPT},
        {"status", no_argument, NULL, CODE_STATUS},
        {"clients", required_argument, NULL, CODE_CLIENTS},
        {"load", no_argument, NULL, CODE_LOAD},
        {"hold", no_argument, NULL, CODE_HOLD},
        {"threads", required_argument, NULL, CODE_THREADS},
        {"bulk", no_argument, NULL, CODE_BULK},
        {"connect", no_argument, NULL, CODE_CONNECT},
        {"rate", required_argument, NULL, CODE_RATE},
        {"json", no_argument, NULL, CODE_JSON},
        {"seed", required_argument, NULL, CODE_SEED},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
};

/* Pairs of options that make no sense together. */
static const int EXCLUSIONS[][2] = {
        {CODE_TRANSCRIPT, CODE_LOAD},
        {CODE_TRANSCRIPT, CODE_HOLD},
        {CODE_LOAD, CODE_HOLD},
        {CODE_TRANSCRIPT, CODE_STATUS},
        {CODE_LOAD, CODE_STATUS},
        {CODE_HOLD, CODE_STATUS},
        {CODE_BULK, CODE_CONNECT},
        {CODE_BULK, CODE_RATE},
        {CODE_CONNECT, CODE_RATE},
        {CODE_BULK, 's'},
        {CODE_BULK, 'd'},
        {CODE_CONNECT, 's'},
        {CODE_CONNECT, 'd'},
        {'4', '6'},
};

static const char USAGE[] =
        "Usage: echoc [-4 | -6] [-c COUNT] [-i SECONDS] [-s SIZE] [-W TIMEOUT] [-q] HOST [PORT]\n"
        "       echoc --transcript [--clients N] [-i SECONDS] [-W TIMEOUT] -m TEXT [-m TEXT]...\n"
        "             HOST [PORT]\n"
        "       echoc --load [-n CONNECTIONS] [-s SIZE] [-d DEPTH] [-t SECONDS] [--threads N]\n"
        "             [--rate RATE | --bulk | --connect] [--json] HOST [PORT]\n"
        "       echoc --hold [-n CONNECTIONS] [-s SIZE] [-t SECONDS] [-W TIMEOUT] HOST [PORT]\n"
        "       echoc --status [-c COUNT] [-i SECONDS] [-W TIMEOUT] URL | HOST [PORT]\n"
        "Questions an echo server (RFC 862) and verifies every byte that comes back.\n"
        "HOST is a name, an address, or the path of a Unix socket; PORT is 7 unless given.\n"
        "\n"
        "  -4, -6         IPv4 or IPv6 only\n"
        "  -c COUNT       stop after so many messages\n"
        "  -i SECONDS     between messages (probe: 1, transcript: 0.5)\n"
        "  -s SIZE        bytes of a message (64)\n"
        "  -W TIMEOUT     seconds after which an answer is late (3; transcript: never)\n"
        "  -q             only the summary\n"
        "  --transcript   what happens to whom and when\n"
        "  --clients N    so many clients at once (3)\n"
        "  -m TEXT        what each of them sends; may be repeated\n"
        "  --load         as many messages as come back\n"
        "  --hold         hold connections open\n"
        "  --status       the figures of an echod that serves metrics (port 9007)\n"
        "  -n CONNECTIONS so many (1)\n"
        "  -d DEPTH       messages under way on each (1)\n"
        "  -t SECONDS     so long (10)\n"
        "  --threads N    of the client (1)\n"
        "  --rate RATE    messages a second, all connections together\n"
        "  --bulk         streams instead of messages\n"
        "  --connect      connections instead of messages\n"
        "  --json         the result for machines\n"
        "  --seed SEED    of what is sent (another one each time)\n"
        "  -V, -h         print the version, or this help, and exit\n"
        "\n"
        "See echoc(1).\n";

static const struct argument *find(int code)
{
        const struct argument *argument = ARGUMENTS;

        while (argument->type != TYPE_END && argument->code != code)
                argument++;
        return argument;
}

/* Says what is wrong. */
static int complain(const char *format, ...) FORMAT_PRINTF(1, 2);

static int complain(const char *format, ...)
{
        va_list rest;

        fputs("echoc: ", stderr);
        va_start(rest, format);
        vfprintf(stderr, format, rest);
        va_end(rest);
        fputs("\nTry 'echoc -h'.\n", stderr);
        return STATUS_USAGE;
}

/* Whole and without a fraction, or not. False: it is not a number in the range. */
static bool parse(const char *text, double min, double max, bool is_whole, double *ret_value)
{
        char *end;

        errno = 0;
        *ret_value = strtod(text, &end);
        return end != text && *end == '\0' && errno == 0 && *ret_value >= min &&
               *ret_value <= max && (!is_whole || *ret_value == floor(*ret_value));
}

static int take_number(struct arguments *arguments, const struct argument *argument,
                       const char *text)
{
        char *field = (char *)arguments + argument->field;
        bool is_whole = argument->type == TYPE_INTEGER;
        double value;

        if (!parse(text, argument->min, argument->max, is_whole, &value))
                return complain("%s: '%s' is not %s from %.15g to %.15g", argument->name, text,
                                is_whole ? "a whole number" : "a number", argument->min,
                                argument->max);
        if (is_whole)
                *(uint64_t *)field = (uint64_t)value;
        else
                *(double *)field = value;
        return -1;
}

/* -1: go on. */
static int take(struct arguments *arguments, const struct argument *argument, const char *text)
{
        char *field = (char *)arguments + argument->field;

        switch (argument->type) {
        case TYPE_FLAG:
                *(bool *)field = true;
                return -1;
        case TYPE_MODE:
                arguments->mode = (enum mode)argument->min;
                return -1;
        case TYPE_FAMILY:
                *(int *)field = (int)argument->min;
                return -1;
        case TYPE_TEXT:
                if (*text == '\0')
                        return complain("%s: an empty text cannot come back", argument->name);
                arguments->texts[arguments->n_texts++] = text;
                return -1;
        default:
                return take_number(arguments, argument, text);
        }
}

/* `given`: a bit for each row of ARGUMENTS that is on the command line. */
static uint32_t bit_of(const struct argument *argument)
{
        return UINT32_C(1) << (argument - ARGUMENTS);
}

static bool is_given(uint32_t given, int code)
{
        return given & bit_of(find(code));
}

static const char *mode_name(enum mode mode)
{
        switch (mode) {
        case MODE_TRANSCRIPT:
                return "with --transcript";
        case MODE_LOAD:
                return "with --load";
        case MODE_HOLD:
                return "with --hold";
        case MODE_STATUS:
                return "with --status";
        default:
                return "for a probe";
        }
}

/* Options that do not go together. */
static int check_combination(const struct arguments *arguments, uint32_t given)
{
        for (size_t i = 0; i < ARRAY_SIZE(EXCLUSIONS); i++)
                if (is_given(given, EXCLUSIONS[i][0]) && is_given(given, EXCLUSIONS[i][1]))
                        return complain("%s and %s exclude each other",
                                        find(EXCLUSIONS[i][0])->name, find(EXCLUSIONS[i][1])->name);
        for (const struct argument *row = ARGUMENTS; row->type != TYPE_END; row++)
                if ((given & bit_of(row)) && !(row->modes & arguments->mode))
                        return complain("%s: there is no such option %s", row->name,
                                        mode_name(arguments->mode));
        if (arguments->mode == MODE_TRANSCRIPT && arguments->n_texts == 0)
                return complain("--transcript: no text, which -m gives");
        return -1;
}

static int take_operands(struct arguments *arguments, int n, char **operands)
{
        double port;

        if (n < 1)
                return complain("no HOST");
        if (n > 2)
                return complain("unexpected argument '%s'", operands[2]);
        arguments->host = operands[0];
        if (n < 2)
                return -1;
        if (!parse(operands[1], 1, 65535, true, &port))
                return complain("PORT: '%s' is not a whole number from 1 to 65535", operands[1]);
        arguments->port = (uint64_t)port;
        return -1;
}

static int take_options(struct arguments *arguments, uint32_t *ret_given, int argc, char **argv)
{
        int code, status = -1;

        while (status < 0 &&
               (code = getopt_long(argc, argv, SHORT_OPTIONS, LONG_OPTIONS, NULL)) != -1) {
                if (code == 'h')
                        return fputs(USAGE, stdout), STATUS_GOOD;
                if (code == 'V')
                        return printf("echoc %s\nlibuv %s\n", ECHOD_VERSION, uv_version_string()),
                               STATUS_GOOD;
                if (code == '?') /* getopt has said what */
                        return fputs("Try 'echoc -h'.\n", stderr), STATUS_USAGE;
                *ret_given |= bit_of(find(code));
                status = take(arguments, find(code), optarg);
        }
        return status;
}

/* So that two that run at once do not take each other's bytes for their own. */
static uint64_t random_seed(void)
{
        uint32_t seed;

        if (uv_random(NULL, NULL, &seed, sizeof(seed), 0, NULL) < 0)
                seed = (uint32_t)uv_hrtime(); /* good enough to differ */
        return seed;
}

/* What is not given depends on the mode, or on chance; and no thread is without a connection. */
static void complete(struct arguments *arguments, uint32_t given)
{
        arguments->n_threads = MIN(arguments->n_threads, arguments->n_connections);
        if (arguments->port == 0)
                arguments->port = arguments->mode == MODE_STATUS ? 9007 : 7;
        if (!is_given(given, 'i'))
                arguments->interval_s = arguments->mode == MODE_TRANSCRIPT ? 0.5 : 1;
        if (!is_given(given, 'W'))
                arguments->timeout_s = arguments->mode == MODE_TRANSCRIPT ? 0 : 3;
        if (!is_given(given, CODE_SEED))
                arguments->seed = random_seed();
}

int arguments_take(struct arguments *ret_arguments, int argc, char **argv)
{
        uint32_t given = 0;
        int status;

        *ret_arguments = (struct arguments){
                .mode = MODE_PROBE,
                .family = AF_UNSPEC,
                .size = 64,
                .texts = calloc((size_t)argc, sizeof(*ret_arguments->texts)),
                .n_clients = 3,
                .n_connections = 1,
                .depth = 1,
                .seconds = 10,
                .n_threads = 1,
        };
        if (!ret_arguments->texts)
                return fputs("echoc: out of memory\n", stderr), STATUS_USAGE;
        status = take_options(ret_arguments, &given, argc, argv);
        if (status < 0)
                status = check_combination(ret_arguments, given);
        if (status < 0)
                status = take_operands(ret_arguments, argc - optind, argv + optind);
        complete(ret_arguments, given);
        return status;
}

void arguments_free(struct arguments *arguments)
{
        free(arguments->texts);
}
