/* SPDX-License-Identifier: MIT
 *
 * A table from 128-bit hashes to values of one size: what is remembered about each series, without keeping its name.
 * The hash is keyed (keyed_hash), because names may be a stranger's; two names with one hash are not to be expected
 * before the sun goes out. For both sides of the contract; who uses it links libsodium.
 *
 * Bounded: over its limit it takes nothing new. One thread.
 */
#ifndef CALLWATCH_COMMON_KEYED_H
#define CALLWATCH_COMMON_KEYED_H

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

void keyed_secret(unsigned char secret[KEYED_SECRET_SIZE]); /* a new one */
struct keyed_hash keyed_hash(const unsigned char secret[KEYED_SECRET_SIZE], const void *bytes, size_t length);
/* Of all that was hashed so far and these bytes: a chain, so that texts need not be joined. Begins with zeros. */
struct keyed_hash keyed_hash_on(const unsigned char secret[KEYED_SECRET_SIZE], struct keyed_hash so_far,
				const void *bytes, size_t length);
static inline bool keyed_same(struct keyed_hash a, struct keyed_hash b)
{
	return a.parts[0] == b.parts[0] && a.parts[1] == b.parts[1];
}

void keyed_init(struct keyed *keyed, size_t value_size, uint32_t limit);
void keyed_release(struct keyed *keyed); /* and it is empty */
/* The value of a hash, zeroed if it is new; valid until the next call. NULL: the table is full, or no memory. */
void *keyed_put(struct keyed *keyed, struct keyed_hash hash, bool *ret_new);
/* NULL: there is none. */
void *keyed_find(const struct keyed *keyed, struct keyed_hash hash);
void keyed_remove(struct keyed *keyed, struct keyed_hash hash); /* none is fine; others may move */
/* Takes out each value for which stale() is true; it may let go of what the value owns. */
void keyed_sweep(struct keyed *keyed, bool (*stale)(void *arg, void *value), void *arg);

#endif
