/* SPDX-License-Identifier: MIT
 *
 * A dead letter: read, made ready to be tried anew, its error normalised. What must hold: what can be reset is readable
 * before and after, due no later than said, and keeps everything but two members; a group's name is short, valid and
 * holds no long number.
 */
#include "message.h"
#include "normalise.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static void check_group(const char *error, size_t length)
{
	char group[GROUP_MAX];
	size_t n = normalise(error, length, group), digits = 0;
	if (n >= GROUP_MAX || strlen(group) != n || !text_is_utf8(group, n))
		abort();
	for (size_t i = 0; i < n; i++) {
		digits = group[i] >= '0' && group[i] <= '9' ? digits + 1 : 0;
		if (digits > 5)
			abort();
	}
}

static void check_reset(const char *raw, size_t length)
{
	const int64_t wall = 1761480000 * CW_SECOND;
	struct message before, after;
	char *made;
	size_t made_length;
	message_read(raw, length, &before);
	if (message_reset(raw, length, wall, &made, &made_length) == 0) {
		message_read(made, made_length, &after);
		if (!before.is_readable || !after.is_readable || after.retry_count != 0 ||
		    after.max_retries != before.max_retries || (after.has_due && after.due > wall))
			abort();
		if (!json_equal(json_object_get(before.root, "original_data"),
				json_object_get(after.root, "original_data")) &&
		    json_object_get(before.root, "original_data"))
			abort();
		message_release(&after);
		free(made);
	}
	message_release(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char shown[512], *raw = malloc(size + 1); /* of its own, so that a byte read too far is seen */
	memcpy(raw, data, size);
	struct message message;
	message_read(raw, size, &message);
	if (message.is_readable == (message.why[0] != '\0'))
		abort();
	if (message.error.text)
		check_group(message.error.text, message.error.length);
	check_group(raw, size);
	if (message_shown(raw, size, shown, sizeof(shown)) > size)
		abort();
	message_release(&message);
	check_reset(raw, size);
	free(raw);
	return 0;
}
