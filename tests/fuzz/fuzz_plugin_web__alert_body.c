/* SPDX-License-Identifier: MIT
 *
 * The JSON bodies of silences and acknowledgements: any bytes are an error with a sentence, or a question that is
 * whole and whose times are in order. Only the first 64 KiB ever come that far.
 */
#include "alert_body.h"

#include <stdlib.h>
#include <string.h>

enum { REQUEST_MAX = 64 * 1024 };
static const int64_t wall = 1795354247 * CW_SECOND;

static void check_error(int rc, const char *error)
{
	if (rc < 0 && (!*error || strlen(error) >= BODY_ERROR_MAX))
		abort();
}

static void read_silence(const char *bytes, size_t size)
{
	struct silence_body body;
	char error[BODY_ERROR_MAX] = "";
	int rc = silence_body_read(&body, bytes, size, wall, error);
	const struct cw_silence_spec *spec = &body.spec;
	check_error(rc, error);
	if (rc == 0) {
		size_t length = 0;
		for (uint32_t i = 0; i < spec->matchers_count; i++)
			length += strlen(spec->matchers[i]);
		if (length > size || (length == 0) != spec->all || spec->ends_at <= wall ||
		    spec->ends_at <= spec->starts_at || (!spec->comment && !spec->dry_run))
			abort();
	}
	silence_body_release(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ack_body ack;
	char error[BODY_ERROR_MAX] = "";
	if (size > REQUEST_MAX)
		return 0;
	read_silence((const char *)data, size);
	int rc = ack_body_read(&ack, (const char *)data, size, error);
	check_error(rc, error);
	if (rc == 0 && strlen(ack.spec.alert) + strlen(ack.spec.note) > size)
		abort();
	ack_body_release(&ack);
	return 0;
}
