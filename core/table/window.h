/* SPDX-License-Identifier: MIT
 *
 * The rows that a view holds: the first ones in its order, and as many again in reserve for when some of those leave.
 * Private to core/table/view.c.
 *
 * What is outside comes after `bound` in the order, as long as the window is not `complete`. So each change is decided
 * without looking at the rest of the table: a row before the bound comes in, one behind it stays out, and only when
 * fewer than `limit` are left must the table be scanned again.
 */
#ifndef CALLWATCH_CORE_WINDOW_H
#define CALLWATCH_CORE_WINDOW_H

#include "selection.h"

struct held {
	struct position position; /* texts owned; the key in full */
	struct cw_part *part;
	uint32_t row, incarnation;
	bool told;       /* the reader knows this row */
	bool dirty;      /* it changed since */
	uint32_t filled; /* by which filling it was last seen */
	uint32_t next_free;
};

struct window {
	const struct selection *selection;
	uint32_t limit, room;
	struct held *held;   /* named by their index */
	uint32_t used, free; /* ever used; first free one + 1 */
	uint32_t *order;     /* of those in the window, by position */
	uint32_t count;
	struct index index; /* by part and row number */
	bool complete;      /* nothing that matches is outside */
	struct position bound;
	bool filling;
	uint32_t fillings;
	struct held *gone; /* told rows that left */
	uint32_t gone_count, gone_room;
};

/* 0 or -ENOMEM; release it in every case. */
int window_init(struct window *window, const struct selection *selection, uint32_t limit);
void window_release(struct window *window);
/* The row is there and matches (position as it is now), or not (NULL). 0 or -ENOMEM. */
int window_place(struct window *window, struct cw_part *part, uint32_t row, uint32_t incarnation,
		 const struct position *position);
/* Between the two the rows to hold are placed one by one, at most `room`; those that were not are taken out at the end.
 * `bound`: the first row that is outside, NULL: there is none. What a row was told stays with it. */
void window_fill_begin(struct window *window);
int window_fill_end(struct window *window, const struct position *bound);
static inline bool window_is_short(const struct window *window)
{
	return !window->complete && window->count < window->limit;
}

#endif
