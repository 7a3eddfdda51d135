#include "status_table.h"

#include <math.h>
#include <string.h>

#include "util.h"

#define TEXT_MAX 160

/* One line of the table; empty where there is nothing to say. */
struct row {
        char figure[TEXT_MAX], label[TEXT_MAX], value[TEXT_MAX], rate[TEXT_MAX];
};

struct table {
        FILE *file;
        const struct samples *now, *before;
        double seconds;
        int widths[4];
        size_t n_rows;
        size_t n_lines; /* 0: only the widths are wanted */
};

static const char BUCKET[] = "_bucket";

/* A number with its thousands apart, and with decimals only where it has some. */
static void format_number(char text[static TEXT_MAX], double value)
{
        char digits[TEXT_MAX];
        size_t n_whole, length = 0;
        bool is_whole = value == floor(value);

        if (!isfinite(value) || fabs(value) >= 1e15) {
                snprintf(text, TEXT_MAX, "%g", value);
                return;
        }
        if (!is_whole && fabs(value) < 0.1) {
                snprintf(text, TEXT_MAX, "%.6f", value);
                return;
        }
        snprintf(digits, sizeof(digits), "%.*f", is_whole ? 0 : 3, value);
        n_whole = strcspn(digits, ".");
        for (size_t i = 0; digits[i] != '\0'; i++) {
                if (i > 0 && i < n_whole && (n_whole - i) % 3 == 0 && digits[i - 1] != '-')
                        text[length++] = ',';
                text[length++] = digits[i];
        }
        text[length] = '\0';
}

static bool ends_with(const char *text, const char *end)
{
        size_t length = strlen(text);

        return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static const char *without_prefix(const char *name)
{
        return strncmp(name, "echod_", 6) == 0 ? name + 6 : name;
}

static void print_cells(struct table *table, const char *const cells[4])
{
        if (table->before)
                fprintf(table->file, "%-*s  %-*s  %*s  %*s\n", table->widths[0], cells[0],
                        table->widths[1], cells[1], table->widths[2], cells[2], table->widths[3],
                        cells[3]);
        else
                fprintf(table->file, "%-*s  %-*s  %*s\n", table->widths[0], cells[0],
                        table->widths[1], cells[1], table->widths[2], cells[2]);
}

/* First for the widths of the columns, then to print. */
static void put_row(struct table *table, const struct row *row)
{
        const char *const cells[4] = {row->figure, row->label, row->value, row->rate};

        table->n_rows++;
        for (size_t i = 0; table->n_lines == 0 && i < ARRAY_SIZE(cells); i++)
                table->widths[i] = MAX(table->widths[i], (int)strlen(cells[i]));
        if (table->n_lines > 0 && table->n_rows < table->n_lines - 1)
                print_cells(table, cells);
}

static void put_plain(struct table *table, const struct sample *sample)
{
        const struct sample *before = NULL;
        struct row row = {0};

        snprintf(row.figure, sizeof(row.figure), "%s", without_prefix(sample->name));
        snprintf(row.label, sizeof(row.label), "%s", sample->labels);
        format_number(row.value, sample->value);
        if (sample->is_counter && table->before)
                before = samples_find(table->before, sample->name, sample->labels);
        /* It has started anew if there is less than before. */
        if (before && before->value <= sample->value && table->seconds > 0)
                snprintf(row.rate, sizeof(row.rate), "%.1f",
                         (sample->value - before->value) / table->seconds);
        put_row(table, &row);
}

/* The value below which this share of all is, if those in a bucket lie evenly in it. */
static double quantile(const struct sample *buckets, size_t n, double share)
{
        double wanted = buckets[n - 1].value * share, lower = 0, n_below = 0;

        for (size_t i = 0; i + 1 < n; i++) {
                char text[64] = "";
                double upper;

                sample_label(&buckets[i], "le", text, sizeof(text));
                upper = strtod(text, NULL);
                if (buckets[i].value >= wanted)
                        return lower + (upper - lower) * (wanted - n_below) /
                                               MAX(buckets[i].value - n_below, 1.0);
                lower = upper;
                n_below = buckets[i].value;
        }
        return lower; /* beyond the last bound: at least that much */
}

static void put_share(struct table *table, const char *figure, const char *label, double value)
{
        struct row row = {0};

        snprintf(row.figure, sizeof(row.figure), "%s", figure);
        snprintf(row.label, sizeof(row.label), "%s", label);
        format_number(row.value, value);
        put_row(table, &row);
}

/* `first`: the first of n buckets; the last is that of infinity, which all values are in. */
static void put_histogram(struct table *table, const struct sample *first, size_t n)
{
        const struct sample *sum;
        double count = first[n - 1].value;
        char family[TEXT_MAX], name[TEXT_MAX + 8];

        snprintf(family, sizeof(family), "%.*s", (int)(strlen(first->name) - strlen(BUCKET)),
                 first->name);
        snprintf(name, sizeof(name), "%s_sum", family);
        sum = samples_find(table->now, name, "");
        put_share(table, without_prefix(family), "count", count);
        if (count == 0)
                return;
        if (sum)
                put_share(table, without_prefix(family), "mean", sum->value / count);
        put_share(table, without_prefix(family), "p50", quantile(first, n, 0.5));
        put_share(table, without_prefix(family), "p90", quantile(first, n, 0.9));
        put_share(table, without_prefix(family), "p99", quantile(first, n, 0.99));
}

/* Whether it is the sum or count of the histogram whose buckets stand before it. */
static bool is_of_histogram(const struct samples *samples, size_t i)
{
        const char *name = samples->samples[i].name;

        return i > 0 && samples->samples[i].labels[0] == '\0' &&
               (ends_with(name, "_sum") || ends_with(name, "_count")) &&
               (ends_with(samples->samples[i - 1].name, BUCKET) ||
                ends_with(samples->samples[i - 1].name, "_sum"));
}

/* What nobody reads as a number. */
static bool is_for_the_head(const struct sample *sample)
{
        return ends_with(sample->name, "_build_info") ||
               strcmp(sample->name, "process_start_time_seconds") == 0;
}

static void put_all(struct table *table)
{
        const struct samples *samples = table->now;
        size_t n;

        table->n_rows = 0;
        for (size_t i = 0; i < samples->n_samples; i += n) {
                const struct sample *sample = &samples->samples[i];

                n = 1;
                if (ends_with(sample->name, BUCKET)) {
                        while (i + n < samples->n_samples &&
                               strcmp(sample[n].name, sample->name) == 0)
                                n++;
                        put_histogram(table, sample, n);
                } else if (!is_of_histogram(samples, i) && !is_for_the_head(sample)) {
                        put_plain(table, sample);
                }
        }
}

void status_table_print(FILE *file, const struct samples *now, const struct samples *before,
                        double seconds, size_t n_lines)
{
        static const struct row head = {"FIGURE", "LABEL", "VALUE", "PER SECOND"};
        struct table table = {.file = file, .now = now, .before = before, .seconds = seconds};

        put_row(&table, &head);
        put_all(&table);
        table.n_lines = MAX(n_lines, (size_t)2);
        print_cells(&table, (const char *const[]){head.figure, head.label, head.value, head.rate});
        put_all(&table);
        if (table.n_rows >= table.n_lines - 1)
                fprintf(file, "... and %zu more\n", table.n_rows + 2 - table.n_lines);
}
