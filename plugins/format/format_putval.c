/* SPDX-License-Identifier: MIT
 *
 * See format_putval.h.
 */
#include "format_putval.h"

#include <stdio.h>

static void append_line(struct buffer *out, const struct collectd_source *source, int64_t interval, int64_t time,
			const struct collectd_value *value)
{
	char line[FORMAT_PUTVAL_LINE_MAX + 2], number[FORMAT_VALUE_SIZE];
	int64_t ms = time / CW_MILLISECOND;
	format_value(number, &value->point);
	int length =
		snprintf(line, sizeof(line), "PUTVAL \"%s/callwatch-%s/%s-%s\" interval=%.3f %lld.%03lld:%s\n",
			 source->host.text, source->instance.text, value->type, value->name.text,
			 (double)interval / (double)CW_SECOND, (long long)(ms / 1000), (long long)(ms % 1000), number);
	if (length > FORMAT_PUTVAL_LINE_MAX + 1)
		out->failed = true; /* three fields of 127 bytes and a stock type: cannot be */
	else
		buffer_bytes(out, line, (size_t)length);
}

int format_putval_of(struct buffer *out, struct collectd_source *source, int64_t interval,
		     const struct cw_sample *sample)
{
	struct collectd_value values[FORMAT_POINTS_MAX];
	uint32_t n = collectd_values(source, sample, values);
	size_t start = out->length;
	for (uint32_t i = 0; i < n; i++)
		append_line(out, source, interval, sample->time, &values[i]);
	int status = format_end(out, start);
	return status < 0 ? status : (int)n;
}

int format_putval(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample)
{
	struct collectd_source source;
	collectd_source_init(&source, batch);
	return format_putval_of(out, &source, batch->interval, sample);
}
