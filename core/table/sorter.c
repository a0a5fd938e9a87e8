/* SPDX-License-Identifier: MIT
 *
 * See sorter.h. Both heaps have the item at their root that all others are compared with: in the bounded one the last
 * in the order, the next to be pushed out; in the merge the first, the next to be taken.
 */
#include "sorter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_ITEMS = 2048, HEAP_MAX = 4096, ARENA_BYTES = 256 * 1024 };

struct arena {
	struct arena *next;
	size_t used;
	char bytes[ARENA_BYTES];
};

void sorter_init(struct sorter *sorter, const struct selection *selection, uint64_t limit)
{
	*sorter = (struct sorter){.selection = selection, .limit = limit <= HEAP_MAX ? (uint32_t)limit : 0};
}

/* Where an item of the bounded heap keeps its texts: one block, the key first. */
static void free_texts(const struct item *item)
{
	free((char *)item->position.key);
}

void sorter_release(struct sorter *sorter)
{
	for (uint32_t i = 0; sorter->limit > 0 && i < sorter->count; i++)
		free_texts(&sorter->items[i]);
	if (sorter->bytes > 0)
		atomic_fetch_sub(&sorter->selection->tables->sorting_bytes, sorter->bytes);
	free(sorter->items);
	for (uint32_t i = 0; i < sorter->runs_count; i++)
		free(sorter->runs[i].items);
	free(sorter->runs);
	while (sorter->arena) {
		struct arena *arena = sorter->arena;
		sorter->arena = arena->next;
		free(arena);
	}
	*sorter = (struct sorter){0};
}

static int compare(const struct sorter *sorter, const struct item *a, const struct item *b)
{
	return selection_compare(sorter->selection, &a->position, &b->position);
}

static int compare_items(const void *a, const void *b, void *sorter)
{
	return compare(sorter, a, b);
}

static char *arena_room(struct sorter *sorter, size_t size)
{
	struct arena *arena = sorter->arena;
	if (!arena || arena->used + size > ARENA_BYTES) {
		arena = malloc(sizeof(*arena));
		if (!arena)
			return NULL;
		arena->next = sorter->arena;
		arena->used = 0;
		sorter->arena = arena;
	}
	arena->used += size;
	return arena->bytes + arena->used - size;
}

/* The item with texts of its own. 0 or -ENOMEM. */
static int keep(struct sorter *sorter, const struct item *item, struct item *ret_item)
{
	const struct position *from = &item->position;
	size_t key = from->key_length < ORDER_BYTES ? from->key_length : ORDER_BYTES;
	size_t value = from->value.type == CW_CELL_TEXT ? from->value.length : 0;
	char *texts = sorter->limit > 0 ? malloc(key + value + 1) : arena_room(sorter, key + value);
	if (!texts)
		return -ENOMEM;
	*ret_item = *item;
	memcpy(texts, from->key, key);
	ret_item->position.key = texts;
	if (from->value.type == CW_CELL_TEXT) {
		memcpy(texts + key, from->value.text, value);
		ret_item->position.value.text = texts + key;
	}
	return 0;
}

/* ---- the bounded heap ---- */

static void swap(struct item *a, struct item *b)
{
	struct item c = *a;
	*a = *b;
	*b = c;
}

static void heap_up(struct sorter *sorter, uint32_t i)
{
	for (; i > 0 && compare(sorter, &sorter->items[i], &sorter->items[(i - 1) / 2]) > 0; i = (i - 1) / 2)
		swap(&sorter->items[i], &sorter->items[(i - 1) / 2]);
}

static void heap_down(struct sorter *sorter)
{
	struct item *items = sorter->items;
	for (uint32_t i = 0, child; (child = 2 * i + 1) < sorter->count; i = child) {
		if (child + 1 < sorter->count && compare(sorter, &items[child + 1], &items[child]) > 0)
			child++;
		if (compare(sorter, &items[child], &items[i]) <= 0)
			return;
		swap(&items[child], &items[i]);
	}
}

static int heap_add(struct sorter *sorter, const struct item *item)
{
	struct item kept;
	if (keep(sorter, item, &kept) < 0)
		return -ENOMEM;
	if (sorter->count < sorter->limit) {
		sorter->items[sorter->count++] = kept;
		heap_up(sorter, sorter->count - 1);
		return 0;
	}
	free_texts(&sorter->items[0]);
	sorter->items[0] = kept;
	heap_down(sorter);
	return 0;
}

bool sorter_wants(const struct sorter *sorter, const struct position *position)
{
	return sorter->limit == 0 || sorter->count < sorter->limit ||
	       selection_compare(sorter->selection, position, &sorter->items[0].position) < 0;
}

