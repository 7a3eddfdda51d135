#include "load_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "record.h"
#include "util.h"

#define MIB       1048576.0
#define BAR_WIDTH 50 /* at most */
#define BAR_LEFT  20 /* what stands before it */

/* The percentiles that are told, and their names for people and for machines. */
static const struct {
        double share;
        const char *name, *key;
} QUANTILES[] = {
        {0.5, "p50", "p50"},       {0.9, "p90", "p90"}, {0.99, "p99", "p99"},
        {0.999, "p99.9", "p99_9"}, {1, "max", "max"},
};

static const struct {
        const char *name, *key;
} ERRORS[N_LOAD_ERRORS] = {
        [LOAD_NOT_CONNECTED] = {"not connected", "not_connected"},
        [LOAD_RESET] = {"reset", "reset"},
        [LOAD_ENDED] = {"ended by the server", "ended"},
        [LOAD_UNANSWERED] = {"unanswered", "unanswered"},
};

void load_totals_add(struct load_totals *totals, const struct load_counters *counters)
{
        totals->n_opened += load_read(&counters->n_opened);
        totals->n_closed += load_read(&counters->n_closed);
        totals->n_sent += load_read(&counters->n_sent);
        totals->n_received += load_read(&counters->n_received);
        totals->n_over += load_read(&counters->n_over);
        totals->n_bytes += load_read(&counters->n_bytes);
        totals->n_unsent += load_read(&counters->n_unsent);
        for (size_t i = 0; i < N_LOAD_ERRORS; i++)
                totals->errors[i] += load_read(&counters->errors[i]);
        for (size_t i = 0; i < N_FAULT_KINDS; i++)
                totals->faults[i] += load_read(&counters->faults[i]);
}

uint64_t load_totals_bad(const struct load_totals *totals)
{
        uint64_t n = 0;

        for (size_t i = 0; i < N_LOAD_ERRORS; i++)
                n += totals->errors[i];
        for (size_t i = 0; i < N_FAULT_KINDS; i++)
                n += totals->faults[i];
        return n;
}

void load_report_progress(const struct load_totals *before, const struct load_totals *now,
                          double seconds, bool is_bulk, size_t n_columns)
{
        double rate = (double)(now->n_received - before->n_received) / seconds;
        double mib_rate = (double)(now->n_bytes - before->n_bytes) / MIB / seconds;
        char line[160];

        if (is_bulk)
                snprintf(line, sizeof(line), "%.1f MiB/s, %" PRIu64 " errors", mib_rate,
                         load_totals_bad(now));
        else
                snprintf(line, sizeof(line),
                         "%.0f/s, %.1f MiB/s, %" PRIu64 " in flight, %" PRIu64 " errors", rate,
                         mib_rate, now->n_sent - MIN(now->n_sent, now->n_over),
                         load_totals_bad(now));
        /* In the last column some terminals would wrap already. */
        fprintf(stderr, "\r%.*s\033[K", (int)MAX(n_columns, 1) - 1, line);
}

/* "12.3 µs": three digits, whatever the magnitude. */
static const char *format_time(const struct load_report *report, double ns, char text[static 32])
{
        const char *const units[] = {"ns", report->is_utf8 ? "µs" : "us", "ms", "s"};
        size_t unit = 0;
        int n_decimals;

        while (ns >= 999.5 && unit + 1 < ARRAY_SIZE(units)) {
                ns /= 1000;
                unit++;
        }
        n_decimals = ns < 9.995 ? 2 : ns < 99.95 ? 1 : 0;
        snprintf(text, 32, "%.*f %s", unit == 0 ? 0 : n_decimals, ns, units[unit]);
        return text;
}

static void print_latencies(const struct load_report *report)
{
        char text[32];

        printf("latency    ");
        for (size_t i = 0; i < ARRAY_SIZE(QUANTILES); i++) {
                uint64_t ns = histogram_quantile(report->latencies, QUANTILES[i].share);

                printf(" %s %s%s", QUANTILES[i].name, format_time(report, (double)ns, text),
                       i + 1 < ARRAY_SIZE(QUANTILES) ? "," : "\n");
        }
}

static void print_bar(const struct load_report *report, double share)
{
        size_t room = report->n_columns > BAR_LEFT ? report->n_columns - BAR_LEFT : 1;
        int length = (int)ceil(share * (double)MIN(room, (size_t)BAR_WIDTH));

        for (int i = 0; i < length; i++)
                fputs(report->is_utf8 ? "▇" : "#", stdout);
        putchar('\n');
}

/* A row for each third of a decade: 1, 2, 5, 10 and so on. */
static void print_bars(const struct load_report *report)
{
        static const double steps[] = {1, 2, 5};
        const struct histogram *latencies = report->latencies;
        double total = (double)histogram_count(latencies), from = 0;

        for (size_t i = 0; from <= (double)histogram_max(latencies); i++) {
                double to = steps[i % 3] * pow(10, (double)(i / 3) + 3); /* from 1 µs on */
                uint64_t n = histogram_count_between(latencies, (uint64_t)from, (uint64_t)to);
                double share = (double)n / total;
                char text[32];

                if (n > 0) {
                        format_time(report, to, text);
                        printf("  < %*s %5.1f %% ", strstr(text, "µ") ? 8 : 7, text, 100 * share);
                        print_bar(report, share);
                }
                from = to;
        }
}

