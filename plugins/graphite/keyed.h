/* SPDX-License-Identifier: MIT
 *
 * A table from 128-bit hashes to values of one size: what an output remembers about each series, without keeping its
 * name. The hash is keyed (keyed_hash), because names may be a stranger's; two names with one hash are not to be
 * expected before the sun goes out.
 *
 * Bounded: over its limit it takes nothing new. One thread.
 */
#ifndef CALLWATCH_GRAPHITE_KEYED_H
#define CALLWATCH_GRAPHITE_KEYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyed {
	size_t value_size;
	uint32_t limit, count, size; /* size: of the table, a power of two, or 0 */
	unsigned char *slots;
};

struct keyed_hash {
	uint64_t parts[2];
};

enum { KEYED_SECRET_SIZE = 16 };

struct keyed_hash keyed_hash(const unsigned char secret[KEYED_SECRET_SIZE], const void *bytes, size_t length);

void keyed_init(struct keyed *keyed, size_t value_size, uint32_t limit);
void keyed_release(struct keyed *keyed);
/* The value of a hash, zeroed if it is new; valid until the next call. NULL: the table is full, or no memory. */
void *keyed_put(struct keyed *keyed, struct keyed_hash hash, bool *ret_new);
/* Takes out each value for which stale() is true; it may let go of what the value owns. */
void keyed_sweep(struct keyed *keyed, bool (*stale)(void *arg, void *value), void *arg);

#endif
