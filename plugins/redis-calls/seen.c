/* SPDX-License-Identifier: MIT
 *
 * See seen.h: a set-associative cache, eight ways.
 */
#include "seen.h"

#include <stdlib.h>
#include <string.h>

enum { WAYS = 8 };

struct seen_entry {
	uint64_t hash;
	int64_t number; /* 0: free */
};

void seen_init(struct seen *seen, uint32_t sets)
{
	*seen = (struct seen){.sets = sets};
}

void seen_release(struct seen *seen)
{
	free(seen->entries);
	seen->entries = NULL;
	seen->used = 0;
}

void seen_put(struct seen *seen, uint64_t hash, int64_t number)
{
	if (!seen->entries)
		seen->entries = calloc((size_t)seen->sets * WAYS, sizeof(*seen->entries));
	if (!seen->entries)
		return;
	struct seen_entry *set = seen->entries + (hash & (seen->sets - 1)) * WAYS, *place = set;
	for (int i = 0; i < WAYS; i++) {
		if (set[i].number && set[i].hash == hash) {
			place = set + i;
			break;
		}
		if (set[i].number < place->number)
			place = set + i;
	}
	if (place->number && place->hash != hash && place->number > seen->forgotten)
		seen->forgotten = place->number;
	seen->used += place->number == 0;
	*place = (struct seen_entry){hash, number};
}

int64_t seen_get(const struct seen *seen, uint64_t hash)
{
	if (!seen->entries)
		return 0;
	const struct seen_entry *set = seen->entries + (hash & (seen->sets - 1)) * WAYS;
	for (int i = 0; i < WAYS; i++)
		if (set[i].number && set[i].hash == hash)
			return set[i].number;
	return 0;
}

void seen_clear(struct seen *seen)
{
	if (seen->entries && seen->used)
		memset(seen->entries, 0, (size_t)seen->sets * WAYS * sizeof(*seen->entries));
	seen->used = 0;
	seen->forgotten = 0;
}
