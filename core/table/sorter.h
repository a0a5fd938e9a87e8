/* SPDX-License-Identifier: MIT
 *
 * Puts rows in order without ever working long at a time. Private to core/table/query.c and view.c.
 *
 * With a small limit it keeps only the best so far, in a heap. Otherwise it sorts runs of a few thousand rows as they
 * come in and merges them as they are taken out, so that a million rows are sorted in a million small steps. It keeps
 * of each row where it is and what the order needs, not the row.
 */
#ifndef CALLWATCH_CORE_SORTER_H
#define CALLWATCH_CORE_SORTER_H

#include "selection.h"

struct item {
	struct position position; /* its texts are the sorter's */
	uint32_t part, row, incarnation;
};

struct sorter {
	const struct selection *selection;
	uint32_t limit;     /* 0: runs */
	struct item *items; /* the heap, or the run being filled */
	uint32_t count, room, next;
	struct run {
		struct item *items;
		uint32_t count, next;
	} * runs;
	uint32_t runs_count, runs_room;
	uint32_t merging;    /* of the runs, the first so many are a heap by their next item */
	struct arena *arena; /* of the runs' texts */
	size_t bytes;        /* counted in tables->sorting_bytes */
	bool finished;
};

/* Whole tables in order take so much at most, of all queries together: three of a million rows at the same time. */
#define SORTING_BYTES_MAX ((size_t)1024 * 1024 * 1024)

/* limit 0: all. A large limit may be taken as 0: the reader stops by itself. */
void sorter_init(struct sorter *sorter, const struct selection *selection, uint64_t limit);
void sorter_release(struct sorter *sorter);
/* Would this row be among those kept? */
bool sorter_wants(const struct sorter *sorter, const struct position *position);
/* Copies what it needs. 0, -ENOMEM, or -ENOBUFS: too much is being sorted at this moment. */
int sorter_add(struct sorter *sorter, const struct item *item);
/* A run is full and wants to be sorted, which takes a while: better when no lock is held. The next sorter_add() would
 * do it otherwise. */
bool sorter_is_full(const struct sorter *sorter);
int sorter_end_run(struct sorter *sorter); /* 0 or -ENOMEM */
/* After the last was added: the items in order, then NULL. Borrowed until the release. 0 or -ENOMEM. */
int sorter_next(struct sorter *sorter, const struct item **ret_item);

#endif
