/* SPDX-License-Identifier: MIT
 *
 * The JSON body of a request for an action: any bytes are an error with a sentence, or a question whose texts are all
 * there. Only the first 64 KiB ever come that far.
 */
#include "action_body.h"

#include <stdlib.h>
#include <string.h>

static size_t touch(const char *const *texts, uint32_t count)
{
	size_t length = 0;
	for (uint32_t i = 0; i < count; i++)
		length += strlen(texts[i]);
	return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct action_body body;
	char error[BODY_ERROR_MAX] = "";
	if (size > ACTION_BODY_MAX)
		return 0;
	int rc = action_body_read(&body, (const char *)data, size, error);
	if (rc < 0 && (!*error || strlen(error) >= BODY_ERROR_MAX))
		abort();
	if (rc == 0) {
		size_t length = touch(body.spec.keys, body.spec.keys ? body.spec.keys_count : 0) +
				touch(body.spec.where, body.spec.where_count);
		for (uint32_t i = 0; i < body.spec.arguments_count; i++)
			length += strlen(body.spec.arguments[i].name) + strlen(body.spec.arguments[i].text);
		if (length > 2 * size + 32 * (size_t)body.spec.arguments_count)
			abort();
	}
	action_body_release(&body);
	return 0;
}
