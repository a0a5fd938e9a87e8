/* SPDX-License-Identifier: MIT
 *
 * See row_blob.h.
 */
#include "row_blob.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char letters[] = {
	[CW_CELL_NULL] = 'n', [CW_CELL_TEXT] = 't', [CW_CELL_INTEGER] = 'i', [CW_CELL_REAL] = 'r'};

static size_t size_of(const struct cw_cell *cell)
{
	switch (cell->type) {
	case CW_CELL_TEXT:
		return 1 + sizeof cell->length + cell->length;
	case CW_CELL_INTEGER:
	case CW_CELL_REAL:
		return 1 + sizeof cell->integer;
	case CW_CELL_NULL:
		break;
	}
	return 1;
}

static uint8_t *write_cell(uint8_t *end, const struct cw_cell *cell)
{
	*end++ = (uint8_t)letters[cell->type];
	if (cell->type == CW_CELL_TEXT) {
		memcpy(end, &cell->length, sizeof cell->length);
		end += sizeof cell->length;
		if (cell->length > 0)
			memcpy(end, cell->text, cell->length);
		end += cell->length;
	} else if (cell->type != CW_CELL_NULL) {
		memcpy(end, &cell->integer, sizeof cell->integer);
		end += sizeof cell->integer;
	}
	return end;
}

uint8_t *row_blob_write(const struct cw_cell *cells, uint32_t count, size_t *ret_size)
{
	size_t size = 0;
	for (uint32_t i = 0; i < count; i++)
		size += size_of(&cells[i]);
	uint8_t *bytes = malloc(size + 1), *end = bytes;
	if (!bytes)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		end = write_cell(end, &cells[i]);
	*ret_size = size;
	return bytes;
}

/* What a cell takes, behind its letter; 0: it is not whole. */
static size_t read_value(const uint8_t *bytes, size_t size, struct cw_cell *cell)
{
	if (cell->type != CW_CELL_TEXT) {
		if (size < sizeof cell->integer)
			return 0;
		memcpy(&cell->integer, bytes, sizeof cell->integer);
		return sizeof cell->integer;
	}
	if (size < sizeof cell->length)
		return 0;
	memcpy(&cell->length, bytes, sizeof cell->length);
	cell->text = (const char *)bytes + sizeof cell->length;
	return cell->length > size - sizeof cell->length ? 0 : sizeof cell->length + cell->length;
}

int row_blob_read(const uint8_t *bytes, size_t size, struct cw_cell *ret_cells, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const char *letter = size > 0 ? memchr(letters, *bytes, sizeof letters) : NULL;
		if (!letter)
			return -EINVAL;
		ret_cells[i] = (struct cw_cell){.type = (enum cw_cell_type)(letter - letters)};
		bytes++;
		size--;
		size_t value = ret_cells[i].type == CW_CELL_NULL ? 0 : read_value(bytes, size, &ret_cells[i]);
		if (ret_cells[i].type != CW_CELL_NULL && value == 0)
			return -EINVAL;
		bytes += value;
		size -= value;
	}
	return size == 0 ? 0 : -EINVAL;
}
