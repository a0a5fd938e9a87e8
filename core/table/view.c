/* SPDX-License-Identifier: MIT
 *
 * Live views: a window (window.h) on a table, kept up to date from its changes, and what of it the reader knows.
 *
 *   fill ──▶ follow ──▶ tell ──▶ wait for a change
 *     ▲         │ too few rows left, parts came or went, time passed
 *     └─────────┘
 *
 * Fill scans the table in slices (scan.h). Follow looks at the rows whose stamps are newer than what was seen, however
 * often they changed. Tell compares the window with what the reader was told: REMOVE for rows that left, PUT for those
 * that came or changed, SYNC. All of it happens in view_next(), on the reader's thread; a call works for about 2 ms and
 * then says CW_LATER.
 *
 * Rows that match or cease to by time alone (`heartbeat_age_seconds>60`) have no change to tell of it: such a view is
 * filled again in view_next() at most once a second, and not so often that it takes more than a twentieth of the time.
 * Who wants it to move while nothing changes calls view_next() once a second unasked. Of an order by age nothing need
 * be known: it does not change by time.
 */
#include "clock.h"
#include "scan.h"
#include "window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGET_NS = 2000000, FILL_SHARE = 20, GROUPS_PER_LOOK = 16 };

struct seen {
	struct cw_part *part;
	uint64_t sequence; /* all changes up to here are in the window */
};

struct cw_view {
	struct cw_view *next; /* of the table; guarded by tables->lock */
	struct selection selection;
	void (*notify)(void *arg);
	void *arg;
	atomic_bool armed; /* the reader waits */

	bool filling;
	unsigned version; /* of the table's parts */
	struct scan scan;
	int64_t filled_at, fill_ns; /* clock_awake() of the last filling, and what it cost */
	struct window window;

	struct seen *seen;  /* per part of the selection */
	uint32_t part, row; /* where following is */
	uint64_t upto;      /* the part's sequence when it got there */
	bool part_begun;

	struct page page;
	struct scratch scratch;
	struct cw_cell *shown;
	bool reset_told, sync_due;
	uint64_t sequence;
};

/* ---- parts ---- */

static uint64_t part_sequence(struct cw_part *part)
{
	part_scan_lock(part);
	uint64_t sequence = part->sequence;
	part_scan_unlock(part);
	return sequence;
}

static uint64_t seen_of(const struct seen *seen, uint32_t count, struct cw_part *part)
{
	for (uint32_t i = 0; i < count; i++)
		if (seen[i].part == part)
			return seen[i].sequence;
	return part_sequence(part); /* a part that is new here: the filling that follows sees all before */
}

