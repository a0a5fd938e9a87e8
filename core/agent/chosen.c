/* SPDX-License-Identifier: MIT
 *
 * See chosen.h.
 */
#include "chosen.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct chosen *chosen_new(void)
{
	struct chosen *chosen = calloc(1, sizeof *chosen);
	if (chosen)
		atomic_init(&chosen->references, 1);
	return chosen;
}

struct chosen *chosen_ref(struct chosen *chosen)
{
	if (chosen)
		atomic_fetch_add(&chosen->references, 1);
	return chosen;
}

void chosen_unref(struct chosen *chosen)
{
	if (!chosen || atomic_fetch_sub(&chosen->references, 1) > 1)
		return;
	for (uint32_t i = 0; i < chosen->count; i++)
		free((char *)chosen->keys[i]);
	free(chosen->keys);
	free(chosen->by_key);
	free(chosen);
}

int chosen_add(struct chosen *chosen, const char *key, size_t length)
{
	if (memchr(key, '\0', length))
		return -EINVAL;
	if (chosen->count == CHOSEN_MAX)
		return -EFBIG;
	if (chosen->count == chosen->room) {
		uint32_t room = chosen->room ? chosen->room * 2 : 64;
		const char **keys = realloc(chosen->keys, room * sizeof *keys);
		if (!keys)
			return -ENOMEM;
		chosen->keys = keys;
		chosen->room = room;
	}
	char *copy = strndup(key, length);
	if (!copy)
		return -ENOMEM;
	chosen->keys[chosen->count++] = copy;
	return 0;
}

/* By the text, then by the place: of twins the first stands first. */
static int compare(const void *a, const void *b, void *arg)
{
	const struct chosen *chosen = arg;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	int order = strcmp(chosen->keys[i], chosen->keys[j]);
	return order ? order : (i > j) - (i < j);
}

static void sort(struct chosen *chosen)
{
	for (uint32_t i = 0; i < chosen->count; i++)
		chosen->by_key[i] = i;
	qsort_r(chosen->by_key, chosen->count, sizeof *chosen->by_key, compare, chosen);
}

/* How many there were; the others have moved up. */
static uint32_t drop_twins(struct chosen *chosen)
{
	uint32_t first = 0, kept = 0, count = chosen->count; /* first: of those with the same text, in by_key */
	for (uint32_t i = 1; i < count; i++) {
		const char **text = &chosen->keys[chosen->by_key[i]];
		if (strcmp(chosen->keys[chosen->by_key[first]], *text) != 0) {
			first = i;
			continue;
		}
		free((char *)*text);
		*text = NULL;
	}
	for (uint32_t i = 0; i < count; i++)
		if (chosen->keys[i])
			chosen->keys[kept++] = chosen->keys[i];
	chosen->count = kept;
	return count - kept;
}

int chosen_seal(struct chosen *chosen)
{
	chosen->by_key = calloc(chosen->count + 1, sizeof *chosen->by_key);
	if (!chosen->by_key)
		return -ENOMEM;
	sort(chosen);
	if (drop_twins(chosen) > 0)
		sort(chosen);
	return 0;
}

int64_t chosen_find(const struct chosen *chosen, const char *key)
{
	uint32_t low = 0, high = chosen->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(key, chosen->keys[chosen->by_key[middle]]);
		if (order == 0)
			return chosen->by_key[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -ENOENT;
}
