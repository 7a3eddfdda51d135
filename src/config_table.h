#pragma once

/*
 * The table of options. To add one: a field in config_data.h, a row in config_table.c, its entry in
 * echod.conf(5) and in conf/echod.conf; a test compares them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether this build can serve metrics. */
#ifdef HAVE_MICROHTTPD
#define HAS_METRICS true
#else
#define HAS_METRICS false
#endif

enum option_section {
        SECTION_TOP,
        SECTION_LISTENERS, /* a list of groups; offsets are within struct config_listener */
        SECTION_KEEPALIVE, /* a group */
        SECTION_METRICS,   /* a group */
        N_SECTIONS,
};

enum option_type {
        OPTION_BOOL,     /* bool */
        OPTION_INTEGER,  /* int64_t */
        OPTION_NUMBER,   /* double */
        OPTION_SECONDS,  /* int64_t, in 1/scale of a second */
        OPTION_CHOICE,   /* int64_t, the index of the word in `choices` */
        OPTION_ADDRESS,  /* char[CONFIG_ADDRESS_MAX] */
        OPTION_HOST,     /* the same, but no path */
        OPTION_MODE,     /* int64_t, written in octal */
        OPTION_NETWORKS, /* struct prefix_list */
};

struct option {
        enum option_section section;
        enum option_type type;
        const char *name;
        size_t offset;
        double min, max;            /* in the file's unit, both included */
        double scale;               /* of OPTION_SECONDS: how many of the field's unit make one */
        const char *const *choices; /* of OPTION_CHOICE; ends with NULL */
        const char *initial;        /* the default, in the file's syntax */
        bool needs_restart;
        const char *help; /* one line */
};

/* All options in the order in which -T and the manual show them; the last has no name. */
extern const struct option OPTIONS[];

/* "" for the top, else the name of the list or group. */
extern const char *const SECTION_NAMES[N_SECTIONS];

/* The option of that name in that section, or NULL. */
const struct option *option_find(enum option_section section, const char *name);

/* The section whose name is nearer in spelling than that of any option; SECTION_TOP: there is none.
 */
enum option_section section_nearest(const char *name);

/* The option whose name is the nearest in spelling, in any section; the given one wins a tie. */
const struct option *option_nearest(enum option_section section, const char *name);
