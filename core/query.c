/* SPDX-License-Identifier: MIT
 *
 * Queries, in slices.
 *
 * In any order: walk the row numbers, part by part; a row keeps its number, so it is met once. In order: walk them the
 * same way and keep of each matching row where it is and what the order needs (sorter.h), then read the rows again in
 * order. A row that is gone by then, or does not match any more, did not match throughout and is left out.
 *
 * Rows reach the callback through a page (page.h), so that it runs without the lock. What of a condition may take its
 * time is decided on the page too. One row more than the limit is looked for, to know whether there is a next page.
 */
#include "clock.h"
#include "cursor.h"
#include "page.h"
#include "sorter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum phase { STREAM, SCAN, EMIT, DONE };

struct cw_query {
	struct selection selection;
	uint64_t limit; /* 0: all */
	enum phase phase;
	uint32_t part, row, end; /* where the walk is; rows from `end` on came later */
	bool part_begun;
	struct sorter sorter;
	struct page page;
	struct scratch scratch;
	struct cw_cell *shown;
	struct cursor after; /* where the earlier page ended */
	bool has_after;
	uint64_t total, given;
	int64_t scan_from, scan_to;
	bool more;            /* a row beyond the limit was seen */
	struct page_row last; /* given */
};

/* ---- open ---- */

static int start_after(struct cw_query *query, const struct cw_query_spec *spec, char error[CW_QUERY_ERROR_MAX])
{
	uint8_t question[QUESTION_BYTES];
	cursor_question(spec, question);
	if (spec->cursor && *spec->cursor) {
		if (cursor_read(query->selection.tables, spec->cursor, question, &query->after) < 0) {
			snprintf(error, CW_QUERY_ERROR_MAX,
				 "the cursor is not one of this query, or callwatchd was restarted since: "
				 "ask again without it");
			return -EINVAL;
		}
		query->has_after = true;
	}
	memcpy(query->after.question, question, QUESTION_BYTES);
	return 0;
}

/* A query in any order goes on at the row number that its cursor names. */
static void skip_to_cursor(struct cw_query *query)
{
	const struct scope *scope = &query->selection.scope;
	int order = -1;
	while (query->part < scope->parts_count &&
	       (order = strncmp(scope->parts[query->part]->instance, query->after.instance, CURSOR_INSTANCE_BYTES)) < 0)
		query->part++;
	query->row = order == 0 ? query->after.row : 0;
}

static bool is_after(const struct cw_query *query, const struct position *position)
{
	return !query->has_after || selection_compare(&query->selection, position, &query->after.position) > 0;
}

/* With spec->key there is at most a row in each part; they are emitted like sorted ones. */
static int find_keys(struct cw_query *query, const char *key)
{
	const struct scope *scope = &query->selection.scope;
	int status = 0;
	for (uint32_t i = 0; i < scope->parts_count && status == 0; i++) {
		struct cw_part *part = scope->parts[i];
		part_scan_lock(part);
		int64_t number = part_find(part, key, strlen(key));
		if (number >= 0) {
			const struct entry *entry = part_entry(part, (uint32_t)number);
			struct item item = {.part = i, .row = (uint32_t)number, .incarnation = entry->incarnation};
			selection_position(&query->selection, i, entry_row(entry), &item.position);
			if (is_after(query, &item.position))
				status = sorter_add(&query->sorter, &item);
		}
		part_scan_unlock(part);
	}
	query->scan_to = clock_wall();
	return status;
}

static int start(struct cw_query *query, const struct cw_query_spec *spec)
{
	query->limit = spec->limit;
	query->scan_from = query->scan_to = clock_wall();
	query->shown = calloc(query->selection.shown, sizeof(*query->shown));
	if (!query->shown || page_init(&query->page, &query->selection) < 0)
		return -ENOMEM;
	uint64_t wanted = spec->limit > 0 && spec->limit < UINT64_MAX ? spec->limit + 1 : 0;
	sorter_init(&query->sorter, &query->selection, wanted);
	query->phase = spec->key ? EMIT : query->selection.sort >= 0 ? SCAN : STREAM;
	if (query->phase == STREAM && query->has_after)
		skip_to_cursor(query);
	return spec->key ? find_keys(query, spec->key) : 0;
}

