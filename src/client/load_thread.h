#pragma once

/*
 * A thread of the load, with a loop and its share of the connections:
 *
 *   OPENING ──▶ READY ──go──▶ RUNNING ──stop──▶ DRAINING ──▶ DONE
 *
 * It is told what to do by the main thread, which hears of its changes through an uv_async_t.
 */

#include <uv.h>

#include "arguments.h"
#include "load_link.h"
#include "target.h"

enum load_phase { LOAD_OPENING, LOAD_READY, LOAD_RUNNING, LOAD_DRAINING, LOAD_DONE };

struct load_thread;

/*
 * Opens the connections of the `number`-th thread. All threads share the `pattern`. `on_change` is
 * sent when READY and when DONE.
 */
int load_thread_start(struct load_thread **ret_thread, const struct arguments *arguments,
                      const struct target *target, struct pattern *pattern, unsigned number,
                      uv_async_t *on_change);

/* Sends from now on, which is called `start_ns`. What has not connected yet joins in later. */
void load_thread_go(struct load_thread *thread, uint64_t start_ns);

/* Sends nothing new; DONE as soon as everything is back and the connections are closed. */
void load_thread_stop(struct load_thread *thread);

/* DONE at once; what is not back is lost. */
void load_thread_quit(struct load_thread *thread);

enum load_phase load_thread_phase(const struct load_thread *thread);

/* May be read at any time. */
const struct load_counters *load_thread_counters(const struct load_thread *thread);

/* Waits for the thread's end. */
void load_thread_join(struct load_thread *thread);

/* After that: counts the messages that were due by the rate at a time, at the latest, and have not
 * been sent. Then the results can be read. */
void load_thread_drop_due(struct load_thread *thread, uint64_t now_ns);
const struct load_context *load_thread_results(const struct load_thread *thread);

void load_thread_free(struct load_thread *thread);
