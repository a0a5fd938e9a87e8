/* SPDX-License-Identifier: MIT
 *
 * A page: rows copied out of their parts under the lock, to be looked at without it. Private to query.c and view.c.
 */
#ifndef CALLWATCH_CORE_PAGE_H
#define CALLWATCH_CORE_PAGE_H

#include "selection.h"

enum { PAGE_ROWS = 64, PAGE_BYTES = 64 * 1024 };

struct page_row {
	uint32_t part, row, incarnation;
	const void *tag; /* the caller's */
};

struct page {
	const struct selection *selection;
	struct page_row rows[PAGE_ROWS];
	struct cw_cell *cells; /* of all fields, row after row */
	char *texts;
	size_t texts_used, texts_room;
	uint32_t count, next;
	bool sealed;
};

/* 0 or -ENOMEM. `selection` is borrowed. */
int page_init(struct page *page, const struct selection *selection);
void page_release(struct page *page);
void page_clear(struct page *page);
bool page_is_full(const struct page *page);
/* Copies a row; the part's lock is held. 0 or -ENOMEM. */
int page_add(struct page *page, uint32_t part, uint32_t number, const struct row *row, int64_t now, const void *tag);
/* The cells of row i, from now on with texts that can be read; no more rows are added until page_clear(). */
const struct cw_cell *page_cells(struct page *page, uint32_t i);

#endif
