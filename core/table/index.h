/* SPDX-License-Identifier: MIT
 *
 * A set of 32-bit numbers found by hash: what leads from a key to its row, and from a text to the one copy of it.
 * Private to the core's tables.
 *
 * Open addressing with linear probing; a slot holds the number and its hash, so that growing reads nothing else. It
 * grows and shrinks a few slots at a time, with each change, because nobody may wait for a million slots to move: while
 * it does there are two arrays, and what is looked for may be in either.
 *
 * The caller hashes (keyed: keys are hostile) and compares. Not thread-safe.
 */
#ifndef CALLWATCH_CORE_INDEX_H
#define CALLWATCH_CORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

struct index_slot {
	uint32_t number; /* + 1; 0: empty */
	uint32_t hash;
};

struct index_array {
	struct index_slot *slots;
	uint32_t mask; /* slots - 1 */
	uint32_t used; /* without what was removed */
};

struct index {
	struct index_array now, before; /* before.slots is NULL unless it is moving */
	uint32_t moved;                 /* slots of `before` already emptied */
};

typedef bool (*index_same)(void *arg, uint32_t number);

void index_release(struct index *index);
/* The number with this hash for which same() holds, or -1. */
int64_t index_find(const struct index *index, uint32_t hash, index_same same, void *arg);
/* The number must not be in it. 0 or -ENOMEM. */
int index_add(struct index *index, uint32_t hash, uint32_t number);
void index_remove(struct index *index, uint32_t hash, uint32_t number);

#endif
