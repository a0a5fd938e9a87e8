/* SPDX-License-Identifier: MIT
 *
 * A walk over all rows that a selection means, in slices: what queries and the first filling of a view have in common.
 * Private to core/table/query.c and view.c.
 *
 * Not sorted: matching rows are left on the page, in the order of their numbers. Sorted: they go into the sorter, and
 * are read again in order once the walk is over.
 */
#ifndef CALLWATCH_CORE_SCAN_H
#define CALLWATCH_CORE_SCAN_H

#include "page.h"
#include "sorter.h"

struct scan {
	const struct selection *selection;
	bool sorted;
	const struct position *after; /* sort in only what comes after it; NULL: all */
	struct sorter sorter;
	struct page page;
	struct scratch scratch;
	uint32_t part, row, end; /* where it is; rows from `end` on came later */
	bool part_begun;
	const struct item *due[PAGE_ROWS]; /* items taken out of the sorter, rows not read yet */
	uint32_t due_count, due_next;
	uint64_t total; /* sorted: rows that matched */
	int64_t to;     /* wall time of the last slice */
};

/* limit: how many sorted rows are wanted, 0: all. 0 or -ENOMEM; release it in every case. */
int scan_init(struct scan *scan, const struct selection *selection, bool sorted, uint64_t limit);
void scan_release(struct scan *scan);
/* One slice, at most until the deadline. 0, -ENOMEM or -ENOBUFS (sorter.h). *ret_end: all rows have been walked over.
 */
int scan_step(struct scan *scan, int64_t deadline, bool *ret_end);
/* Fills the page with the next rows in order, as they are now. *ret_end: there are no more. 0 or -ENOMEM. */
int scan_read(struct scan *scan, bool *ret_end);
/* The row that had this incarnation, or NULL. The part's lock is held. */
const struct row *same_row(const struct cw_part *part, uint32_t number, uint32_t incarnation);

#endif
