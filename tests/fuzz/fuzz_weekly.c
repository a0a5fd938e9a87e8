/* SPDX-License-Identifier: MIT
 *
 * A window of the week from a stranger, and on its second line a time zone: no crash, and what is read has a next
 * change that is later, at which it opens or closes.
 */
#include "weekly.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t times[] = {0, 1774746000000000000, 1792890000000000000, INT64_MAX, INT64_MIN};
	char error[WEEKLY_ERROR_MAX];
	struct weekly *weekly;
	char *text = strndup((const char *)data, size), *zone = strchr(text, '\n');
	if (zone)
		*zone++ = '\0';
	if (weekly_parse(text, zone, &weekly, error) == 0) {
		for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
			int64_t next = weekly_next(weekly, times[i]);
			if (next != INT64_MAX &&
			    (next <= times[i] || weekly_is_open(weekly, next) == weekly_is_open(weekly, times[i]) ||
			     weekly_is_open(weekly, next - 1) != weekly_is_open(weekly, times[i])))
				abort();
		}
		weekly_free(weekly);
	}
	free(text);
	return 0;
}
