/* The examples of echod(8) do what the page says that they do. */

#include <criterion/criterion.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "daemon.h"
#include "port.h"
#include "reload.h"
#include "scratch.h"

#define EXAMPLES_MAX 64
#define PORT         "7007" /* in all examples that serve */

/* The command lines, as a reader of the page would copy them, but with a port that is free. */
static char examples[EXAMPLES_MAX][512];
static unsigned n_examples;
static uint16_t port;

/* A line of mdoc as the page shows it; PORT becomes ours. */
static void render(char *to, size_t size, const char *from)
{
        static const char *const replacements[][2] = {
                {"\\(dq", "\""},
                {"\\(aq", "'"},
                {"\\-", "-"},
                {"\\e", "\\"},
        };
        const char *end = to + size;
        char number[8];

        snprintf(number, sizeof(number), "%u", port);
        while (*from && *from != '\n') {
                const char *with = NULL;

                for (size_t i = 0; i < 4 && !with; i++) {
                        if (strncmp(from, replacements[i][0], strlen(replacements[i][0])) != 0)
                                continue;
                        with = replacements[i][1];
                        from += strlen(replacements[i][0]);
                }
                if (!with && strncmp(from, PORT, strlen(PORT)) == 0) {
                        with = number;
                        from += strlen(PORT);
                }
                cr_assert_gt(end - to, 8);
                to += snprintf(to, (size_t)(end - to), "%s", with ? with : (char[]){*from++, 0});
        }
}

static void take_examples(void)
{
        bool is_inside = false;
        char path[1024], line[1024];
        FILE *page;

        snprintf(path, sizeof(path), "%s/man/echod.8", getenv("SOURCE_ROOT"));
        page = fopen(path, "re");
        cr_assert_not_null(page, "no %s", path);
        while (fgets(line, sizeof(line), page)) {
                if (strncmp(line, ".Sh ", 4) == 0)
                        is_inside = strcmp(line, ".Sh EXAMPLES\n") == 0;
                if (!is_inside || strncmp(line, ".Dl ", 4) != 0)
                        continue;
                cr_assert_lt(n_examples, EXAMPLES_MAX);
                render(examples[n_examples++], sizeof(examples[0]), line + 4);
        }
        fclose(page);
}

/* The binary under test comes first where a shell looks for echod. */
static void put_on_path(void)
{
        char directory[1024], path[8192];

        snprintf(directory, sizeof(directory), "%s", command_echod());
        snprintf(path, sizeof(path), "%s:%s", dirname(directory), getenv("PATH"));
        setenv("PATH", path, 1);
}

static void set_up(void)
{
        scratch_make();
        cr_assert_eq(chdir(scratch_path("")), 0);
        port = free_port();
        take_examples();
        put_on_path();
}

static void tear_down(void)
{
        cr_assert_eq(chdir("/"), 0);
        scratch_remove();
}

TestSuite(manual, .init = set_up, .fini = tear_down);

/* Whether the command ends by itself. */
static bool is_check(const char *example)
{
        return command_matches(example, " -[tTVh]( |$)");
}

Test(manual, there_are_examples_that_check_and_examples_that_serve)
{
        unsigned n_checks = 0;

        for (unsigned i = 0; i < n_examples; i++)
                n_checks += is_check(examples[i]);
        cr_assert_gt(n_checks, 0);
        cr_assert_gt(n_examples, n_checks);
}

Test(manual, the_examples_that_check_end_with_status_0)
{
        for (unsigned i = 0; i < n_examples; i++) {
                struct outcome outcome;

                if (!is_check(examples[i]))
                        continue;
                command_run(&outcome, NULL,
                            (const char *const[]){"/bin/sh", "-c", examples[i], NULL});
                cr_assert_eq(outcome.status, 0, "%s: status %d: %s", examples[i], outcome.status,
                             outcome.err);
                cr_assert(!strstr(examples[i], " -T") || strstr(outcome.out, "listeners ="),
                          "%s prints no configuration", examples[i]);
        }
}

Test(manual, the_examples_that_serve_serve_until_they_are_stopped)
{
        setenv("ECHOD", "/bin/sh", 1); /* for daemon_spawn() */
        for (unsigned i = 0; i < n_examples; i++) {
                struct daemon *daemon;
                char command[600];

                if (is_check(examples[i]))
                        continue;
                snprintf(command, sizeof(command), "exec %s", examples[i]);
                daemon = daemon_spawn((const char *const[]){"-c", command, NULL});
                daemon_await_log(daemon, "workers=");
                assert_serves(port);
                daemon_stop(daemon);
        }
}
