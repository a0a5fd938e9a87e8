/* SPDX-License-Identifier: MIT
 *
 * See row.h. Cells are not aligned; memcpy reads and writes them, which compiles to plain loads.
 */
#include "row.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t widths[] = {[STORED_8] = 8, [STORED_1] = 1, [STORED_SHARED] = 4, [STORED_TEXT] = 2};

static enum stored stored_as(const struct cw_column *column)
{
	switch (column->type) {
	case CW_TEXT:
		return column->flags & CW_COLUMN_REPEATS && !(column->flags & CW_COLUMN_KEY) ? STORED_SHARED
											     : STORED_TEXT;
	case CW_BOOL:
	case CW_CHOICE:
		return STORED_1;
	default:
		return STORED_8;
	}
}

static uint16_t count_choices(const struct cw_column *column)
{
	uint16_t n = 0;
	while (column->type == CW_CHOICE && column->choices && column->choices[n])
		n++;
	return n;
}

/* The key column's index, or -1 unless there is exactly one, a text. */
static int64_t find_key(const struct cw_column *columns, uint32_t count)
{
	int64_t key = -1;
	for (uint32_t i = 0; i < count; i++) {
		if (!(columns[i].flags & CW_COLUMN_KEY))
			continue;
		if (key >= 0 || columns[i].type != CW_TEXT)
			return -1;
		key = i;
	}
	return key;
}

int layout_init(struct layout *layout, const struct cw_column *columns, uint32_t count)
{
	int64_t key = find_key(columns, count);
	if (key < 0 || count > COLUMNS_MAX)
		return -EINVAL;
	*layout = (struct layout){.columns = columns, .count = count, .key = (uint32_t)key};
	layout->cells = calloc(count, sizeof(*layout->cells));
	if (!layout->cells)
		return -ENOMEM;
	layout->fixed = (count + 7) / 8;
	for (uint32_t i = 0; i < count; i++) {
		struct layout_cell *cell = &layout->cells[i];
		cell->stored = (uint8_t)stored_as(&columns[i]);
		cell->offset = (uint16_t)layout->fixed;
		cell->choices = count_choices(&columns[i]);
		layout->fixed += widths[cell->stored];
		layout->bytes_max += cell->stored == STORED_TEXT ? TEXT_BYTES_MAX : 0;
		if (cell->choices > UINT8_MAX) {
			layout_release(layout);
			return -EINVAL;
		}
	}
	layout->bytes_max += layout->fixed;
	return 0;
}

void layout_release(struct layout *layout)
{
	free(layout->cells);
	*layout = (struct layout){0};
}

static bool is_known(const uint8_t *bytes, uint32_t column)
{
	return bytes[column / 8] >> (column % 8) & 1;
}

static void set_known(uint8_t *bytes, uint32_t column, bool known)
{
	uint8_t bit = (uint8_t)(1 << (column % 8));
	bytes[column / 8] = (uint8_t)(known ? bytes[column / 8] | bit : bytes[column / 8] & ~bit);
}

static struct cw_cell fit_number(const struct cw_cell *cell, bool real)
{
	if (cell->type == CW_CELL_INTEGER)
		return real ? (struct cw_cell){.type = CW_CELL_REAL, .real = (double)cell->integer} : *cell;
	return cell->type == CW_CELL_REAL && real && isfinite(cell->real) ? *cell : (struct cw_cell){0};
}

struct cw_cell row_fit(const struct layout *layout, uint32_t column, const struct cw_cell *cell)
{
	struct cw_cell fit = *cell;
	switch (layout->columns[column].type) {
	case CW_TEXT:
		if (cell->type != CW_CELL_TEXT)
			return (struct cw_cell){0};
		fit.length = cell->length > TEXT_BYTES_MAX ? TEXT_BYTES_MAX : cell->length;
		return fit;
	case CW_REAL:
		return fit_number(cell, /* real */ true);
	case CW_BOOL:
		fit.integer = cell->integer != 0;
		return cell->type == CW_CELL_INTEGER ? fit : (struct cw_cell){0};
	case CW_CHOICE:
		if (cell->type != CW_CELL_INTEGER || cell->integer < 0 ||
		    cell->integer >= layout->cells[column].choices)
			return (struct cw_cell){0};
		return fit;
	default:
		return fit_number(cell, /* real */ false);
	}
}

static uint16_t text_length(const struct layout *layout, const uint8_t *bytes, uint32_t column)
{
	uint16_t length;
	memcpy(&length, bytes + layout->cells[column].offset, sizeof(length));
	return length;
}

static uint32_t shared_number(const struct layout *layout, const uint8_t *bytes, uint32_t column)
{
	uint32_t number;
	memcpy(&number, bytes + layout->cells[column].offset, sizeof(number));
	return number;
}

/* The next text column that is the row's own, the key first, then in column order; `count` at the end. */
static uint32_t next_text(const struct layout *layout, uint32_t column)
{
	uint32_t i = column == layout->key ? 0 : column + 1;
	while (i < layout->count && (i == layout->key || layout->cells[i].stored != STORED_TEXT))
		i++;
	return i;
}

static uint32_t text_offset(const struct layout *layout, const uint8_t *bytes, uint32_t column)
{
	uint32_t offset = layout->fixed;
	for (uint32_t i = layout->key; i != column; i = next_text(layout, i))
		offset += text_length(layout, bytes, i);
	return offset;
}

