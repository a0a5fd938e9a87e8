/* SPDX-License-Identifier: MIT
 *
 * See format_text.h. Columns are padded so that a screenful lines up; what is longer than its column only pushes the
 * rest of its own line. A histogram is one line too: count=12 p50=0.2 p95=0.9 p99=1.
 */
#include "format_text.h"

#include "format_point.h"
#include "text.h"

#include <string.h>

enum { INSTANCE_WIDTH = 14, SERIES_WIDTH = 46, SECONDS_LENGTH = 19 };

/* Characters, not bytes. */
static size_t width(const char *bytes, size_t length)
{
	size_t n = 0;
	for (size_t i = 0; i < length; i++)
		n += ((unsigned char)bytes[i] & 0xc0) != 0x80;
	return n;
}

/* Spaces up to a column `columns` wide that began at `start`, at least one. */
static void pad(struct buffer *out, size_t start, size_t columns)
{
	size_t used = out->length > start ? width(buffer_text(out) + start, out->length - start) : 0;
	do
		buffer_bytes(out, " ", 1);
	while (++used < columns);
}

static void append_label(struct buffer *out, const char *value)
{
	char visible[2048];
	text_visible(visible, sizeof(visible), value, strlen(value));
	buffer_bytes(out, "\"", 1);
	for (const char *c = visible; *c; c++) {
		if (*c == '"')
			buffer_bytes(out, "\\", 1);
		buffer_bytes(out, c, 1);
	}
	buffer_bytes(out, "\"", 1);
}

static void append_series(struct buffer *out, const struct cw_sample *sample)
{
	uint32_t labels = cw_label_count(sample->metric);
	buffer_string(out, sample->metric->name);
	for (uint32_t i = 0; i < labels; i++) {
		buffer_bytes(out, i ? "," : "{", 1);
		buffer_string(out, sample->metric->labels[i].name);
		buffer_bytes(out, "=", 1);
		append_label(out, sample->labels[i]);
	}
	if (labels)
		buffer_bytes(out, "}", 1);
}

static void append_values(struct buffer *out, const struct format_point *points, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char value[FORMAT_VALUE_SIZE];
		format_value(value, &points[i]);
		if (i)
			buffer_bytes(out, " ", 1);
		buffer_print(out, "%s%s%s", points[i].label, points[i].label[0] ? "=" : "", value);
	}
}

int format_text(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample)
{
	struct format_point points[FORMAT_POINTS_MAX];
	uint32_t n = format_points(sample, points);
	if (!n)
		return 0;
	size_t line = out->length;
	char time[TEXT_TIME_SIZE], instance[256];
	text_time(time, sample->time);
	text_visible(instance, sizeof(instance), batch->instance, strlen(batch->instance));
	buffer_bytes(out, time, SECONDS_LENGTH);
	buffer_string(out, "Z ");
	size_t start = out->length;
	buffer_string(out, instance);
	pad(out, start, INSTANCE_WIDTH);
	start = out->length;
	append_series(out, sample);
	pad(out, start, SERIES_WIDTH);
	append_values(out, points, n);
	buffer_bytes(out, "\n", 1);
	int status = format_end(out, line);
	return status < 0 ? status : 1;
}