int query_open(struct tables *tables, const struct cw_query_spec *spec, bool phones_full, struct cw_query **ret_query,
	       char error[CW_QUERY_ERROR_MAX])
{
	struct cw_query *query = calloc(1, sizeof(*query));
	int status = query ? selection_init(&query->selection, tables, spec, phones_full, error) : -ENOMEM;
	if (status == 0)
		status = start_after(query, spec, error);
	if (status == 0)
		status = start(query, spec);
	if (status == -ENOMEM)
		snprintf(error, CW_QUERY_ERROR_MAX, "out of memory");
	if (status < 0) {
		query_close(query);
		return status;
	}
	*ret_query = query;
	return 0;
}

void query_close(struct cw_query *query)
{
	if (!query)
		return;
	sorter_release(&query->sorter);
	page_release(&query->page);
	selection_release(&query->selection);
	free(query->scratch.bytes);
	free(query->shown);
	free(query);
}

const struct cw_column *query_columns(struct cw_query *query, uint32_t *ret_count)
{
	*ret_count = query->selection.shown;
	return query->selection.fields;
}

/* ---- the walk ---- */

static int sort_in(struct cw_query *query, const struct item *item)
{
	query->total++;
	return is_after(query, &item->position) ? sorter_add(&query->sorter, item) : 0;
}

/* The part's lock is held. 0 or -ENOMEM. */
static int look_at(struct cw_query *query, uint32_t number, int64_t now)
{
	const struct entry *entry = part_entry(query->selection.scope.parts[query->part], number);
	const struct row *row = entry_row(entry);
	if (!row || !selection_quick(&query->selection, query->part, row, now))
		return 0;
	if (query->phase == STREAM || query->selection.slow)
		return page_add(&query->page, query->part, number, row, now, /* tag */ NULL);
	struct item item = {.part = query->part, .row = number, .incarnation = entry->incarnation};
	selection_position(&query->selection, query->part, row, &item.position);
	return sort_in(query, &item);
}

static int walk(struct cw_query *query, int64_t deadline)
{
	struct cw_part *part = query->selection.scope.parts[query->part];
	int status = 0;
	part_scan_lock(part);
	int64_t slice_end = clock_awake() + SLICE_NS, now = clock_now();
	slice_end = slice_end < deadline ? slice_end : deadline;
	if (!query->part_begun)
		query->end = part->entries;
	query->part_begun = true;
	while (status == 0 && query->row < query->end && !page_is_full(&query->page)) {
		status = look_at(query, query->row++, now);
		if (query->row % SLICE_ROWS == 0 && part_scan_pause(part, slice_end))
			break;
	}
	part_scan_unlock(part);
	query->scan_to = clock_wall();
	if (query->row >= query->end) {
		query->part++;
		query->row = 0;
		query->part_begun = false;
	}
	return status;
}

/* The lock is kept over rows of one part that follow each other. */
static struct cw_part *lock_next(struct cw_query *query, struct cw_part *locked, uint32_t next)
{
	struct cw_part *part = query->selection.scope.parts[next];
	if (part == locked)
		return part;
	if (locked)
		part_scan_unlock(locked);
	part_scan_lock(part);
	return part;
}

/* The row that lived at this number when it was noted, or NULL. The lock is held. */
static const struct row *same_row(const struct cw_part *part, uint32_t number, uint32_t incarnation)
{
	const struct entry *entry = part_entry(part, number);
	return entry->incarnation == incarnation ? entry_row(entry) : NULL;
}

/* Slow conditions of a sorted query: what is on the page is decided now, without the lock, then sorted in. Its place in
 * the order is read again, as the page has only cells as they go out. */
static int sort_page(struct cw_query *query)
{
	bool match[PAGE_ROWS];
	for (uint32_t i = 0; i < query->page.count; i++)
		match[i] = selection_slow(&query->selection, page_cells(&query->page, i), &query->scratch);
	struct cw_part *locked = NULL;
	int status = 0;
	for (uint32_t i = 0; i < query->page.count && status == 0; i++) {
		const struct page_row *from = &query->page.rows[i];
		if (!match[i])
			continue;
		locked = lock_next(query, locked, from->part);
		const struct row *row = same_row(locked, from->row, from->incarnation);
		if (!row)
			continue;
		struct item item = {.part = from->part, .row = from->row, .incarnation = from->incarnation};
		selection_position(&query->selection, from->part, row, &item.position);
		status = sort_in(query, &item);
	}
	if (locked)
		part_scan_unlock(locked);
	page_clear(&query->page);
	return status;
}

