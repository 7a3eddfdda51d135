#include "config_value.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "config_data.h"
#include "util.h"

/* Appends to a text of VALUE_PROBLEM_MAX; what does not fit is cut. */
static void append(char *text, const char *format, ...) FORMAT_PRINTF(2, 3);

static void append(char *text, const char *format, ...)
{
        size_t length = strlen(text);
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text + length, VALUE_PROBLEM_MAX - length, format, arguments);
        va_end(arguments);
}

static void *field_of(const struct option *option, void *base)
{
        return (char *)base + option->offset;
}

static const void *const_field_of(const struct option *option, const void *base)
{
        return (const char *)base + option->offset;
}

static bool is_integer(const config_setting_t *setting)
{
        int type = config_setting_type(setting);

        return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

/* libconfig's 64-bit getter reads both sizes; its 32-bit one takes too large a number for 0. */
static bool get_number(const config_setting_t *setting, double *ret_number)
{
        if (is_integer(setting))
                *ret_number = (double)config_setting_get_int64(setting);
        else if (config_setting_type(setting) == CONFIG_TYPE_FLOAT)
                *ret_number = config_setting_get_float(setting);
        else
                return false;
        return true;
}

/* "is 70000", "is a group": what was found. */
static void describe_found(const config_setting_t *setting, char *text)
{
        switch (config_setting_type(setting)) {
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
                append(text, "is %lld", config_setting_get_int64(setting));
                break;
        case CONFIG_TYPE_FLOAT:
                append(text, "is %.10g, a real number", config_setting_get_float(setting));
                break;
        case CONFIG_TYPE_STRING:
                append(text, "is \"%.200s\"", config_setting_get_string(setting));
                break;
        case CONFIG_TYPE_BOOL:
                append(text, "is %s", config_setting_get_bool(setting) ? "true" : "false");
                break;
        case CONFIG_TYPE_GROUP:
                append(text, "is a group { }");
                break;
        case CONFIG_TYPE_ARRAY:
                append(text, "is an array [ ]");
                break;
        default:
                append(text, "is a list ( )");
                break;
        }
}

/* "an integer from 1 to 65535": what would be right. */
static void describe_right(const struct option *option, char *text)
{
        switch (option->type) {
        case OPTION_BOOL:
                append(text, "true or false");
                break;
        case OPTION_INTEGER:
                append(text, "an integer from %.0f to %.0f", option->min, option->max);
                break;
        case OPTION_NUMBER:
                append(text, "a number from %.10g to %.10g", option->min, option->max);
                break;
        case OPTION_SECONDS:
                append(text, "seconds: 0, or %.10g to %.10g", 1 / option->scale, option->max);
                break;
        case OPTION_CHOICE:
                for (const char *const *choice = option->choices; *choice; choice++)
                        append(text, "%s\"%s\"", choice == option->choices ? "" : " or ", *choice);
                break;
        case OPTION_ADDRESS:
                append(text,
                       "\"*\", an IPv4 or IPv6 address, or the path of a Unix socket that "
                       "begins with / and has at most %d printable characters, no space "
                       "or quote",
                       CONFIG_ADDRESS_MAX - 1);
                break;
        case OPTION_HOST:
                append(text, "\"*\", an IPv4 or an IPv6 address");
                break;
        case OPTION_MODE:
                append(text, "an octal string from \"0000\" to \"%04o\"", (unsigned)option->max);
                break;
        case OPTION_NETWORKS:
                append(text, "networks such as [ \"192.0.2.0/24\", \"2001:db8::/32\" ]");
                break;
        }
}

static int read_bool(const config_setting_t *setting, bool *field)
{
        if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
                return -EINVAL;
        *field = config_setting_get_bool(setting);
        return 0;
}

static int read_integer(const struct option *option, const config_setting_t *setting,
                        int64_t *field)
{
        long long value = config_setting_get_int64(setting);

        if (!is_integer(setting) || (double)value < option->min || (double)value > option->max)
                return -EINVAL;
        *field = value;
        return 0;
}

static int read_number(const struct option *option, const config_setting_t *setting, double *field)
{
        double value;

        /* Written so that a NaN fails. */
        if (!get_number(setting, &value) || !(value >= option->min && value <= option->max))
                return -EINVAL;
        *field = value;
        return 0;
}

/* What is not 0 may not become 0, which would mean: never. */
static int read_seconds(const struct option *option, const config_setting_t *setting,
                        int64_t *field)
{
        double value;

        if (read_number(option, setting, &value) < 0)
                return -EINVAL;
        if (value > 0 && value * option->scale < 1 - 1e-9)
                return -EINVAL;
        *field = llround(value * option->scale);
        return 0;
}

static int read_choice(const struct option *option, const config_setting_t *setting, int64_t *field)
{
        const char *word = config_setting_get_string(setting);

        for (int64_t i = 0; word && option->choices[i]; i++) {
                if (strcmp(word, option->choices[i]) != 0)
                        continue;
                *field = i;
                return 0;
        }
        return -EINVAL;
}

static bool is_socket_path(const char *text)
{
        if (text[0] != '/' || strlen(text) >= CONFIG_ADDRESS_MAX)
                return false;
        for (; *text != '\0'; text++)
                if ((unsigned char)*text <= ' ' || *text == 0x7f || *text == '"' || *text == '\\')
                        return false;
        return true;
}

static int read_address(const struct option *option, const config_setting_t *setting, char *field)
{
        bool is_path_allowed = option->type == OPTION_ADDRESS;
        const char *text = config_setting_get_string(setting);
        struct address address;

        if (!text || strlen(text) >= CONFIG_ADDRESS_MAX)
                return -EINVAL;
        if (strcmp(text, "*") != 0 && !(is_path_allowed && is_socket_path(text)) &&
            address_parse(&address, text, 0) < 0)
                return -EINVAL;
        strcpy(field, text);
        return 0;
}

static int read_mode(const struct option *option, const config_setting_t *setting, int64_t *field)
{
        const char *text = config_setting_get_string(setting);
        size_t length = text ? strlen(text) : 0;

        if (length == 0 || length > 4 || strspn(text, "01234567") != length)
                return -EINVAL;
        *field = (int64_t)strtol(text, NULL, 8);
        return (double)*field <= option->max ? 0 : -EINVAL;
}

/* Says what is wrong with one network of a list. */
static void describe_bad_network(int error, const struct prefix *prefix, char *problem)
{
        char text[ADDRESS_TEXT_MAX];

        if (error == -EDOM)
                append(problem, " has bits set beyond its length; write \"%s\"",
                       prefix_format(prefix, text));
        else if (error == -ERANGE)
                append(problem, " has a length out of range; IPv4 has /0 to /32, IPv6 /0 to /128, "
                                "IPv4-mapped IPv6 /96 to /128");
        else
                append(problem, " is not a network; write one such as \"192.0.2.0/24\" or "
                                "\"2001:db8::/32\"");
}

int value_read_network(const config_setting_t *list, unsigned index, struct prefix *ret_prefix,
                       char problem[static VALUE_PROBLEM_MAX])
{
        const char *text = config_setting_get_string_elem(list, (int)index);
        int r = text ? prefix_parse(ret_prefix, text) : -EINVAL;

        problem[0] = '\0';
        if (r == 0)
                return 0;
        if (text)
                append(problem, "\"%.100s\"", text);
        else
                append(problem, "element %u", index + 1);
        describe_bad_network(r, ret_prefix, problem);
        return -EINVAL;
}

static int read_networks(const config_setting_t *setting, struct prefix_list *field, char *problem,
                         const config_setting_t **ret_culprit)
{
        int type = config_setting_type(setting), r = 0;
        unsigned n = (unsigned)config_setting_length(setting);
        struct prefix *prefixes;

        if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST)
                return -EINVAL;
        prefixes = calloc((size_t)n + 1, sizeof(*prefixes));
        if (!prefixes)
                return -ENOMEM;
        for (unsigned i = 0; i < n && r == 0; i++) {
                r = value_read_network(setting, i, &prefixes[i], problem);
                if (r < 0)
                        *ret_culprit = config_setting_get_elem(setting, i);
        }
        if (r < 0) {
                free(prefixes);
                return r;
        }
        free(field->prefixes);
        *field = (struct prefix_list){.prefixes = prefixes, .n_prefixes = n};
        return 0;
}

