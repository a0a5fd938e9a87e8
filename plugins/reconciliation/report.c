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

void report_redact(const char *secret, const char *text, size_t length, char *buffer, size_t size)
{
	static const char blot[] = "***";
	size_t secret_length = secret ? strlen(secret) : 0, used = 0;
	for (size_t i = 0; i < length && used + sizeof(blot) < size;) {
		if (secret_length && length - i >= secret_length && memcmp(text + i, secret, secret_length) == 0) {
			memcpy(buffer + used, blot, sizeof(blot) - 1);
			used += sizeof(blot) - 1;
			i += secret_length;
		} else {
			buffer[used++] = text[i++];
		}
	}
	buffer[used] = '\0';
}

void report_say(struct report *report, const char *secret, const char *text, size_t length, bool phones_full)
{
	char clean[4 * RUN_ERROR_MAX];
	report_redact(secret, text, length, clean, sizeof(clean));
	if (phones_full)
		text_utf8(report->error, sizeof(report->error), clean, strlen(clean));
	else
		text_mask_phones_in(report->error, sizeof(report->error), clean, strlen(clean));
}
