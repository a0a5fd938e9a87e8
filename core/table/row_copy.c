/* SPDX-License-Identifier: MIT
 *
 * A row as it was at a moment, in one block: its cells and their texts, to be read on another thread. It is made under
 * the part's lock by the thread that changes the row, so it only copies; what is to be masked or computed is the
 * reader's.
 */
#include "clock.h"
#include "part.h"

#include <stdlib.h>
#include <string.h>

struct row_copy {
	atomic_int references;
	const struct cw_table_decl *decl;
	const struct cw_column *columns;
	uint32_t count;
	struct cw_cell cells[]; /* and the texts */
};

struct row_copy *row_copy_new(const struct cw_part *part, const struct row *row)
{
	struct cw_cell cells[COLUMNS_MAX];
	uint32_t count = part->columns_count;
	size_t texts = 0;
	for (uint32_t i = 0; i < count; i++) {
		row_cell(&part->layout, &part->dict, row->bytes, i, &cells[i]);
		texts += cells[i].type == CW_CELL_TEXT ? cells[i].length : 0;
	}
	struct row_copy *copy = malloc(sizeof *copy + count * sizeof *cells + texts);
	if (!copy)
		return NULL;
	atomic_init(&copy->references, 1);
	copy->decl = part->table->decl;
	copy->columns = part->columns;
	copy->count = count;
	memcpy(copy->cells, cells, count * sizeof *cells);
	char *end = (char *)(copy->cells + count);
	for (uint32_t i = 0; i < count; i++) {
		if (cells[i].type != CW_CELL_TEXT || cells[i].length == 0)
			continue;
		copy->cells[i].text = memcpy(end, cells[i].text, cells[i].length);
		end += cells[i].length;
	}
	return copy;
}

struct row_copy *row_copy_ref(struct row_copy *copy)
{
	if (copy)
		atomic_fetch_add_explicit(&copy->references, 1, memory_order_relaxed);
	return copy;
}

void row_copy_unref(struct row_copy *copy)
{
	if (copy && atomic_fetch_sub_explicit(&copy->references, 1, memory_order_acq_rel) == 1)
		free(copy);
}

const struct cw_table_decl *row_copy_decl(const struct row_copy *copy)
{
	return copy->decl;
}

const struct cw_column *row_copy_columns(const struct row_copy *copy, uint32_t *ret_count)
{
	*ret_count = copy->count;
	return copy->columns;
}

const struct cw_cell *row_copy_cells(const struct row_copy *copy)
{
	return copy->cells;
}

/* Parts are never freed before the tables, so that the list can be walked without its lock once its head is read. */
struct row_copy *tables_copy_row(struct tables *tables, const char *name, const char *instance, const char *key)
{
	struct table *table = tables_find(tables, name);
	struct row_copy *copy = NULL;
	if (!table)
		return NULL;
	pthread_mutex_lock(&tables->lock);
	struct cw_part *part = table->parts;
	pthread_mutex_unlock(&tables->lock);
	for (; part && !copy; part = part->next) {
		if (strcmp(part->instance, instance) != 0)
			continue;
		part_scan_lock(part);
		int64_t number = part_find(part, key, strlen(key));
		if (number >= 0)
			copy = row_copy_new(part, entry_row(part_entry(part, (uint32_t)number)));
		part_scan_unlock(part);
	}
	return copy;
}

void tables_keep_rows(struct tables *tables)
{
	atomic_store(&tables->keeps_rows, true);
}

void tables_freeze(struct tables *tables, int64_t now)
{
	tables->frozen_at = now;
}

int64_t tables_now(const struct tables *tables)
{
	return tables->frozen_at ? tables->frozen_at : clock_now();
}
