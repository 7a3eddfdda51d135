/* What config_print() writes is a configuration, and the same one. */

#include <criterion/criterion.h>
#include <libconfig.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"
#include "config_table.h"
#include "config_value.h"
#include "util.h"

TestSuite(config_print, FIXTURE, .timeout = 120);

static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed % n;
}

/* Loads what the configuration in `loading` prints as; expects the same one, printed the same. */
static void expect_round_trip(void)
{
        struct config before = loading.config;
        char *first = printed(&before), *second;

        loading.config = CONFIG_NULL;
        expect_good(first);
        cr_assert(config_equals(&before, &loading.config), "%s", first);
        second = printed(&loading.config);
        cr_assert_str_eq(first, second);
        free(first);
        free(second);
        config_free(&before);
}

Test(config_print, the_defaults_read_back)
{
        expect_good("");
        expect_round_trip();
}

Test(config_print, every_option_of_the_table_is_there_once)
{
        char *text, name[64];

        expect_good("");
        text = printed(&loading.config);
        for (const struct option *option = OPTIONS; option->name; option++) {
                const char *found;

                if (option->section == SECTION_METRICS) /* absent by default */
                        continue;
                snprintf(name, sizeof(name), " %s = ", option->name);
                found = strstr(text, name);
                if (option->section == SECTION_TOP) {
                        name[0] = '\n';
                        found = strstr(text, name);
                }
                cr_assert_not_null(found, "%s", option->name);
                cr_assert_null(strstr(found + 1, name), "%s twice", option->name);
        }
        free(text);
}

Test(config_print, numbers_look_as_one_would_write_them)
{
        char *text;

        expect_good("idle_timeout = 0.25; write_timeout = 90.0; max_lifetime = 1.001;");
        text = printed(&loading.config);
        cr_assert_not_null(strstr(text, "\nidle_timeout = 0.25;\n"), "%s", text);
        cr_assert_not_null(strstr(text, "\nwrite_timeout = 90;\n"), "%s", text);
        cr_assert_not_null(strstr(text, "\nmax_lifetime = 1.001;\n"), "%s", text);
        cr_assert_not_null(strstr(text, "\nbusy_poll = 0.00005;\n"), "%s", text);
        free(text);
}

/* A value within the option's range, often at its edge. */
static void append_number(char *text, const struct option *option)
{
        double steps = option->type == OPTION_SECONDS ? option->scale : 1;
        double low = option->min * steps, high = option->max * steps;
        uint64_t width = (uint64_t)(high - low) + 1;
        uint64_t step = random_below(3) ? random_below(1ULL << (1 + random_below(40))) % width
                                        : (random_below(2) ? width - 1 : 0);
        double value = (low + (double)step) / steps;

        if (option->type == OPTION_SECONDS && random_below(2))
                sprintf(text + strlen(text), "%.9f", value);
        else if (option->type == OPTION_SECONDS)
                sprintf(text + strlen(text), "%.0f", floor(value));
        else
                sprintf(text + strlen(text), "%.0f", value);
}

static void append_network(char *text)
{
        struct prefix prefix;
        char literal[64], canonical[ADDRESS_TEXT_MAX];

        if (random_below(2))
                snprintf(literal, sizeof(literal), "%d.%d.%d.%d/%d", (int)random_below(256),
                         (int)random_below(256), (int)random_below(256), (int)random_below(256),
                         (int)random_below(33));
        else
                snprintf(literal, sizeof(literal), "%x:%x::%x:%x/%d", (int)random_below(65536),
                         (int)random_below(65536), (int)random_below(65536),
                         (int)random_below(65536), (int)random_below(129));
        prefix_parse(&prefix, literal); /* with host bits cleared */
        sprintf(text + strlen(text), "\"%s\"", prefix_format(&prefix, canonical));
}

static void append_networks(char *text)
{
        strcat(text, "[");
        for (uint64_t i = 0, n = random_below(6); i < n; i++) {
                strcat(text, i ? ", " : " ");
                append_network(text);
        }
        strcat(text, " ]");
}

static void append_address(char *text)
{
        static const char *const addresses[] = {
                "*", "192.0.2.1", "::", "2001:DB8:0::1", "::ffff:192.0.2.9", "/run/a'b#c;{}$.sock"};

        if (random_below(3) == 0)
                sprintf(text + strlen(text), "\"/%0*d\"", 1 + (int)random_below(106), 0);
        else
                sprintf(text + strlen(text), "\"%s\"",
                        addresses[random_below(ARRAY_SIZE(addresses))]);
}

static void append_value(char *text, const struct option *option)
{
        uint64_t n_choices = 0;

        switch (option->type) {
        case OPTION_BOOL:
                strcat(text, random_below(2) ? "true" : "false");
                break;
        case OPTION_CHOICE:
                while (option->choices[n_choices])
                        n_choices++;
                sprintf(text + strlen(text), "\"%s\"", option->choices[random_below(n_choices)]);
                break;
        case OPTION_ADDRESS:
                append_address(text);
                break;
        case OPTION_HOST:
                strcat(text, random_below(2) ? "\"*\"" : "\"2001:db8::9\"");
                break;
        case OPTION_MODE:
                sprintf(text + strlen(text), "\"%o\"", (unsigned)random_below(01000));
                break;
        case OPTION_NETWORKS:
                append_networks(text);
                break;
        default:
                append_number(text, option);
                break;
        }
}