/* Reads rows again, in order, until the page is full. *ret_end: there are no more. */
static int read_sorted(struct cw_query *query, bool *ret_end)
{
	struct cw_part *locked = NULL;
	const struct item *item = NULL;
	int status = 0;
	int64_t now = clock_now();
	for (uint32_t i = 0; status == 0 && i < PAGE_ROWS && !page_is_full(&query->page); i++) {
		status = sorter_next(&query->sorter, &item);
		*ret_end = status == 0 && !item;
		if (!item)
			break;
		locked = lock_next(query, locked, item->part);
		const struct row *row = same_row(locked, item->row, item->incarnation);
		if (row && selection_quick(&query->selection, item->part, row, now))
			status = page_add(&query->page, item->part, item->row, row, now, item);
	}
	if (locked)
		part_scan_unlock(locked);
	return status;
}

/* One slice of work towards the next page. */
static int advance(struct cw_query *query, int64_t deadline)
{
	bool end = query->part >= query->selection.scope.parts_count;
	int status = 0;
	if (query->phase == EMIT) {
		end = false;
		status = read_sorted(query, &end);
		if (end && query->page.count == 0)
			query->phase = DONE;
	} else if (!end) {
		status = walk(query, deadline);
		if (status == 0 && query->phase == SCAN)
			status = sort_page(query);
	} else {
		query->phase = query->phase == SCAN ? EMIT : DONE;
	}
	return status;
}

/* ---- giving ---- */

/* 0: the page is used up (or the limit reached), CW_LATER: paused. */
static int give_page(struct cw_query *query, cw_row_fn give, void *arg)
{
	struct page *page = &query->page;
	while (page->next < page->count) {
		uint32_t i = page->next++;
		const struct cw_cell *cells = page_cells(page, i);
		if (!selection_slow(&query->selection, cells, &query->scratch))
			continue;
		if (query->limit > 0 && query->given == query->limit) {
			query->more = true;
			query->phase = DONE;
			break;
		}
		if (selection_mask(&query->selection, cells, query->shown, &query->scratch) < 0)
			return -ENOMEM;
		query->given++;
		query->last = page->rows[i];
		if (give(arg, query->shown, query->selection.shown) != 0)
			return CW_LATER;
	}
	page_clear(page);
	return 0;
}

int query_step(struct cw_query *query, int64_t budget_ns, cw_row_fn row, void *arg)
{
	int64_t deadline = clock_awake() + budget_ns;
	do {
		int status = give_page(query, row, arg);
		if (status == 0 && query->phase == DONE)
			return 0;
		if (status == 0)
			status = advance(query, deadline);
		if (status != 0)
			return status;
	} while (clock_awake() < deadline);
	return CW_LATER;
}

static void write_cursor(const struct cw_query *query, char *text)
{
	struct cursor cursor = query->after;
	const struct item *item = query->last.tag;
	if (item)
		cursor.position = item->position;
	else
		cursor.position =
			(struct position){.instance = query->selection.scope.parts[query->last.part]->instance};
	cursor.row = query->last.row + 1;
	cursor_write(query->selection.tables, &cursor, text);
}

/* Streams and keys are counted as they are given, sorted queries as they are scanned. */
void query_info(struct cw_query *query, struct cw_query_info *ret_info)
{
	uint64_t rows;
	*ret_info = (struct cw_query_info){.given = query->given,
					   .scan_from = query->scan_from,
					   .scan_to = query->scan_to,
					   .coverage = scope_coverage(&query->selection.scope, &rows)};
	uint64_t seen = query->given + (query->more ? 1 : 0);
	ret_info->total = query->total > seen ? query->total : seen;
	ret_info->age_seconds = coverage_age(&ret_info->coverage);
	if (query->phase == DONE && query->more)
		write_cursor(query, ret_info->next_cursor);
}