/* Notes the parts of the selection; for those known before, what was seen of them stays. */
static int note_parts(struct cw_view *view, const struct seen *before, uint32_t count)
{
	const struct scope *scope = &view->selection.scope;
	struct seen *seen = calloc(scope->parts_count + 1, sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	for (uint32_t i = 0; i < scope->parts_count; i++)
		seen[i] = (struct seen){scope->parts[i], seen_of(before, count, scope->parts[i])};
	view->seen = seen;
	view->part = view->row = 0;
	view->part_begun = false;
	return 0;
}

static int begin_fill(struct cw_view *view)
{
	view->filling = true;
	view->fill_ns = 0;
	return scan_init(&view->scan, &view->selection, /* sorted */ true, view->window.room + 1);
}

/* Parts came or went. */
static int take_parts(struct cw_view *view)
{
	struct seen *before = view->seen;
	uint32_t count = view->selection.scope.parts_count;
	if (view->filling)
		scan_release(&view->scan);
	view->filling = false;
	int status = selection_refresh(&view->selection);
	if (status == 0)
		status = note_parts(view, before, count);
	if (status == 0)
		free(before);
	return status == 0 ? begin_fill(view) : status;
}

/* ---- fill ---- */

/* The row as it is now goes into the window. */
static int place(struct cw_view *view, const struct item *item)
{
	struct cw_part *part = view->selection.scope.parts[item->part];
	int status = 0;
	part_scan_lock(part);
	const struct row *row = same_row(part, item->row, item->incarnation);
	if (row) {
		struct position position;
		selection_position(&view->selection, item->part, row, &position);
		status = window_place(&view->window, part, item->row, item->incarnation, &position);
	}
	part_scan_unlock(part);
	return status;
}

static int end_fill(struct cw_view *view)
{
	const struct item *item = NULL;
	int status = 0;
	window_fill_begin(&view->window);
	for (uint32_t i = 0; status == 0; i++) {
		status = sorter_next(&view->scan.sorter, &item);
		if (status < 0 || !item || i == view->window.room)
			break;
		status = place(view, item);
	}
	if (status == 0)
		status = window_fill_end(&view->window, item ? &item->position : NULL);
	scan_release(&view->scan);
	view->filling = false;
	view->filled_at = clock_awake();
	return status;
}

static int fill(struct cw_view *view, int64_t deadline)
{
	bool end = false;
	int status = 0;
	int64_t begun = clock_awake(), now = begun;
	while (status == 0 && !end && now < deadline) {
		status = scan_step(&view->scan, deadline, &end);
		now = clock_awake();
	}
	view->fill_ns += now - begun;
	if (status < 0)
		return status;
	return end ? end_fill(view) : CW_LATER;
}

/* ---- follow ---- */

/* The part's lock is held. */
static int follow_row(struct cw_view *view, struct cw_part *part, uint32_t number, int64_t now)
{
	const struct entry *entry = part_entry(part, number);
	const struct row *row = entry_row(entry);
	if (!row || !selection_quick(&view->selection, view->part, row, now))
		return window_place(&view->window, part, number, entry->incarnation, /* position */ NULL);
	if (view->selection.slow)
		return page_add(&view->page, view->part, number, row, now, /* tag */ NULL);
	struct position position;
	selection_position(&view->selection, view->part, row, &position);
	return window_place(&view->window, part, number, entry->incarnation, &position);
}

/* The slow conditions, on the copies that follow_row() made. */
static int follow_page(struct cw_view *view)
{
	int status = 0;
	for (uint32_t i = 0; i < view->page.count && status == 0; i++) {
		const struct page_row *from = &view->page.rows[i];
		struct cw_part *part = view->selection.scope.parts[from->part];
		struct item item = {.part = from->part, .row = from->row, .incarnation = from->incarnation};
		if (selection_slow(&view->selection, page_cells(&view->page, i), &view->scratch))
			status = place(view, &item);
		else
			status = window_place(&view->window, part, from->row, from->incarnation, NULL);
	}
	page_clear(&view->page);
	return status;
}

/* One group of 64 rows, from view->row on. The part's lock is held. */
static int follow_group(struct cw_view *view, struct cw_part *part, int64_t now)
{
	uint64_t than = view->seen[view->part].sequence;
	uint32_t end = (view->row / GROUP_ROWS + 1) * GROUP_ROWS;
	end = end < part->entries ? end : part->entries;
	if (part_stamp(part, view->row) <= than) {
		view->row = end;
		return 0;
	}
	int status = 0;
	for (; view->row < end && status == 0 && !page_is_full(&view->page); view->row++)
		if (entry_is_newer(part_entry(part, view->row), than))
			status = follow_row(view, part, view->row, now);
	return status;
}

/* One slice over the part that is being followed. */
static int follow_slice(struct cw_view *view, int64_t deadline)
{
	struct seen *seen = &view->seen[view->part];
	struct cw_part *part = seen->part;
	int status = 0;
	part_scan_lock(part);
	int64_t slice_end = clock_awake() + SLICE_NS, now = clock_now();
	slice_end = slice_end < deadline ? slice_end : deadline;
	if (!view->part_begun)
		view->upto = part->sequence;
	view->part_begun = true;
	if (view->upto == seen->sequence)
		view->row = part->entries;
	for (uint32_t groups = 1; view->row < part->entries && status == 0 && !page_is_full(&view->page); groups++) {
		uint64_t stamp = part_stamp(part, view->row);
		status = follow_group(view, part, now);
		if ((stamp > seen->sequence || groups % GROUPS_PER_LOOK == 0) && part_scan_pause(part, slice_end))
			break;
	}
	bool end = view->row >= part->entries;
	part_scan_unlock(part);
	if (status == 0)
		status = follow_page(view);
	if (status == 0 && end) {
		seen->sequence = view->upto;
		view->part++;
		view->row = 0;
		view->part_begun = false;
	}
	return status;
}

static int follow(struct cw_view *view, int64_t deadline)
{
	do {
		if (view->part >= view->selection.scope.parts_count) {
			view->part = 0;
			return 0;
		}
		int status = follow_slice(view, deadline);
		if (status < 0)
			return status;
	} while (clock_awake() < deadline);
	return CW_LATER;
}

/* ---- tell ---- */

static int give(struct cw_view *view, cw_view_fn change, void *arg, enum cw_view_op op, const struct cw_cell *cells)
{
	view->sync_due = op != CW_VIEW_SYNC;
	return change(arg, op, ++view->sequence, cells, cells ? view->selection.shown : 0) != 0 ? CW_LATER : 0;
}

static int tell_removed(struct cw_view *view, const struct held *held, cw_view_fn change, void *arg)
{
	struct cw_cell *cells = calloc(view->selection.fields_count, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	cells[FIELD_INSTANCE] = (struct cw_cell){.type = CW_CELL_TEXT,
						 .length = (uint32_t)strlen(held->position.instance),
						 .text = held->position.instance};
	cells[view->selection.key_field] =
		(struct cw_cell){.type = CW_CELL_TEXT, .length = held->position.key_length, .text = held->position.key};
	int status = selection_mask(&view->selection, cells, view->shown, &view->scratch);
	if (status == 0)
		status = give(view, change, arg, CW_VIEW_REMOVE, view->shown);
	free(cells);
	return status;
}

/* Index of the part in the selection. */
static uint32_t part_index(const struct cw_view *view, const struct cw_part *part)
{
	uint32_t i = 0;
	while (view->selection.scope.parts[i] != part)
		i++;
	return i;
}

static int tell_row(struct cw_view *view, struct held *held, cw_view_fn change, void *arg)
{
	uint32_t index = part_index(view, held->part);
	int status = 0;
	part_scan_lock(held->part);
	const struct row *row = same_row(held->part, held->row, held->incarnation);
	if (row)
		status = page_add(&view->page, index, held->row, row, clock_now(), /* tag */ NULL);
	part_scan_unlock(held->part);
	if (row && status == 0)
		status = selection_mask(&view->selection, page_cells(&view->page, 0), view->shown, &view->scratch);
	if (row && status == 0) { /* one that is gone meanwhile is told as such next time */
		held->told = true;
		held->dirty = false;
		status = give(view, change, arg, CW_VIEW_PUT, view->shown);
	}
	page_clear(&view->page);
	return status;
}

/* Rows that left, then rows that were pushed behind the limit. */
static int tell_leavers(struct cw_view *view, cw_view_fn change, void *arg)
{
	struct window *window = &view->window;
	int status = 0;
	while (window->gone_count > 0 && status == 0) {
		struct held *gone = &window->gone[window->gone_count - 1];
		status = tell_removed(view, gone, change, arg);
		if (status < 0)
			return status;
		free((char *)gone->position.key);
		window->gone_count--;
	}
	for (uint32_t i = window->limit; i < window->count && status == 0; i++) {
		struct held *held = &window->held[window->order[i]];
		if (held->told) {
			status = tell_removed(view, held, change, arg);
			held->told = status < 0;
		}
	}
	return status;
}

static int tell(struct cw_view *view, cw_view_fn change, void *arg)
{
	int status = 0;
	if (!view->reset_told) {
		view->reset_told = true;
		status = give(view, change, arg, CW_VIEW_RESET, NULL);
	}
	if (status == 0)
		status = tell_leavers(view, change, arg);
	struct window *window = &view->window;
	for (uint32_t i = 0; i < window->count && i < window->limit && status == 0; i++) {
		struct held *held = &window->held[window->order[i]];
		if (!held->told || held->dirty)
			status = tell_row(view, held, change, arg);
	}
	if (status == 0 && view->sync_due)
		status = give(view, change, arg, CW_VIEW_SYNC, NULL);
	return status;
}

/* ---- wait ---- */

void views_wake(struct table *table)
{
	pthread_mutex_lock(&table->tables->lock);
	for (struct cw_view *view = table->views; view; view = view->next)
		if (atomic_exchange(&view->armed, false))
			view->notify(view->arg);
	pthread_mutex_unlock(&table->tables->lock);
}

static bool has_news(struct cw_view *view)
{
	if (atomic_load(&view->selection.table->version) != view->version)
		return true;
	for (uint32_t i = 0; i < view->selection.scope.parts_count; i++)
		if (part_sequence(view->seen[i].part) != view->seen[i].sequence)
			return true;
	return false;
}

/* From here on a writer notifies. What changed before that is seen here, because a writer looks whether to wake after
 * it let go of the lock. If it woke us meanwhile the reader will come back anyway. */
static int wait_for_news(struct cw_view *view)
{
	atomic_store(&view->armed, true);
	for (uint32_t i = 0; i < view->selection.scope.parts_count; i++)
		atomic_store(&view->selection.scope.parts[i]->wake, true);
	return has_news(view) && atomic_exchange(&view->armed, false) ? CW_LATER : 0;
}

/* Rows of a timed view may have come or gone without a change. */
static bool is_time_to_fill(const struct cw_view *view)
{
	int64_t pause = FILL_SHARE * view->fill_ns > CW_SECOND ? FILL_SHARE * view->fill_ns : CW_SECOND;
	return view->selection.timed && clock_awake() - view->filled_at >= pause;
}

int view_next(struct cw_view *view, cw_view_fn change, void *arg)
{
	int64_t deadline = clock_awake() + BUDGET_NS;
	unsigned version = atomic_load(&view->selection.table->version);
	int status = 0;
	if (version != view->version) {
		status = take_parts(view);
		if (status == 0)
			view->version = version;
	} else if (!view->filling && (window_is_short(&view->window) || is_time_to_fill(view))) {
		status = begin_fill(view);
	}
	if (status == 0 && view->filling)
		status = fill(view, deadline);
	if (status == 0)
		status = follow(view, deadline);
	if (status == 0 && window_is_short(&view->window))
		return CW_LATER;
	if (status == 0)
		status = tell(view, change, arg);
	return status == 0 ? wait_for_news(view) : status;
}

/* ---- life ---- */

static int init(struct cw_view *view, const struct cw_query_spec *spec)
{
	uint32_t limit = spec->limit > 0 && spec->limit < CW_VIEW_ROWS_MAX ? (uint32_t)spec->limit : CW_VIEW_ROWS_MAX;
	/* Other than it is: the first view_next() asks for the parts, after it read the version. */
	view->version = atomic_load(&view->selection.table->version) - 1;
	view->shown = calloc(view->selection.fields_count, sizeof(*view->shown));
	if (!view->shown || page_init(&view->page, &view->selection) < 0 ||
	    window_init(&view->window, &view->selection, limit) < 0 ||
	    note_parts(view, /* before */ NULL, /* count */ 0) < 0)
		return -ENOMEM;
	return 0;
}

static void release(struct cw_view *view)
{
	scan_release(&view->scan);
	window_release(&view->window);
	page_release(&view->page);
	selection_release(&view->selection);
	free(view->scratch.bytes);
	free(view->shown);
	free(view->seen);
	free(view);
}

int view_open(struct tables *tables, const struct cw_query_spec *spec, bool phones_full, void (*notify)(void *arg),
	      void *arg, struct cw_view **ret_view, char error[CW_QUERY_ERROR_MAX])
{
	struct cw_view *view = calloc(1, sizeof(*view));
	if (!view) {
		snprintf(error, CW_QUERY_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	view->notify = notify;
	view->arg = arg;
	int status = selection_init(&view->selection, tables, spec, phones_full, error);
	if (status == 0 && (status = init(view, spec)) < 0)
		snprintf(error, CW_QUERY_ERROR_MAX, "out of memory");
	if (status < 0) {
		release(view);
		return status;
	}
	pthread_mutex_lock(&tables->lock);
	view->next = view->selection.table->views;
	view->selection.table->views = view;
	pthread_mutex_unlock(&tables->lock);
	*ret_view = view;
	notify(arg); /* all its rows are there to be pulled */
	return 0;
}

const struct cw_column *view_columns(struct cw_view *view, uint32_t *ret_count)
{
	*ret_count = view->selection.shown;
	return view->selection.fields;
}

void view_close(struct cw_view *view)
{
	if (!view)
		return;
	struct tables *tables = view->selection.tables;
	pthread_mutex_lock(&tables->lock);
	struct cw_view **link = &view->selection.table->views;
	while (*link != view)
		link = &(*link)->next;
	*link = view->next;
	pthread_mutex_unlock(&tables->lock);
	release(view);
}
