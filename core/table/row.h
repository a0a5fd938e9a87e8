/* SPDX-License-Identifier: MIT
 *
 * How a row is packed into one block of bytes, and how its cells come out again. Private to the core's tables.
 *
 *   | bitmap of what is known | fixed-width cells of all columns | key text | other texts, in column order |
 *
 * A fixed-width cell is 8 bytes (numbers, times, instants), 1 byte (choices, booleans), 4 bytes (number of a shared
 * text) or 2 bytes (length of a text of the row's own). So a heartbeat changes 8 bytes in place.
 *
 * What does not fit its column becomes not known: a text where a number belongs, a choice that does not exist, a number
 * that is not finite. Texts are kept byte for byte, cut at TEXT_BYTES_MAX.
 */
#ifndef CALLWATCH_CORE_ROW_H
#define CALLWATCH_CORE_ROW_H

#include "callwatch/table.h"
#include "dict.h"

enum { TEXT_BYTES_MAX = 4096, COLUMNS_MAX = 256 };

enum stored { STORED_8, STORED_1, STORED_SHARED, STORED_TEXT };

struct layout_cell {
	uint16_t offset;
	uint8_t stored;   /* enum stored */
	uint16_t choices; /* of a CHOICE */
};

struct layout {
	const struct cw_column *columns; /* borrowed */
	struct layout_cell *cells;
	uint32_t count;
	uint32_t key;       /* index of the key column */
	uint32_t fixed;     /* bytes before the texts */
	uint32_t bytes_max; /* a row never needs more */
};

/* 0, -EINVAL (not exactly one key column of type text, too many columns or choices), -ENOMEM. */
int layout_init(struct layout *layout, const struct cw_column *columns, uint32_t count);
void layout_release(struct layout *layout);

/* Packs into `bytes` (bytes_max) and takes references to shared texts; its size, or -ENOMEM with no reference taken. */
int64_t row_pack(const struct layout *layout, struct dict *dict, const struct cw_cell *cells, uint8_t *bytes);
/* Lets go of the row's shared texts. */
void row_unpack(const struct layout *layout, struct dict *dict, const uint8_t *bytes);
size_t row_size(const struct layout *layout, const uint8_t *bytes);
const char *row_key_text(const struct layout *layout, const uint8_t *bytes, uint32_t *ret_length);
/* The cell as it was stored (instants are integers); its text is borrowed from the row or the dictionary. */
void row_cell(const struct layout *layout, const struct dict *dict, const uint8_t *bytes, uint32_t column,
	      struct cw_cell *ret_cell);
/* Changes a cell in place. 0, CW_LATER: the text has another length and the row must be packed anew, -ENOMEM. */
int row_set(const struct layout *layout, struct dict *dict, uint8_t *bytes, uint32_t column,
	    const struct cw_cell *cell);
/* What of `cell` fits the column. */
struct cw_cell row_fit(const struct layout *layout, uint32_t column, const struct cw_cell *cell);

#endif
