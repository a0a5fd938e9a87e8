/* SPDX-License-Identifier: MIT
 *
 * What a UNIX socket may answer instead of collectd. However the bytes arrive in pieces, the replies are the same, none
 * is longer than what is kept, and there are no more of them than lines.
 */
#include "connect/collectd-replies.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct seen {
	uint64_t hash; /* of all replies, in order */
	uint32_t count;
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static int see(void *arg, int32_t status, const char *text)
{
	struct seen *seen = arg;
	size_t length = strlen(text);
	must(length <= REPLY_KEPT_MAX && status <= REPLY_LINES_MAX && !memchr(text, '\n', length));
	seen->count++;
	seen->hash = (seen->hash ^ (uint64_t)(uint32_t)status) * 0x100000001b3u;
	for (size_t i = 0; i < length; i++)
		seen->hash = (seen->hash ^ (unsigned char)text[i]) * 0x100000001b3u;
	return 0;
}

static int feed(const char *bytes, size_t size, size_t piece, struct seen *seen)
{
	struct replies replies = {.length = 0};
	int status = 0;
	for (size_t at = 0; at < size && status == 0; at += piece)
		status = replies_feed(&replies, bytes + at, size - at < piece ? size - at : piece, see, seen);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0}, pieces = {0};
	size_t newlines = 0;
	if (size < 1)
		return 0;
	const char *bytes = (const char *)data + 1; /* the first says how it is cut */
	for (size_t i = 0; i + 1 < size; i++)
		newlines += bytes[i] == '\n';
	int status = feed(bytes, size - 1, size, &whole);
	must(whole.count <= newlines);
	must(feed(bytes, size - 1, 1 + data[0] % 97, &pieces) == status);
	must(pieces.hash == whole.hash && pieces.count == whole.count);
	return 0;
}
