/* SPDX-License-Identifier: MIT
 *
 * See runs_file.h.
 */
#include "runs_file.h"

#include "keep.h"

#include <errno.h>
#include <stdlib.h>

static const char name_of_file[] = "runs";

int runs_file_read(const char *folder, struct runs *runs, int64_t now, int64_t wall)
{
	uint8_t *bytes = NULL;
	size_t length = 0;
	int status = keep_read(folder, name_of_file, RUNS_FILE_MAX, &bytes, &length);
	if (status == 0)
		status = runs_read(runs, (const char *)bytes, length, now, wall);
	free(bytes);
	if (status == -EBADMSG)
		keep_set_aside(folder, name_of_file);
	return status;
}

int runs_file_write(const char *folder, const struct runs *runs)
{
	size_t length = 0;
	char *bytes = runs_write(runs, &length);
	int status = bytes ? keep_write(folder, name_of_file, bytes, length, /* lasting */ true) : -ENOMEM;
	free(bytes);
	return status;
}
