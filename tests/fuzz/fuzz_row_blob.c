/* SPDX-License-Identifier: MIT
 *
 * Cells out of history.db, which may be damaged: what is read as a row can be written, and is the same bytes again.
 */
#include "row_blob.h"

#include <stdlib.h>
#include <string.h>

enum { CELLS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_cell cells[CELLS_MAX];
	for (uint32_t count = 0; count <= CELLS_MAX; count++) {
		size_t written = 0;
		if (row_blob_read(data, size, cells, count) < 0)
			continue;
		uint8_t *bytes = row_blob_write(cells, count, &written);
		if (!bytes || written != size || memcmp(bytes, data, size) != 0)
			abort();
		free(bytes);
	}
	return 0;
}
