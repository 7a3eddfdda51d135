#pragma once

/*
 * A verifier of a connection that has sent something, what is fed to it, and what it then says.
 */

#include <stddef.h>
#include <stdint.h>

#include "verifier.h"

#define LENGTH     160 /* bytes sent */
#define FAULTS_MAX 64
#define OWN        3 /* the connection's number, of 10 */

extern struct pattern pattern;
extern struct verifier verifier;
extern const struct verifier_events EVENTS;
extern struct fault faults[FAULTS_MAX];
extern size_t n_faults;
extern uint8_t is_good[LENGTH];
extern uint64_t n_good;
extern uint8_t sent[LENGTH], received[4 * LENGTH];

/* A connection that has sent LENGTH bytes, of seed 1 or another. */
void begin(void);
void begin_with(uint64_t seed);

/* Writes bytes of another connection. */
void others(uint32_t connection, uint64_t offset, uint8_t *bytes, size_t length);

/* Feeds so much of what was received in two pieces. */
void feed(size_t length, size_t cut);

/* The same, after which nothing more comes, and expects so many faults. */
void feed_and_finish(size_t length, size_t cut, size_t n);

/* The first offset at which what came differs from what was expected. */
uint64_t first_difference(size_t length);

void expect_fault(size_t index, enum fault_kind kind, uint64_t offset, uint64_t length);
void expect_faults(size_t n);
