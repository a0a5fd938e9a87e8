/* SPDX-License-Identifier: MIT
 *
 * See window.h. At most a thousand rows: the order is an array that is shifted, found in by bisection.
 */
#include "window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int window_init(struct window *window, const struct selection *selection, uint32_t limit)
{
	*window = (struct window){.selection = selection, .limit = limit, .room = 2 * limit, .complete = true};
	size_t most = 2 * (size_t)window->room + 1; /* while it is filled old and new are there */
	window->held = calloc(most, sizeof(*window->held));
	window->order = calloc(most, sizeof(*window->order));
	return window->held && window->order ? 0 : -ENOMEM;
}

static void free_position(struct position *position)
{
	free((char *)position->key);
	*position = (struct position){0};
}

void window_release(struct window *window)
{
	for (uint32_t i = 0; i < window->count; i++)
		free_position(&window->held[window->order[i]].position);
	for (uint32_t i = 0; i < window->gone_count; i++)
		free_position(&window->gone[i].position);
	free_position(&window->bound);
	free(window->held);
	free(window->order);
	free(window->gone);
	index_release(&window->index);
	*window = (struct window){0};
}

/* A copy that owns its texts, in one block: the key in full, then the value. */
static int copy_position(const struct position *from, size_t key_bytes, struct position *ret_position)
{
	size_t value = from->value.type == CW_CELL_TEXT ? from->value.length : 0;
	char *texts = malloc(key_bytes + value + 1);
	if (!texts)
		return -ENOMEM;
	*ret_position = *from;
	memcpy(texts, from->key, key_bytes);
	ret_position->key = texts;
	if (from->value.type == CW_CELL_TEXT) {
		memcpy(texts + key_bytes, from->value.text, value);
		ret_position->value.text = texts + key_bytes;
	}
	return 0;
}

static int set_bound(struct window *window, const struct position *position)
{
	struct position copy = {0};
	size_t key = position && position->key_length > ORDER_BYTES ? ORDER_BYTES : position ? position->key_length : 0;
	if (position && copy_position(position, key, &copy) < 0)
		return -ENOMEM;
	free_position(&window->bound);
	window->bound = copy;
	window->complete = !position;
	return 0;
}

/* ---- the order ---- */

static int compare(const struct window *window, const struct position *a, const struct position *b)
{
	return selection_compare(window->selection, a, b);
}

/* Where in the order this position is, or would be. */
static uint32_t bisect(const struct window *window, const struct position *position)
{
	uint32_t low = 0, high = window->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (compare(window, &window->held[window->order[middle]].position, position) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void order_in(struct window *window, uint32_t id)
{
	uint32_t at = bisect(window, &window->held[id].position);
	memmove(&window->order[at + 1], &window->order[at], (window->count - at) * sizeof(*window->order));
	window->order[at] = id;
	window->count++;
}

static void order_out(struct window *window, uint32_t id)
{
	uint32_t at = bisect(window, &window->held[id].position);
	while (window->order[at] != id) /* equal positions do not happen; were they to, the right one goes */
		at++;
	window->count--;
	memmove(&window->order[at], &window->order[at + 1], (window->count - at) * sizeof(*window->order));
}

/* ---- finding by row ---- */

static uint32_t hash_row(const struct cw_part *part, uint32_t row)
{
	uint64_t mixed = ((uint64_t)(uintptr_t)part >> 4 ^ row) * 0x9e3779b97f4a7c15u; /* numbers of our own making */
	return (uint32_t)(mixed >> 32);
}

struct wanted {
	const struct window *window;
	const struct cw_part *part;
	uint32_t row;
};

static bool is_wanted(void *arg, uint32_t id)
{
	const struct wanted *wanted = arg;
	const struct held *held = &wanted->window->held[id];
	return held->part == wanted->part && held->row == wanted->row;
}

static int64_t find(const struct window *window, const struct cw_part *part, uint32_t row)
{
	struct wanted wanted = {window, part, row};
	return index_find(&window->index, hash_row(part, row), is_wanted, &wanted);
}

/* ---- coming and going ---- */

static int add_gone(struct window *window, const struct held *held)
{
	if (window->gone_count == window->gone_room) {
		uint32_t room = window->gone_room ? 2 * window->gone_room : 16;
		struct held *gone = realloc(window->gone, room * sizeof(*gone));
		if (!gone)
			return -ENOMEM;
		window->gone = gone;
		window->gone_room = room;
	}
	window->gone[window->gone_count++] = *held;
	return 0;
}

static int drop(struct window *window, uint32_t id)
{
	struct held *held = &window->held[id];
	if (held->told && add_gone(window, held) < 0)
		return -ENOMEM;
	order_out(window, id);
	index_remove(&window->index, hash_row(held->part, held->row), id);
	if (!held->told)
		free_position(&held->position);
	*held = (struct held){.next_free = window->free};
	window->free = id + 1;
	return 0;
}

/* Pushes the last out when there is no more room; what is outside is from then on bounded by it. */
static int make_room(struct window *window)
{
	if (window->count <= window->room || window->filling)
		return 0;
	uint32_t last = window->order[window->count - 1];
	int status = set_bound(window, &window->held[last].position);
	return status < 0 ? status : drop(window, last);
}

static bool is_outside(const struct window *window, const struct position *position)
{
	return !window->complete && compare(window, position, &window->bound) >= 0;
}

static int add(struct window *window, struct cw_part *part, uint32_t row, uint32_t incarnation,
	       const struct position *position)
{
	uint32_t id = window->free ? window->free - 1 : window->used;
	struct held held = {.part = part, .row = row, .incarnation = incarnation, .filled = window->fillings};
	if (copy_position(position, position->key_length, &held.position) < 0)
		return -ENOMEM;
	if (index_add(&window->index, hash_row(part, row), id) < 0) {
		free_position(&held.position);
		return -ENOMEM;
	}
	if (window->free)
		window->free = window->held[id].next_free;
	else
		window->used++;
	window->held[id] = held;
	order_in(window, id);
	return make_room(window);
}

static int move(struct window *window, uint32_t id, const struct position *position)
{
	struct held *held = &window->held[id];
	held->dirty |= !window->filling;
	held->filled = window->fillings;
	if (compare(window, &held->position, position) == 0)
		return 0;
	struct position copy;
	if (copy_position(position, position->key_length, &copy) < 0)
		return -ENOMEM;
	order_out(window, id);
	free_position(&held->position);
	held->position = copy;
	order_in(window, id);
	return 0;
}

int window_place(struct window *window, struct cw_part *part, uint32_t row, uint32_t incarnation,
		 const struct position *position)
{
	int64_t id = find(window, part, row);
	bool same = id >= 0 && window->held[id].incarnation == incarnation;
	bool wanted = position && !is_outside(window, position);
	if (id >= 0 && (!same || !wanted)) {
		int status = drop(window, (uint32_t)id);
		if (status < 0)
			return status;
	}
	if (!wanted)
		return 0;
	return same ? move(window, (uint32_t)id, position) : add(window, part, row, incarnation, position);
}

void window_fill_begin(struct window *window)
{
	window->filling = window->complete = true;
	window->fillings++;
}

int window_fill_end(struct window *window, const struct position *bound)
{
	window->filling = false;
	for (uint32_t i = window->count; i-- > 0;) {
		uint32_t id = window->order[i];
		if (window->held[id].filled != window->fillings && drop(window, id) < 0)
			return -ENOMEM;
	}
	return set_bound(window, bound);
}
