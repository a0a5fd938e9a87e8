/* SPDX-License-Identifier: MIT
 *
 * Rows that somebody chose, as their keys, frozen in the order in which they were found. Filled by one thread, sealed,
 * then shared and not changed any more. Private to the core.
 */
#ifndef CALLWATCH_CORE_CHOSEN_H
#define CALLWATCH_CORE_CHOSEN_H

#include <stddef.h>
#include <stdint.h>

enum { CHOSEN_MAX = 100000 };

struct chosen {
	_Atomic int references;
	const char **keys; /* owned, as are the texts */
	uint32_t count, room;
	uint32_t *by_key; /* once sealed: places in keys, in the order of the texts */
};

struct chosen *chosen_new(void); /* with one reference; NULL: no memory */
struct chosen *chosen_ref(struct chosen *chosen);
void chosen_unref(struct chosen *chosen); /* NULL is fine */
/* 0, -EFBIG: more than CHOSEN_MAX, -EINVAL: a key with a NUL inside, which nobody could name; -ENOMEM. */
int chosen_add(struct chosen *chosen, const char *key, size_t length);
int chosen_seal(struct chosen *chosen); /* of twins the later ones go. 0 or -ENOMEM */
/* Place of a key once sealed, or -ENOENT. */
int64_t chosen_find(const struct chosen *chosen, const char *key);

#endif
