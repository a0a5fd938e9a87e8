/* SPDX-License-Identifier: MIT
 *
 * The value of a header Retry-After: never out of bounds, never less than nothing, never more than an hour.
 */
#include "connect/http.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1);
	memcpy(bytes, data, size);
	int64_t pause = http_retry_after(bytes, size, 1795608000 * CW_SECOND);
	if (pause < 0 || pause > HTTP_RETRY_AFTER_MAX_S * CW_SECOND)
		abort();
	free(bytes);
	return 0;
}
