/* SPDX-License-Identifier: MIT
 *
 * The cells of a row as bytes in history.db, and back. A cell is a letter and its value: nothing (n), an integer (i,
 * 8 bytes), a number (r, 8 bytes), a text (t, 4 bytes of length, the text); numbers in the machine's order, for the
 * file stays on it. Reading trusts nothing: a file may be damaged. Pure. Private to core/history.
 */
#ifndef CALLWATCH_CORE_ROW_BLOB_H
#define CALLWATCH_CORE_ROW_BLOB_H

#include "callwatch/table.h"

#include <stddef.h>

/* Owned by the caller (free); NULL: no memory. */
uint8_t *row_blob_write(const struct cw_cell *cells, uint32_t count, size_t *ret_size);
/* 0, or -EINVAL: these are not `count` cells. Texts are borrowed from the bytes. */
int row_blob_read(const uint8_t *bytes, size_t size, struct cw_cell *ret_cells, uint32_t count);

#endif
