#include "samples.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* The end of what begins here and has none of these characters in it; the line's end at the latest.
 */
static char *skip_to(char *p, const char *stops)
{
        return p + strcspn(p, stops);
}

/* The end of the labels behind an opening brace: the closing one, which may stand in a value, too.
 */
static char *end_of_labels(char *p)
{
        bool is_quoted = false;

        for (; *p != '\0' && (is_quoted || *p != '}'); p++)
                if (*p == '\\' && p[1] != '\0')
                        p++;
                else if (*p == '"')
                        is_quoted = !is_quoted;
        return p;
}

/* NAME VALUE, or NAME{LABELS} VALUE; a time stamp may follow. */
static int parse_line(struct sample *ret_sample, char *line)
{
        char *p = skip_to(line, "{ "), *end;
        bool has_labels = *p == '{';

        *ret_sample = (struct sample){.name = line, .labels = ""};
        if (p == line || *p == '\0')
                return -EINVAL;
        *p++ = '\0';
        if (has_labels) {
                ret_sample->labels = p;
                p = end_of_labels(p);
                if (*p == '\0')
                        return -EINVAL;
                *p++ = '\0';
        }
        ret_sample->value = strtod(p, &end);
        return end == p || (*end != '\0' && *end != ' ') ? -EINVAL : 0;
}

/* "# TYPE NAME counter": the name; else NULL. */
static char *counter_of(char *line)
{
        static const char begin[] = "# TYPE ", end[] = " counter";
        size_t length = strlen(line);

        if (strncmp(line, begin, strlen(begin)) != 0 || length < strlen(begin) + strlen(end) ||
            strcmp(line + length - strlen(end), end) != 0)
                return NULL;
        line[length - strlen(end)] = '\0';
        return line + strlen(begin);
}

static int add(struct samples *samples, const struct sample *sample)
{
        size_t n = samples->n_samples;
        struct sample *grown;

        if ((n & (n - 1)) == 0) { /* at every power of two there is twice the room */
                grown = realloc(samples->samples, MAX(2 * n, (size_t)1) * sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                samples->samples = grown;
        }
        samples->samples[samples->n_samples++] = *sample;
        return 0;
}

int samples_parse(struct samples *ret_samples, char *page)
{
        struct samples samples = {.page = page};
        const char *counter = "";
        char *line, *rest = page;
        int r = 0;

        while (r == 0 && (line = strsep(&rest, "\n"))) {
                struct sample sample;

                if (line[0] == '#') {
                        char *name = counter_of(line);

                        counter = name ? name : counter;
                } else if (line[0] != '\0') {
                        r = parse_line(&sample, line);
                        sample.is_counter = r == 0 && strcmp(sample.name, counter) == 0;
                        r = r < 0 ? r : add(&samples, &sample);
                }
        }
        if (r < 0)
                samples_free(&samples);
        *ret_samples = samples;
        return r;
}

const struct sample *samples_find(const struct samples *samples, const char *name,
                                  const char *labels)
{
        for (size_t i = 0; i < samples->n_samples; i++)
                if (strcmp(samples->samples[i].name, name) == 0 &&
                    strcmp(samples->samples[i].labels, labels) == 0)
                        return &samples->samples[i];
        return NULL;
}

/* Copies a quoted value, which begins behind its quote. */
static void copy_value(const char *p, char *ret_value, size_t size)
{
        size_t length = 0;

        for (; *p != '\0' && *p != '"' && length + 1 < size; p++) {
                if (*p == '\\' && p[1] != '\0')
                        p++;
                ret_value[length++] = *p;
        }
        ret_value[length] = '\0';
}

bool sample_label(const struct sample *sample, const char *label, char *ret_value, size_t size)
{
        size_t length = strlen(label);
        const char *p = sample->labels;

        while (*p != '\0') {
                bool is_it = strncmp(p, label, length) == 0 && p[length] == '=';

                p += strcspn(p, "\"");
                if (*p == '\0')
                        return false;
                if (is_it) {
                        copy_value(p + 1, ret_value, size);
                        return true;
                }
                for (p++; *p != '\0' && *p != '"'; p++)
                        if (*p == '\\' && p[1] != '\0')
                                p++;
                p += strspn(p, "\", ");
        }
        return false;
}

void samples_free(struct samples *samples)
{
        free(samples->samples);
        free(samples->page);
        *samples = SAMPLES_NULL;
}