/* ---- runs ---- */

bool sorter_is_full(const struct sorter *sorter)
{
	return sorter->limit == 0 && sorter->count == RUN_ITEMS;
}

int sorter_end_run(struct sorter *sorter)
{
	if (sorter->count == 0)
		return 0;
	if (sorter->runs_count == sorter->runs_room) {
		uint32_t room = sorter->runs_room ? 2 * sorter->runs_room : 16;
		struct run *runs = realloc(sorter->runs, room * sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		sorter->runs = runs;
		sorter->runs_room = room;
	}
	qsort_r(sorter->items, sorter->count, sizeof(*sorter->items), compare_items, sorter);
	sorter->runs[sorter->runs_count++] = (struct run){.items = sorter->items, .count = sorter->count};
	sorter->items = NULL;
	sorter->count = sorter->room = 0;
	return 0;
}

/* A run is counted with the most it can take, before it takes anything. 0 or -ENOBUFS. */
static int account_run(struct sorter *sorter)
{
	size_t bytes = RUN_ITEMS * (sizeof(*sorter->items) + 2 * ORDER_BYTES);
	atomic_size_t *all = &sorter->selection->tables->sorting_bytes;
	if (atomic_fetch_add(all, bytes) + bytes > SORTING_BYTES_MAX) {
		atomic_fetch_sub(all, bytes);
		return -ENOBUFS;
	}
	sorter->bytes += bytes;
	return 0;
}

static int make_room(struct sorter *sorter)
{
	uint32_t most = sorter->limit > 0 ? sorter->limit : RUN_ITEMS;
	if (sorter_is_full(sorter) && sorter_end_run(sorter) < 0)
		return -ENOMEM;
	if (sorter->count < sorter->room || sorter->count == most)
		return 0;
	if (sorter->limit == 0 && sorter->room == 0 && account_run(sorter) < 0)
		return -ENOBUFS;
	uint32_t room = sorter->room ? 2 * sorter->room : 64;
	room = room < most ? room : most;
	struct item *items = realloc(sorter->items, room * sizeof(*items));
	if (!items)
		return -ENOMEM;
	sorter->items = items;
	sorter->room = room;
	return 0;
}

int sorter_add(struct sorter *sorter, const struct item *item)
{
	if (!sorter_wants(sorter, &item->position))
		return 0;
	int status = make_room(sorter);
	if (status < 0)
		return status;
	if (sorter->limit > 0)
		return heap_add(sorter, item);
	if (keep(sorter, item, &sorter->items[sorter->count]) < 0)
		return -ENOMEM;
	sorter->count++;
	return 0;
}

static const struct item *head(const struct run *run)
{
	return &run->items[run->next];
}

static void runs_down(struct sorter *sorter, uint32_t i)
{
	struct run *runs = sorter->runs;
	for (uint32_t child; (child = 2 * i + 1) < sorter->merging; i = child) {
		if (child + 1 < sorter->merging && compare(sorter, head(&runs[child + 1]), head(&runs[child])) < 0)
			child++;
		if (compare(sorter, head(&runs[child]), head(&runs[i])) >= 0)
			return;
		struct run run = runs[i];
		runs[i] = runs[child];
		runs[child] = run;
	}
}

static int finish(struct sorter *sorter)
{
	if (sorter->limit > 0) {
		if (sorter->count > 0)
			qsort_r(sorter->items, sorter->count, sizeof(*sorter->items), compare_items, sorter);
		sorter->finished = true;
		return 0;
	}
	if (sorter_end_run(sorter) < 0)
		return -ENOMEM;
	sorter->finished = true;
	sorter->merging = sorter->runs_count;
	for (uint32_t i = sorter->merging / 2; i-- > 0;)
		runs_down(sorter, i);
	return 0;
}

/* Takes the first of all runs. A run that is used up goes behind the heap, so that what was given of it can be read
 * until the release. */
static const struct item *next_of_runs(struct sorter *sorter)
{
	if (sorter->merging == 0)
		return NULL;
	struct run *first = &sorter->runs[0];
	const struct item *item = &first->items[first->next++];
	if (first->next == first->count) {
		struct run used_up = *first;
		*first = sorter->runs[--sorter->merging];
		sorter->runs[sorter->merging] = used_up;
	}
	runs_down(sorter, 0);
	return item;
}

int sorter_next(struct sorter *sorter, const struct item **ret_item)
{
	if (!sorter->finished && finish(sorter) < 0)
		return -ENOMEM;
	if (sorter->limit > 0)
		*ret_item = sorter->next < sorter->count ? &sorter->items[sorter->next++] : NULL;
	else
		*ret_item = next_of_runs(sorter);
	return 0;
}
