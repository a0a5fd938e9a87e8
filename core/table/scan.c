/* SPDX-License-Identifier: MIT
 *
 * See scan.h. What of a condition takes no time is decided under the lock, where the row lies; the rest on a copy.
 */
#include "scan.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>

int scan_init(struct scan *scan, const struct selection *selection, bool sorted, uint64_t limit)
{
	*scan = (struct scan){.selection = selection, .sorted = sorted, .to = clock_wall()};
	sorter_init(&scan->sorter, selection, limit);
	return page_init(&scan->page, selection);
}

void scan_release(struct scan *scan)
{
	sorter_release(&scan->sorter);
	page_release(&scan->page);
	free(scan->scratch.bytes);
	*scan = (struct scan){0};
}

static int sort_in(struct scan *scan, const struct item *item)
{
	scan->total++;
	if (scan->after && selection_compare(scan->selection, &item->position, scan->after) <= 0)
		return 0;
	return sorter_add(&scan->sorter, item);
}

/* The part's lock is held. 0 or -ENOMEM. */
static int look_at(struct scan *scan, uint32_t number, int64_t now)
{
	const struct entry *entry = part_entry(scan->selection->scope.parts[scan->part], number);
	const struct row *row = entry_row(entry);
	if (!row || !selection_quick(scan->selection, scan->part, row, now))
		return 0;
	if (!scan->sorted || scan->selection->slow)
		return page_add(&scan->page, scan->part, number, row, now, /* tag */ NULL);
	struct item item = {.part = scan->part, .row = number, .incarnation = entry->incarnation};
	selection_position(scan->selection, scan->part, row, &item.position);
	return sort_in(scan, &item);
}

static int walk(struct scan *scan, int64_t deadline)
{
	struct cw_part *part = scan->selection->scope.parts[scan->part];
	int status = 0;
	part_scan_lock(part);
	int64_t slice_end = clock_awake() + SLICE_NS, now = tables_now(scan->selection->tables);
	slice_end = slice_end < deadline ? slice_end : deadline;
	if (!scan->part_begun || scan->end > part->entries) /* it may have been forgotten meanwhile */
		scan->end = part->entries;
	scan->part_begun = true;
	while (status == 0 && scan->row < scan->end && !page_is_full(&scan->page) && !sorter_is_full(&scan->sorter)) {
		status = look_at(scan, scan->row++, now);
		if (scan->row % SLICE_ROWS == 0 && part_scan_pause(part, slice_end))
			break;
	}
	part_scan_unlock(part);
	scan->to = clock_wall();
	if (scan->row >= scan->end) {
		scan->part++;
		scan->row = 0;
		scan->part_begun = false;
	}
	return status;
}

/* The lock is kept over rows of one part that follow each other. */
static struct cw_part *lock_next(struct scan *scan, struct cw_part *locked, uint32_t next)
{
	struct cw_part *part = scan->selection->scope.parts[next];
	if (part == locked)
		return part;
	if (locked)
		part_scan_unlock(locked);
	part_scan_lock(part);
	return part;
}

const struct row *same_row(const struct cw_part *part, uint32_t number, uint32_t incarnation)
{
	const struct entry *entry = number < part->entries ? part_entry(part, number) : NULL;
	return entry && entry->incarnation == incarnation ? entry_row(entry) : NULL;
}

/* Slow conditions: what is on the page is decided now, without the lock, then sorted in. Its place in
 * the order is read again, as the page has only cells as they go out. */
static int sort_page(struct scan *scan)
{
	bool match[PAGE_ROWS];
	for (uint32_t i = 0; i < scan->page.count; i++)
		match[i] = selection_slow(scan->selection, page_cells(&scan->page, i), &scan->scratch);
	struct cw_part *locked = NULL;
	int status = 0;
	for (uint32_t i = 0; i < scan->page.count && status == 0; i++) {
		const struct page_row *from = &scan->page.rows[i];
		if (!match[i]) /* NOLINT(clang-analyzer-core.uninitialized.Branch): the page has kept its count */
			continue;
		locked = lock_next(scan, locked, from->part);
		const struct row *row = same_row(locked, from->row, from->incarnation);
		if (!row)
			continue;
		struct item item = {.part = from->part, .row = from->row, .incarnation = from->incarnation};
		selection_position(scan->selection, from->part, row, &item.position);
		status = sort_in(scan, &item);
	}
	if (locked)
		part_scan_unlock(locked);
	page_clear(&scan->page);
	return status;
}

int scan_step(struct scan *scan, int64_t deadline, bool *ret_end)
{
	*ret_end = scan->part >= scan->selection->scope.parts_count;
	int status = *ret_end ? 0 : walk(scan, deadline);
	if (status == 0 && scan->sorted)
		status = sort_page(scan);
	return status == 0 && sorter_is_full(&scan->sorter) ? sorter_end_run(&scan->sorter) : status;
}

/* The next items in order. 0 or -ENOMEM. */
static int take_due(struct scan *scan)
{
	scan->due_count = scan->due_next = 0;
	while (scan->due_count < PAGE_ROWS) {
		const struct item *item = NULL;
		if (sorter_next(&scan->sorter, &item) < 0)
			return -ENOMEM;
		if (!item)
			break;
		scan->due[scan->due_count++] = item;
	}
	return 0;
}

int scan_read(struct scan *scan, bool *ret_end)
{
	struct cw_part *locked = NULL;
	int status = scan->due_next == scan->due_count ? take_due(scan) : 0;
	int64_t now = tables_now(scan->selection->tables);
	*ret_end = status == 0 && scan->due_count == 0;
	while (status == 0 && scan->due_next < scan->due_count && !page_is_full(&scan->page)) {
		const struct item *item = scan->due[scan->due_next++];
		locked = lock_next(scan, locked, item->part);
		const struct row *row = same_row(locked, item->row, item->incarnation);
		if (row && selection_quick(scan->selection, item->part, row, now))
			status = page_add(&scan->page, item->part, item->row, row, now, item);
	}
	if (locked)
		part_scan_unlock(locked);
	return status;
}