static int read_field(const struct option *option, const config_setting_t *setting, void *field,
                      char *problem, const config_setting_t **ret_culprit)
{
        switch (option->type) {
        case OPTION_BOOL:
                return read_bool(setting, field);
        case OPTION_INTEGER:
                return read_integer(option, setting, field);
        case OPTION_NUMBER:
                return read_number(option, setting, field);
        case OPTION_SECONDS:
                return read_seconds(option, setting, field);
        case OPTION_CHOICE:
                return read_choice(option, setting, field);
        case OPTION_ADDRESS:
        case OPTION_HOST:
                return read_address(option, setting, field);
        case OPTION_MODE:
                return read_mode(option, setting, field);
        case OPTION_NETWORKS:
                return read_networks(setting, field, problem, ret_culprit);
        }
        return -EINVAL;
}

int value_read(const struct option *option, const config_setting_t *setting, void *base,
               char problem[static VALUE_PROBLEM_MAX], const config_setting_t **ret_culprit)
{
        int r;

        problem[0] = '\0';
        *ret_culprit = setting;
        r = read_field(option, setting, field_of(option, base), problem, ret_culprit);
        if (r == -EINVAL && problem[0] == '\0') {
                describe_found(setting, problem);
                append(problem, "; must be ");
                describe_right(option, problem);
        }
        return r;
}

