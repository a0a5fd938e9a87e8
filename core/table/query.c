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
#include "scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum phase { STREAM, SCAN, EMIT, DONE };

struct cw_query {
	struct selection selection;
	uint64_t limit; /* 0: all */
	enum phase phase;
	struct scan scan;
	struct cw_cell *shown;
	struct cursor after; /* where the earlier page ended */
	bool has_after;
	uint64_t given;
	int64_t scan_from;
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
	while (query->scan.part < scope->parts_count &&
	       (order = strncmp(scope->parts[query->scan.part]->instance, query->after.instance,
				CURSOR_INSTANCE_BYTES)) < 0)
		query->scan.part++;
	query->scan.row = order == 0 ? query->after.row : 0;
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
			if (!query->scan.after ||
			    selection_compare(&query->selection, &item.position, query->scan.after) > 0)
				status = sorter_add(&query->scan.sorter, &item);
		}
		part_scan_unlock(part);
	}
	return status;
}

static int start(struct cw_query *query, const struct cw_query_spec *spec)
{
	query->limit = spec->limit;
	query->scan_from = clock_wall();
	query->phase = spec->key ? EMIT : query->selection.sort >= 0 ? SCAN : STREAM;
	query->shown = calloc(query->selection.shown, sizeof(*query->shown));
	uint64_t wanted = spec->limit > 0 && spec->limit < UINT64_MAX ? spec->limit + 1 : 0;
	if (!query->shown || scan_init(&query->scan, &query->selection, query->phase != STREAM, wanted) < 0)
		return -ENOMEM;
	if (query->has_after && query->phase == STREAM)
		skip_to_cursor(query);
	else if (query->has_after)
		query->scan.after = &query->after.position;
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
	scan_release(&query->scan);
	selection_release(&query->selection);
	free(query->shown);
	free(query);
}

const struct cw_column *query_columns(struct cw_query *query, uint32_t *ret_count)
{
	*ret_count = query->selection.shown;
	return query->selection.fields;
}

/* One slice of work towards the next page. */
static int advance(struct cw_query *query, int64_t deadline)
{
	bool end = false;
	int status = query->phase == EMIT ? scan_read(&query->scan, &end) : scan_step(&query->scan, deadline, &end);
	if (end && query->scan.page.count == 0)
		query->phase = query->phase == SCAN ? EMIT : DONE;
	return status;
}

/* ---- giving ---- */

/* 0: the page is used up (or the limit reached), CW_LATER: paused. */
static int give_page(struct cw_query *query, cw_row_fn give, void *arg)
{
	struct page *page = &query->scan.page;
	while (page->next < page->count) {
		uint32_t i = page->next++;
		const struct cw_cell *cells = page_cells(page, i);
		if (!selection_slow(&query->selection, cells, &query->scan.scratch))
			continue;
		if (query->limit > 0 && query->given == query->limit) {
			query->more = true;
			query->phase = DONE;
			break;
		}
		if (selection_mask(&query->selection, cells, query->shown, &query->scan.scratch) < 0)
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
					   .scan_to = query->scan.to,
					   .coverage = scope_coverage(&query->selection.scope, &rows)};
	uint64_t seen = query->given + (query->more ? 1 : 0);
	ret_info->total = query->scan.total > seen ? query->scan.total : seen;
	ret_info->age_seconds = coverage_age(&ret_info->coverage);
	if (query->phase == DONE && query->more)
		write_cursor(query, ret_info->next_cursor);
}
