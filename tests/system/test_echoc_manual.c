/* The examples of echoc(1) do what they promise; help, manual and completion know every option. */

#include <criterion/criterion.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "echoc_outcome.h"
#include "page.h"

/* In all examples, and in the one that asks for metrics. */
#define PORT         "7007"
#define METRICS_PORT "9007"

#define N_OPTIONS 30

static char *read_source(const char *name)
{
        static char text[65536];
        char path[1024];
        size_t n;
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", getenv("SOURCE_ROOT"), name);
        file = fopen(path, "re");
        cr_assert_not_null(file, "no %s", path);
        n = fread(text, 1, sizeof(text) - 1, file);
        text[n] = '\0';
        fclose(file);
        return text;
}

/* echoc is found first where a shell looks for it. */
static void put_on_path(void)
{
        char directory[1024], path[8192];

        snprintf(directory, sizeof(directory), "%s", command_echoc());
        snprintf(path, sizeof(path), "%s:%s", dirname(directory), getenv("PATH"));
        setenv("PATH", path, 1);
}

/* A line of mdoc as the page shows it. */
static void render(char *line)
{
        for (char *p; (p = strstr(line, "\\(dq"));) {
                *p = '"';
                memmove(p + 1, p + 4, strlen(p + 4) + 1);
        }
}

/* Whether echod serves metrics and echoc fetches them, as both have been built. */
static bool has_status(void)
{
#if defined(HAVE_MICROHTTPD) && defined(HAVE_CURL)
        return true;
#else
        return false;
#endif
}

/* The example with the real port in it; NULL: it cannot be had here. */
static const char *with_port(struct daemon *daemon, const char *example)
{
        static char command[1024];
        const char *port = strstr(example, PORT);
        unsigned real_port = daemon->port;

        if (!port) {
                port = strstr(example, METRICS_PORT);
                cr_assert_not_null(port, "no " PORT " in %s", example);
                if (!has_status())
                        return NULL;
                real_port = page_port(daemon);
        }
        snprintf(command, sizeof(command), "%.*s%u%s", (int)(port - example), example, real_port,
                 port + strlen(PORT));
        return command;
}

Test(echoc_manual, every_example_ends_with_status_0)
{
        struct daemon *daemon = has_status() ? DAEMON("-o", METRICS) : DAEMON();
        unsigned n = 0;

        put_on_path();
        for (char *line = strtok(read_source("man/echoc.1"), "\n"); line;
             line = strtok(NULL, "\n")) {
                const char *command;

                if (strncmp(line, ".Dl ", 4) != 0)
                        continue;
                n++;
                render(line);
                command = with_port(daemon, line + 4);
                if (!command)
                        continue;
                command_run(&outcome, NULL, (const char *const[]){"sh", "-c", command, NULL});
                cr_assert_eq(outcome.status, 0, "%s: %d\n%s%s", command, outcome.status,
                             outcome.out, outcome.err);
        }
        cr_assert_eq(n, 9, "%u examples", n);
        daemon_stop(daemon);
}

/* The options that the help names, such as "-c" and "--load". */
static size_t take_options(char options[N_OPTIONS][16])
{
        size_t n = 0;

        RUN_ECHOC(&outcome, "-h");
        for (char *word = strtok(outcome.out, " ,|[]\n."); word; word = strtok(NULL, " ,|[]\n.")) {
                size_t i = 0;

                if (word[0] != '-')
                        continue;
                while (i < n && strcmp(options[i], word) != 0)
                        i++;
                cr_assert_lt(i, N_OPTIONS);
                snprintf(options[i], sizeof(options[i]), "%s", word);
                n += i == n;
        }
        cr_assert_geq(n, 21);
        return n;
}

Test(echoc_manual, describes_every_option)
{
        const char *page = read_source("man/echoc.1");
        char options[N_OPTIONS][16];
        size_t n = take_options(options);

        for (size_t i = 0; i < n; i++) {
                bool is_long = options[i][1] == '-';
                char item[64];

                snprintf(item, sizeof(item), is_long ? "Fl Fl %s" : "Fl %s",
                         options[i] + 1 + is_long);
                cr_assert_not_null(strstr(page, item), "no %s in the manual", item);
        }
}

static void complete(const char *words)
{
        char script[2048];

        snprintf(script, sizeof(script),
                 ". %s/conf/completion/echoc.bash; COMP_WORDS=(%s); "
                 "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _echoc; echo \" ${COMPREPLY[*]} \"",
                 getenv("SOURCE_ROOT"), words);
        command_run(&outcome, NULL, (const char *const[]){"bash", "-c", script, NULL});
        cr_assert_eq(outcome.status, 0, "%s", outcome.err);
        cr_assert_str_empty(outcome.err);
}

Test(echoc_manual, completion_knows_every_option)
{
        const char *file = read_source("conf/completion/echoc.bash");
        char options[N_OPTIONS][16];
        size_t n = take_options(options);

        for (size_t i = 0; i < n; i++)
                if (strcmp(options[i], "-h") != 0 && strcmp(options[i], "-V") != 0)
                        cr_assert_not_null(strstr(file, options[i]), "no %s", options[i]);
}

Test(echoc_manual, completion_offers_what_the_mode_has)
{
        complete("echoc -");
        cr_assert(strstr(outcome.out, " -c ") && strstr(outcome.out, " --load "), "%s",
                  outcome.out);
        complete("echoc --load -");
        cr_assert(strstr(outcome.out, " --rate ") && !strstr(outcome.out, " -c "), "%s",
                  outcome.out);
        complete("echoc --lo");
        cr_assert_str_eq(outcome.out, " --load \n");
        complete("echoc -c ''");
        cr_assert_str_eq(outcome.out, "  \n");
        complete("echoc /etc/host");
        cr_assert_not_null(strstr(outcome.out, " /etc/hosts "), "%s", outcome.out);
}

/* What is offered for the beginning of an option of echod's configuration. */
static void complete_option(const char *beginning)
{
        char script[2048];

        snprintf(script, sizeof(script),
                 ". %s/conf/completion/echod.bash; compopt() { :; }; COMP_WORDS=(%s -o %s); "
                 "COMP_CWORD=2; _echod; echo \"${COMPREPLY[*]}\"",
                 getenv("SOURCE_ROOT"), command_echod(), beginning);
        command_run(&outcome, NULL, (const char *const[]){"bash", "-c", script, NULL});
}

Test(echoc_manual, completion_of_echod_asks_it_for_its_options)
{
        bool has_metrics;

        complete_option("wor");
        cr_assert_str_eq(outcome.out, "workers=\n", "%s%s", outcome.out, outcome.err);
        RUN_ECHOD(&outcome, "-V");
        has_metrics = strstr(outcome.out, "+metrics");
        complete_option("met");
        cr_assert_str_eq(outcome.out, has_metrics ? "metrics=\n" : "\n", "%s", outcome.out);
}

Test(echoc_manual, completion_of_echod_leaves_the_equal_sign_as_it_is)
{
        char script[2048];

        /* This is typed into an interactive shell. echod then says that there is no value. */
        snprintf(script, sizeof(script),
                 "printf '. %s/conf/completion/echod.bash\\n%s -o lis\\t\\nexit\\n' | "
                 "INPUTRC=/dev/null TERM=dumb script -qec 'bash --norc -i' /dev/null",
                 getenv("SOURCE_ROOT"), command_echod());
        command_run(&outcome, NULL, (const char *const[]){"bash", "-c", script, NULL});
        cr_assert(command_matches(outcome.out, " -o listeners=.?$"), "%s", outcome.out);
}
