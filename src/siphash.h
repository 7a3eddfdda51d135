#pragma once

/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a hash that nobody can find collisions for who does
 * not know the key. So clients cannot choose addresses that all fall into one bucket.
 */

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_SIZE 16

uint64_t siphash(const uint8_t key[static SIPHASH_KEY_SIZE], const void *bytes, size_t length);
