#pragma once

/*
 * One option's value: read from libconfig's tree, checked against its row of the table, printed.
 */

#include <libconfig.h>
#include <stdio.h>

#include "address.h"
#include "config_table.h"

/* Room for a message about a value. */
#define VALUE_PROBLEM_MAX 512

/*
 * Reads the setting into the option's field of `base` (a struct config, or for an option of a
 * listener a struct config_listener). -EINVAL: it is wrong; `problem` says what, and what would be
 * right, and *ret_culprit is the setting that it speaks of, a list's element perhaps. -ENOMEM.
 */
int value_read(const struct option *option, const config_setting_t *setting, void *base,
               char problem[static VALUE_PROBLEM_MAX], const config_setting_t **ret_culprit);

/* Reads one element of a list of networks. -EINVAL: it is none; `problem` says why. */
int value_read_network(const config_setting_t *list, unsigned index, struct prefix *ret_prefix,
                       char problem[static VALUE_PROBLEM_MAX]);

/* Writes the value of the option's field of `base` in the file's syntax. */
void value_print(const struct option *option, const void *base, FILE *stream);

/* Whether the option's fields of the two are the same. */
bool value_equals(const struct option *option, const void *a, const void *b);

/* Sets a scalar option's field of `to` to that of `from`. */
void value_copy(const struct option *option, void *to, const void *from);
