/* SPDX-License-Identifier: MIT
 *
 * A notice as a damaged journal may hold it: no crash, and what is read is sound: it is written and read again as the
 * same, and not longer than allowed.
 */
#include "notice.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notice *notice = notice_from_json((const char *)data, size);
	if (!notice)
		return 0;
	char *json = notice_to_json(notice);
	struct notice *back = json ? notice_from_json(json, strlen(json)) : NULL;
	char *again = back ? notice_to_json(back) : NULL;
	if (json && (!again || strcmp(json, again) != 0))
		abort();
	free(json);
	free(again);
	notice_unref(notice);
	notice_unref(back);
	return 0;
}
