#include "exposition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define CAPACITY_FIRST 8192

/* Room for any double as number_format() writes it. */
#define NUMBER_MAX 32

static bool make_room(struct exposition *exposition, size_t length)
{
        size_t capacity = MAX(exposition->capacity, (size_t)CAPACITY_FIRST);
        char *text;

        if (exposition->has_failed)
                return false;
        if (exposition->text && length <= exposition->capacity - exposition->length)
                return true;
        while (capacity - exposition->length < length)
                capacity *= 2;
        text = realloc(exposition->text, capacity);
        if (!text) {
                exposition->has_failed = true;
                return false;
        }
        exposition->text = text;
        exposition->capacity = capacity;
        return true;
}

static void append_bytes(struct exposition *exposition, const char *bytes, size_t length)
{
        if (!make_room(exposition, length))
                return;
        memcpy(exposition->text + exposition->length, bytes, length);
        exposition->length += length;
}

static void append(struct exposition *exposition, const char *text)
{
        append_bytes(exposition, text, strlen(text));
}

/* The format escapes a backslash and a line feed everywhere, in labels' values also a quote. */
static void append_escaped(struct exposition *exposition, const char *text, bool is_quoted)
{
        for (; *text != '\0'; text++) {
                if (*text == '\\')
                        append(exposition, "\\\\");
                else if (*text == '\n')
                        append(exposition, "\\n");
                else if (*text == '"' && is_quoted)
                        append(exposition, "\\\"");
                else
                        append_bytes(exposition, text, 1);
        }
}

/* The fewest digits that read back as the same number, as Go's strconv.ParseFloat reads them. */
static const char *number_format(double number, char text[static NUMBER_MAX])
{
        if (isnan(number))
                return "NaN";
        if (isinf(number))
                return number > 0 ? "+Inf" : "-Inf";
        if (fabs(number) < 0x1p53 && number == trunc(number)) {
                snprintf(text, NUMBER_MAX, "%.0f", number);
                return text;
        }
        for (int digits = 1; digits <= 17; digits++) {
                snprintf(text, NUMBER_MAX, "%.*g", digits, number);
                if (strtod(text, NULL) == number)
                        break;
        }
        return text;
}

void exposition_family(struct exposition *exposition, const char *name, const char *type,
                       const char *help)
{
        exposition->family = name;
        append(exposition, "# HELP ");
        append(exposition, name);
        append(exposition, " ");
        append_escaped(exposition, help, false);
        append(exposition, "\n# TYPE ");
        append(exposition, name);
        append(exposition, " ");
        append(exposition, type);
        append(exposition, "\n");
}

static void append_sample(struct exposition *exposition, const char *suffix,
                          const struct exposition_label *labels, size_t n_labels, double value)
{
        char number[NUMBER_MAX];

        append(exposition, exposition->family);
        append(exposition, suffix);
        for (size_t i = 0; i < n_labels; i++) {
                append(exposition, i == 0 ? "{" : ",");
                append(exposition, labels[i].name);
                append(exposition, "=\"");
                append_escaped(exposition, labels[i].value, true);
                append(exposition, "\"");
        }
        append(exposition, n_labels > 0 ? "} " : " ");
        append(exposition, number_format(value, number));
        append(exposition, "\n");
}

void exposition_sample(struct exposition *exposition, const struct exposition_label *labels,
                       size_t n_labels, double value)
{
        append_sample(exposition, "", labels, n_labels, value);
}

void exposition_value(struct exposition *exposition, double value)
{
        append_sample(exposition, "", NULL, 0, value);
}

void exposition_labelled(struct exposition *exposition, const char *name, const char *value,
                         double number)
{
        append_sample(exposition, "", &(struct exposition_label){name, value}, 1, number);
}

void exposition_histogram(struct exposition *exposition, const struct exposition_buckets *buckets,
                          const uint64_t *counts, double sum)
{
        uint64_t n = 0;

        for (size_t i = 0; i <= buckets->n_bounds; i++) {
                double bound = i < buckets->n_bounds ? buckets->bounds[i] : INFINITY;
                char text[NUMBER_MAX];
                const struct exposition_label label = {"le", number_format(bound, text)};

                n += counts[i];
                append_sample(exposition, "_bucket", &label, 1, (double)n);
        }
        append_sample(exposition, "_sum", NULL, 0, sum);
        append_sample(exposition, "_count", NULL, 0, (double)n);
}

char *exposition_take(struct exposition *exposition, size_t *ret_length)
{
        char *text = exposition->text;

        *ret_length = exposition->length;
        if (exposition->has_failed) {
                free(text);
                text = NULL;
        }
        *exposition = EXPOSITION_NULL;
        return text;
}