size_t row_size(const struct layout *layout, const uint8_t *bytes)
{
	return text_offset(layout, bytes, layout->count);
}

const char *row_key_text(const struct layout *layout, const uint8_t *bytes, uint32_t *ret_length)
{
	*ret_length = text_length(layout, bytes, layout->key);
	return (const char *)bytes + layout->fixed;
}

static void release_shared(const struct layout *layout, struct dict *dict, const uint8_t *bytes, uint32_t before)
{
	for (uint32_t i = 0; i < before; i++)
		if (layout->cells[i].stored == STORED_SHARED && is_known(bytes, i))
			dict_unref(dict, shared_number(layout, bytes, i));
}

void row_unpack(const struct layout *layout, struct dict *dict, const uint8_t *bytes)
{
	release_shared(layout, dict, bytes, layout->count);
}

/* Writes a known, fitting cell of fixed width. 0 or -ENOMEM. */
static int write_cell(const struct layout *layout, struct dict *dict, uint8_t *bytes, uint32_t column,
		      const struct cw_cell *cell)
{
	uint8_t *place = bytes + layout->cells[column].offset;
	switch ((enum stored)layout->cells[column].stored) {
	case STORED_8:
		memcpy(place, &cell->integer, sizeof(cell->integer)); /* or the bits of `real` */
		return 0;
	case STORED_1:
		*place = (uint8_t)cell->integer;
		return 0;
	case STORED_TEXT:
		memcpy(place, &(uint16_t){(uint16_t)cell->length}, sizeof(uint16_t));
		return 0;
	case STORED_SHARED:
		break;
	}
	int64_t number = dict_add(dict, cell->text, cell->length);
	if (number < 0)
		return -ENOMEM;
	memcpy(place, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
	return 0;
}

int64_t row_pack(const struct layout *layout, struct dict *dict, const struct cw_cell *cells, uint8_t *bytes)
{
	memset(bytes, 0, layout->fixed);
	for (uint32_t i = 0; i < layout->count; i++) {
		struct cw_cell cell = row_fit(layout, i, &cells[i]);
		if (cell.type == CW_CELL_NULL)
			continue;
		if (write_cell(layout, dict, bytes, i, &cell) < 0) {
			release_shared(layout, dict, bytes, i);
			return -ENOMEM;
		}
		set_known(bytes, i, true);
	}
	uint32_t offset = layout->fixed;
	for (uint32_t i = layout->key; i < layout->count; i = next_text(layout, i)) {
		uint16_t length = text_length(layout, bytes, i);
		if (length > 0)
			memcpy(bytes + offset, cells[i].text, length);
		offset += length;
	}
	return offset;
}

void row_cell(const struct layout *layout, const struct dict *dict, const uint8_t *bytes, uint32_t column,
	      struct cw_cell *ret_cell)
{
	*ret_cell = (struct cw_cell){0};
	if (!is_known(bytes, column))
		return;
	const uint8_t *place = bytes + layout->cells[column].offset;
	switch ((enum stored)layout->cells[column].stored) {
	case STORED_8:
		ret_cell->type = layout->columns[column].type == CW_REAL ? CW_CELL_REAL : CW_CELL_INTEGER;
		memcpy(&ret_cell->integer, place, sizeof(ret_cell->integer));
		return;
	case STORED_1:
		ret_cell->type = CW_CELL_INTEGER;
		ret_cell->integer = *place;
		return;
	case STORED_SHARED:
		ret_cell->type = CW_CELL_TEXT;
		ret_cell->text = dict_text(dict, shared_number(layout, bytes, column), &ret_cell->length);
		return;
	case STORED_TEXT:
		ret_cell->type = CW_CELL_TEXT;
		ret_cell->length = text_length(layout, bytes, column);
		ret_cell->text = (const char *)bytes + text_offset(layout, bytes, column);
		return;
	}
}

/* A text of the row's own, of which only the bytes may change. */
static int set_text(const struct layout *layout, uint8_t *bytes, uint32_t column, const struct cw_cell *cell)
{
	uint32_t length = cell->type == CW_CELL_TEXT ? cell->length : 0;
	if (length != text_length(layout, bytes, column))
		return CW_LATER;
	if (length > 0)
		memcpy(bytes + text_offset(layout, bytes, column), cell->text, length);
	set_known(bytes, column, cell->type != CW_CELL_NULL);
	return 0;
}

int row_set(const struct layout *layout, struct dict *dict, uint8_t *bytes, uint32_t column, const struct cw_cell *cell)
{
	struct cw_cell fit = row_fit(layout, column, cell);
	enum stored stored = layout->cells[column].stored;
	if (stored == STORED_TEXT)
		return set_text(layout, bytes, column, &fit);
	int64_t old =
		stored == STORED_SHARED && is_known(bytes, column) ? (int64_t)shared_number(layout, bytes, column) : -1;
	if (fit.type != CW_CELL_NULL && write_cell(layout, dict, bytes, column, &fit) < 0)
		return -ENOMEM;
	if (fit.type == CW_CELL_NULL) /* so that equal rows are equal bytes */
		memset(bytes + layout->cells[column].offset, 0, widths[stored]);
	if (old >= 0)
		dict_unref(dict, (uint32_t)old);
	set_known(bytes, column, fit.type != CW_CELL_NULL);
	return 0;
}
