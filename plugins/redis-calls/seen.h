/* SPDX-License-Identifier: MIT
 *
 * A bounded memory of keys, by a keyed 64-bit hash of each, with one number to remember for each (an instant, an
 * event's sequence). When a place in it is taken, the entry with the smallest number gives way: it forgets, it never
 * grows.
 */
#ifndef REDIS_CALLS_SEEN_H
#define REDIS_CALLS_SEEN_H

#include <stdbool.h>
#include <stdint.h>

struct seen {
	struct seen_entry *entries; /* made with the first */
	uint32_t sets;              /* of 8 entries each; a power of two */
	uint32_t used;
	int64_t forgotten; /* the largest number that had to give way; 0: none */
};

void seen_init(struct seen *seen, uint32_t sets);
void seen_release(struct seen *seen);
void seen_put(struct seen *seen, uint64_t hash, int64_t number); /* number > 0 */
int64_t seen_get(const struct seen *seen, uint64_t hash);        /* 0: not remembered */
void seen_clear(struct seen *seen);

#endif
