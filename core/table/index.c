/* SPDX-License-Identifier: MIT
 *
 * See index.h. In the array in use a removal shifts the following slots back, so that it never fills with tombstones.
 * The array being emptied is only read and emptied in order; there a removed or moved slot becomes GONE, which keeps
 * the probe chains behind it intact.
 */
#include "index.h"

#include <errno.h>
#include <stdlib.h>

enum {
	LEAST = 16,      /* slots */
	MOVES = 32,      /* slots emptied with each change: the old array is empty long before the new one is full */
	SHRINK_BELOW = 8 /* a smaller array when less than 1/8 is used */
};

#define GONE UINT32_MAX

void index_release(struct index *index)
{
	free(index->now.slots);
	free(index->before.slots);
	*index = (struct index){0};
}

static int64_t find_in(const struct index_array *array, uint32_t hash, index_same same, void *arg)
{
	if (!array->slots)
		return -1;
	for (uint32_t i = hash & array->mask; array->slots[i].number; i = (i + 1) & array->mask) {
		const struct index_slot *slot = &array->slots[i];
		if (slot->hash == hash && slot->number != GONE && same(arg, slot->number - 1))
			return slot->number - 1;
	}
	return -1;
}

int64_t index_find(const struct index *index, uint32_t hash, index_same same, void *arg)
{
	int64_t number = find_in(&index->now, hash, same, arg);
	return number >= 0 ? number : find_in(&index->before, hash, same, arg);
}

static void put_in(struct index_array *array, struct index_slot what)
{
	uint32_t i = what.hash & array->mask;
	while (array->slots[i].number)
		i = (i + 1) & array->mask;
	array->slots[i] = what;
	array->used++;
}

/* Moves up to `slots` slots of the array before; frees it when it is empty. */
static void move(struct index *index, uint32_t slots)
{
	struct index_array *before = &index->before;
	for (; before->slots && slots > 0; slots--) {
		if (index->moved > before->mask || before->used == 0) {
			free(before->slots);
			*before = (struct index_array){0};
			return;
		}
		struct index_slot *slot = &before->slots[index->moved++];
		if (slot->number == 0 || slot->number == GONE)
			continue;
		put_in(&index->now, *slot);
		slot->number = GONE;
		before->used--;
	}
}

static int resize(struct index *index, uint32_t slots)
{
	struct index_slot *array =
		calloc(slots, sizeof(*array)); /* large ones come zeroed and untouched from the kernel */
	if (!array)
		return -ENOMEM;
	index->before = index->now;
	index->moved = 0;
	index->now = (struct index_array){.slots = array, .mask = slots - 1};
	return 0;
}

/* At most 3/4 full. While an array is being emptied neither growing nor shrinking begins: MOVES a change empties it
 * before the new one, twice as large, can fill. */
int index_add(struct index *index, uint32_t hash, uint32_t number)
{
	move(index, MOVES);
	uint32_t slots = index->now.slots ? index->now.mask + 1 : 0;
	if (!index->before.slots && index->now.used >= slots - slots / 4) {
		if (slots > UINT32_MAX / 4)
			return -ENOMEM;
		int status = resize(index, slots ? 2 * slots : LEAST);
		if (status < 0)
			return status;
	}
	put_in(&index->now, (struct index_slot){.number = number + 1, .hash = hash});
	return 0;
}

/* Position of the slot, or -1. */
static int64_t position(const struct index_array *array, uint32_t hash, uint32_t number)
{
	if (!array->slots)
		return -1;
	for (uint32_t i = hash & array->mask; array->slots[i].number; i = (i + 1) & array->mask)
		if (array->slots[i].number == number + 1)
			return i;
	return -1;
}

/* Closes the hole at i: each slot behind it moves up unless it would come before its own place. */
static void shift_back(struct index_array *array, uint32_t i)
{
	for (uint32_t next = (i + 1) & array->mask; array->slots[next].number; next = (next + 1) & array->mask) {
		uint32_t home = array->slots[next].hash & array->mask;
		if (((next - home) & array->mask) < ((next - i) & array->mask))
			continue;
		array->slots[i] = array->slots[next];
		i = next;
	}
	array->slots[i] = (struct index_slot){0};
}

void index_remove(struct index *index, uint32_t hash, uint32_t number)
{
	int64_t i = position(&index->now, hash, number);
	if (i >= 0) {
		shift_back(&index->now, (uint32_t)i);
		index->now.used--;
	} else if ((i = position(&index->before, hash, number)) >= 0) {
		index->before.slots[i].number = GONE;
		index->before.used--;
	}
	move(index, MOVES);
	uint32_t slots = index->now.slots ? index->now.mask + 1 : 0;
	if (!index->before.slots && slots > LEAST && index->now.used < slots / SHRINK_BELOW)
		(void)resize(index, slots / 4); /* no memory: it stays large */
}
