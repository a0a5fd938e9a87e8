/* SPDX-License-Identifier: MIT
 *
 * See report.h.
 */
#include "report.h"

#include "text.h"

#include <math.h>
#include <string.h>

const char *const run_status_names[RUN_STATUSES + 1] = {"queued", "running", "success", "error", "lost", NULL};

int64_t report_count(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	if (json_is_integer(value))
		return json_integer_value(value) >= 0 ? json_integer_value(value) : -1;
	double real = json_is_real(value) ? json_real_value(value) : -1;
	return real >= 0 && real < 9e15 && real == floor(real) ? (int64_t)real : -1;
}

void report_say(struct report *report, const char *text, size_t length, bool phones_full)
{
	if (length > 4 * sizeof(report->error))
		length = 4 * sizeof(report->error);
	if (phones_full)
		text_utf8(report->error, sizeof(report->error), text, length);
	else
		text_mask_phones_in(report->error, sizeof(report->error), text, length);
}
