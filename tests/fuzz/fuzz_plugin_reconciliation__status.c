/* SPDX-License-Identifier: MIT
 *
 * Answers of a status endpoint, one after the other (a newline parts them), judged a second apart: never out of bounds,
 * and what is believed has a time that a run can have.
 */
#include "status.h"

#include <stdlib.h>
#include <string.h>

static const int64_t noon = 1795608000 * CW_SECOND;

static void one(struct judge *judge, const uint8_t *data, size_t size, int64_t wall)
{
	struct status status;
	char why[STATUS_WHY_MAX] = "", *bytes = malloc(size ? size : 1);
	memcpy(bytes, data, size);
	int code = status_read(bytes, size, "canary", /* phones_full */ false, &status, why);
	free(bytes);
	if (code < 0) {
		if (!why[0])
			abort();
		return;
	}
	bool believed = judge_believes(judge, &status, wall, 60 * CW_SECOND, /* is_missed */ size % 2, why);
	if (!believed && !why[0])
		abort();
	if (strstr(status.report.error, "canary") || strstr(status.word, "canary"))
		abort();
	if (believed && status.has_last_run &&
	    (status.last_run_at <= 0 || status.last_run_at > wall + 86400 * CW_SECOND))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct judge judge = {.has_last = false};
	for (int64_t wall = noon; size; wall += CW_SECOND) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;
		one(&judge, data, length, wall);
		data += length + (end != NULL);
		size -= length + (end != NULL);
	}
	return 0;
}
