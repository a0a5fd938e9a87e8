/* SPDX-License-Identifier: MIT
 *
 * Cursors come back from anybody: whatever the bytes, one that callwatch did not write is refused.
 */
#include "cursor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tables *tables;
	if (!tables)
		tables = tables_new(NULL, NULL);
	char *text = malloc(size + 1);
	if (!tables || !text)
		abort();
	memcpy(text, data, size);
	text[size] = 0;
	struct cursor cursor;
	static const uint8_t question[QUESTION_BYTES];
	if (cursor_read(tables, text, question, &cursor) == 0)
		abort();
	free(text);
	return 0;
}
