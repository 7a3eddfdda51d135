#pragma once

/*
 * The figures as Prometheus wants them: the contract's families, with prefix echod_, and the usual
 * ones of a process.
 */

struct exposition;
struct figures;

void metrics_page_write(struct exposition *exposition, const struct figures *figures);
