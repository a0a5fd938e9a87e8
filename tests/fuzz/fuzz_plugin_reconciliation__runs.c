/* SPDX-License-Identifier: MIT
 *
 * The file of runs, with its hash made right, so that what lies behind it is reached: no more than there is room for,
 * and what was understood is written and read again as the same.
 */
#include "runs.h"

#include <sodium/crypto_generichash.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 20, HASH = 16 };

static void same(const struct runs *runs)
{
	size_t length, length_again;
	struct runs again;
	char *bytes = runs_write(runs, &length);
	if (!bytes || runs_init(&again, ROOM) < 0 || runs_read(&again, bytes, length, 1, 1) < 0)
		abort();
	char *bytes_again = runs_write(&again, &length_again);
	if (!bytes_again || length != length_again || memcmp(bytes, bytes_again, length) != 0)
		abort();
	runs_release(&again);
	free(bytes);
	free(bytes_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct runs runs;
	unsigned char hash[HASH];
	char hex[2 * HASH + 1], *bytes = malloc(size + 100);
	crypto_generichash(hash, sizeof(hash), data, size, /* key */ NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	size_t head = (size_t)snprintf(bytes, 100, "callwatch runs 1 %s\n", hex);
	memcpy(bytes + head, data, size);
	bytes[head + size] = '\n';
	if (runs_init(&runs, ROOM) < 0)
		abort();
	if (runs_read(&runs, bytes, head + size + 1, 1, 1) == 0)
		same(&runs);
	if (runs.count > ROOM)
		abort();
	runs_release(&runs);
	free(bytes);
	return 0;
}
