/* SPDX-License-Identifier: MIT
 *
 * Any bytes through everything that fills a buffer, at any size: stays within it, terminates, gives valid UTF-8.
 */
#include "text.h"

#include <stdlib.h>
#include <string.h>

static void check(size_t (*fill)(char *, size_t, const char *, size_t), size_t size, const char *text, size_t length)
{
	char *buffer = malloc(size); /* exactly: the sanitizer sees one byte too many */
	size_t n = fill(buffer, size, text, length);
	if (n >= size || strlen(buffer) != n || !text_is_utf8(buffer, n))
		abort();
	free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 4096)
		return 0;
	size_t room = 1 + (((size_t)data[0] << 8 | data[1]) & 0x7fff);
	const char *text = (const char *)data + 2;
	check(text_utf8, room, text, size - 2);
	check(text_visible, room, text, size - 2);
	check(text_json, room, text, size - 2);
	check(text_mask_phone, room, text, size - 2);
	check(text_mask_phones_in, room, text, size - 2);
	return 0;
}
