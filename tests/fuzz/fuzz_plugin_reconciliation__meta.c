/* SPDX-License-Identifier: MIT
 *
 * What a result backend may hold: never out of bounds, always something to say, and never a success with a bad count.
 */
#include "meta.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meta meta;
	char *bytes = malloc(size ? size : 1); /* so that reading one byte too far is seen */
	memcpy(bytes, data, size);
	meta_read(bytes, size, "app.tasks.reconcile_call_logs", /* phones_full */ false, &meta);
	if (meta.report.status >= RUN_STATUSES || meta.report.missing < -1 || meta.report.queued < -1)
		abort();
	if (memchr(meta.report.error, '\0', sizeof(meta.report.error)) == NULL)
		abort();
	if (meta.report.status == RUN_LOST && !meta.report.error[0])
		abort();
	if (size && data[0] == 0x80 && meta.report.status != RUN_LOST)
		abort();
	free(bytes);
	return 0;
}