static void print_errors(const struct load_totals *totals)
{
        const char *separator = "";

        printf("errors      ");
        if (load_totals_bad(totals) == 0)
                putchar('0');
        for (size_t i = 0; i < N_LOAD_ERRORS; i++)
                if (totals->errors[i] > 0) {
                        printf("%s%" PRIu64 " %s", separator, totals->errors[i], ERRORS[i].name);
                        separator = ", ";
                }
        for (size_t i = 0; i < N_FAULT_KINDS; i++)
                if (totals->faults[i] > 0) {
                        printf("%s%" PRIu64 " %s", separator, totals->faults[i],
                               fault_name((enum fault_kind)i));
                        separator = ", ";
                }
        putchar('\n');
}

/* Nothing in no time, if it was interrupted before it began. */
static double per_second(const struct load_report *report, double n)
{
        return report->seconds > 0 ? n / report->seconds : 0;
}

void load_report_print(const struct load_report *report)
{
        const struct arguments *arguments = report->arguments;
        const struct load_totals *at_stop = &report->at_stop;

        if (!arguments->is_bulk)
                printf("%s %" PRIu64 ", %.1f/s\n",
                       arguments->is_connect ? "connections" : "messages   ", at_stop->n_received,
                       per_second(report, (double)at_stop->n_received));
        if (!arguments->is_connect)
                printf("bytes       %" PRIu64 ", %.1f MiB/s\n", at_stop->n_bytes,
                       per_second(report, (double)at_stop->n_bytes / MIB));
        if (histogram_count(report->latencies) > 0) {
                print_latencies(report);
                if (report->n_columns > 0)
                        print_bars(report);
        }
        if (report->at_end.n_unsent > 0)
                printf("behind      %" PRIu64 " messages were due and could not be sent\n",
                       report->at_end.n_unsent);
        print_errors(&report->at_end);
}

static const char *kind_of(const struct arguments *arguments)
{
        if (arguments->is_bulk)
                return "bulk";
        return arguments->is_connect ? "connect" : "messages";
}

static void print_json_setting(const struct arguments *arguments)
{
        struct record host; /* what can be reached has a name that is short enough for it */

        record_begin(&host, RECORD_JSON, NULL);
        record_string(&host, "host", arguments->host);
        /* Spaced as the other members are, whose text a record does not make. */
        printf("{\"kind\": \"%s\", \"host\": %s, \"port\": %" PRIu64 ", \"connections\": %" PRIu64
               ", \"size\": %" PRIu64 ", \"depth\": %" PRIu64 ", \"threads\": %" PRIu64
               ", \"rate\": %.15g, \"seed\": %" PRIu64,
               kind_of(arguments), host.text + strlen("\"host\":"), arguments->port,
               arguments->n_connections, arguments->size, arguments->depth, arguments->n_threads,
               arguments->rate, arguments->seed);
}

static void print_json_latencies(const struct histogram *latencies)
{
        printf(", \"latency_ns\": {\"count\": %" PRIu64 ", \"min\": %" PRIu64 ", \"mean\": %.0f",
               histogram_count(latencies), histogram_min(latencies), histogram_mean(latencies));
        for (size_t i = 0; i < ARRAY_SIZE(QUANTILES); i++)
                printf(", \"%s\": %" PRIu64, QUANTILES[i].key,
                       histogram_quantile(latencies, QUANTILES[i].share));
        putchar('}');
}

void load_report_print_json(const struct load_report *report)
{
        const struct load_totals *at_stop = &report->at_stop, *at_end = &report->at_end;

        print_json_setting(report->arguments);
        printf(", \"seconds\": %.6f, \"messages\": %" PRIu64 ", \"messages_per_second\": %.3f"
               ", \"bytes\": %" PRIu64 ", \"mib_per_second\": %.3f",
               report->seconds, at_stop->n_received,
               per_second(report, (double)at_stop->n_received), at_stop->n_bytes,
               per_second(report, (double)at_stop->n_bytes / MIB));
        print_json_latencies(report->latencies);
        printf(", \"unsent\": %" PRIu64 ", \"errors\": {", at_end->n_unsent);
        for (size_t i = 0; i < N_LOAD_ERRORS; i++)
                printf("\"%s\": %" PRIu64 ", ", ERRORS[i].key, at_end->errors[i]);
        for (size_t i = 0; i < N_FAULT_KINDS; i++)
                printf("\"%s\": %" PRIu64 "%s", fault_name((enum fault_kind)i), at_end->faults[i],
                       i + 1 < N_FAULT_KINDS ? ", " : "}}\n");
}
