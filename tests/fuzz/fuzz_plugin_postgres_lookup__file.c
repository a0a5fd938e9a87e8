/* SPDX-License-Identifier: MIT
 *
 * The file of names, with its check made right, so that what lies behind it is reached: never out of bounds, no more
 * than there is room for, and what was understood is written and read again as the same.
 */
#include "file.h"

#include <sodium/crypto_generichash.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK = 16, MAGIC = 8, ROOM = 50 };

static const uint8_t key[NAMES_HASH_KEY_BYTES], ours[FILE_FOR_BYTES];

static void same(const struct names *names)
{
	size_t length;
	struct names again;
	uint8_t *bytes = file_make(ours, names, &length);
	if (!bytes || names_init(&again, ROOM, key) < 0)
		abort();
	if (file_parse(bytes, length, ours, &again, 1, 1) != (int64_t)names->counts[NAME_KNOWN])
		abort();
	for (const struct name *name = names->oldest; name; name = name->newer) {
		const struct name *other = names_find(&again, name->key, name->key_length);
		if (!other || other->as_of != name->as_of || strcmp(other->value, name->value) != 0)
			abort();
	}
	names_release(&again);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct names names;
	uint8_t *bytes = malloc(size + 1);
	memcpy(bytes, data, size);
	if (size >= MAGIC + FILE_FOR_BYTES + CHECK) {
		memset(bytes + MAGIC, 0, FILE_FOR_BYTES);
		crypto_generichash(bytes + size - CHECK, CHECK, bytes, size - CHECK, NULL, 0);
	}
	names_init(&names, ROOM, key);
	if (file_parse(bytes, size, ours, &names, 1, 1) >= 0)
		same(&names);
	if (names.count > ROOM)
		abort();
	names_release(&names);
	free(bytes);
	return 0;
}