/* Some options of a section, each with a value of its type. */
static void append_section(char *text, enum option_section section)
{
        for (const struct option *option = OPTIONS; option->name; option++) {
                bool is_port = strcmp(option->name, "port") == 0;

                if (option->section != section || random_below(4) == 0)
                        continue;
                if (is_port) /* given to each listener, so that none clash */
                        continue;
                sprintf(text + strlen(text), "%s = ", option->name);
                append_value(text, option);
                strcat(text, ";\n");
        }
}

static void generate(char *text)
{
        strcpy(text, "listeners = (\n");
        for (uint64_t i = 0, n = 1 + random_below(4); i < n; i++) {
                size_t begin = strlen(text);

                append_section(text, SECTION_LISTENERS);
                memmove(text + begin + 3, text + begin, strlen(text + begin) + 1);
                memcpy(text + begin, i ? ",{\n" : " {\n", 3);
                sprintf(text + strlen(text), "port = %u; }\n", (unsigned)(i * 1000 + 1));
        }
        strcat(text, ");\ntcp_keepalive = {\n");
        append_section(text, SECTION_KEEPALIVE);
        strcat(text, "};\n");
#ifdef HAVE_MICROHTTPD
        if (random_below(2)) {
                strcat(text, "metrics = {\n");
                append_section(text, SECTION_METRICS);
                strcat(text, "};\n");
        }
#endif
        append_section(text, SECTION_TOP);
        if (!strstr(text, "proxy_sources = "))
                strcat(text, "proxy_sources = [ \"::1\" ];\n");
}

Test(config_print, many_generated_configurations_read_back)
{
        static char text[65536];
        unsigned n_loaded = 0;

        seed = 20;
        for (unsigned i = 0; i < 2000; i++) {
                generate(text);
                load_text(text);
                /* Two paths may be the same, and a list may be empty; nothing else may be wrong. */
                if (loading.result < 0) {
                        if (!strstr(problems_text(), "needs proxy_sources, which is empty"))
                                expect_problem("f:", "same address and port");
                        continue;
                }
                expect_round_trip();
                n_loaded++;
        }
        cr_assert_gt(n_loaded, 1500, "%u", n_loaded);
}

static const struct option *find(const char *name)
{
        const struct option *option = option_find(SECTION_TOP, name);

        cr_assert_not_null(option, "%s", name);
        return option;
}

/* Prints the field of the option and reads that back. */
static void read_back(const struct option *option, const struct config *from, struct config *to)
{
        char text[128] = "", problem[VALUE_PROBLEM_MAX];
        const config_setting_t *culprit;
        FILE *stream = fmemopen(text, sizeof(text), "w");
        config_t parsed;

        cr_assert_not_null(stream);
        fprintf(stream, "%s = ", option->name);
        value_print(option, from, stream);
        fputs(";", stream);
        fclose(stream);
        config_init(&parsed);
        cr_assert_eq(config_read_string(&parsed, text), CONFIG_TRUE, "%s", text);
        cr_assert_eq(
                value_read(option, config_lookup(&parsed, option->name), to, problem, &culprit), 0,
                "%s %s", text, problem);
        config_destroy(&parsed);
}

Test(config_print, every_microsecond_of_busy_poll_reads_back)
{
        const struct option *option = find("busy_poll");
        struct config config = CONFIG_NULL, again = CONFIG_NULL;

        for (config.busy_poll_us = 0; config.busy_poll_us <= 1000; config.busy_poll_us++) {
                read_back(option, &config, &again);
                cr_assert_eq(again.busy_poll_us, config.busy_poll_us);
        }
}

Test(config_print, every_millisecond_reads_back)
{
        const struct option *option = find("idle_timeout");
        struct config config = CONFIG_NULL, again = CONFIG_NULL;

        for (config.idle_timeout_ms = 0; config.idle_timeout_ms <= 31536000000;
             config.idle_timeout_ms += 1 + config.idle_timeout_ms / 999) {
                read_back(option, &config, &again);
                cr_assert_eq(again.idle_timeout_ms, config.idle_timeout_ms);
        }
}

Test(config_print, numbers_large_and_small_read_back)
{
        static const double rates[] = {0,    1,      0.1, 1.0 / 3,          1e-5,     123456.789,
                                       1e15, 1e-300, 1e9, 999999999.999999, 4.9e-324, 1e6};
        struct option option = *find("connection_rate_per_source");
        struct config config = CONFIG_NULL, again = CONFIG_NULL;

        option.max = INFINITY; /* it is the form that is tried */
        for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
                config.connection_rate_per_source = rates[i];
                read_back(&option, &config, &again);
                cr_assert_eq(memcmp(&again.connection_rate_per_source, &rates[i], sizeof(double)),
                             0, "%.17g", rates[i]);
        }
}
