#pragma once

/*
 * What libconfig complains of, in the form and with the place that config_problem.h asks for.
 */

#include <libconfig.h>

#include "config_problem.h"
#include "config_source.h"

/* Reports why the source's text could not be parsed. libconfig stops at the first mistake. */
void config_syntax_report(struct config_problems *problems, const struct config_source *source,
                          const config_t *parsed);