static void print_networks(const struct prefix_list *list, FILE *stream)
{
        char text[ADDRESS_TEXT_MAX];

        fputs("[", stream);
        for (size_t i = 0; i < list->n_prefixes; i++)
                fprintf(stream, "%s\"%s\"", i ? ", " : " ",
                        prefix_format(&list->prefixes[i], text));
        fputs(list->n_prefixes ? " ]" : "]", stream);
}

/* As few digits as read back as the same number; libconfig wants a point or an exponent. */
static void print_number(double value, FILE *stream)
{
        char text[64];

        for (int decimals = 1; decimals <= 9; decimals++) {
                snprintf(text, sizeof(text), "%.*f", decimals, value);
                if (value < 1e15 && strtod(text, NULL) == value) {
                        fputs(text, stream);
                        return;
                }
        }
        fprintf(stream, "%.17e", value);
}

void value_print(const struct option *option, const void *base, FILE *stream)
{
        const void *field = const_field_of(option, base);
        const int64_t *integer = field;

        switch (option->type) {
        case OPTION_BOOL:
                fputs(*(const bool *)field ? "true" : "false", stream);
                break;
        case OPTION_INTEGER:
                fprintf(stream, "%lld", (long long)*integer);
                break;
        case OPTION_NUMBER:
                print_number(*(const double *)field, stream);
                break;
        case OPTION_SECONDS:
                if (fmod((double)*integer, option->scale) == 0)
                        fprintf(stream, "%.0f", (double)*integer / option->scale);
                else
                        print_number((double)*integer / option->scale, stream);
                break;
        case OPTION_CHOICE:
                fprintf(stream, "\"%s\"", option->choices[*integer]);
                break;
        case OPTION_ADDRESS:
        case OPTION_HOST:
                fprintf(stream, "\"%s\"", (const char *)field);
                break;
        case OPTION_MODE:
                fprintf(stream, "\"%04llo\"", (unsigned long long)*integer);
                break;
        case OPTION_NETWORKS:
                print_networks(field, stream);
                break;
        }
}

static size_t size_of(const struct option *option)
{
        switch (option->type) {
        case OPTION_BOOL:
                return sizeof(bool);
        case OPTION_NUMBER:
                return sizeof(double);
        default:
                return sizeof(int64_t);
        }
}

bool value_equals(const struct option *option, const void *a, const void *b)
{
        return memcmp(const_field_of(option, a), const_field_of(option, b), size_of(option)) == 0;
}

void value_copy(const struct option *option, void *to, const void *from)
{
        memcpy(field_of(option, to), const_field_of(option, from), size_of(option));
}
