/* SPDX-License-Identifier: MIT
 *
 * See format_graphite.h.
 */
#include "format_graphite.h"

#include "format_point.h"

#include <string.h>

/* Bytes at `text` that may stand in a node as they are; 0: not this one. */
static size_t node_character(const char *text)
{
	unsigned char c = (unsigned char)text[0];
	if (c >= 0x80)
		return format_plain_character(text);
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_-:+@#%", c);
}

static void append_node(struct buffer *out, const char *text)
{
	buffer_bytes(out, ".", 1);
	if (!text[0])
		buffer_bytes(out, "_", 1);
	while (*text) {
		size_t length = node_character(text);
		if (length)
			buffer_bytes(out, text, length);
		else
			buffer_bytes(out, "_", 1);
		text += length ? length : 1;
	}
}

static void append_line(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample,
			const struct format_point *point)
{
	char value[FORMAT_VALUE_SIZE];
	format_value(value, point);
	buffer_string(out, "callwatch");
	append_node(out, batch->host);
	append_node(out, batch->instance);
	append_node(out, sample->metric->name);
	buffer_string(out, point->suffix);
	uint32_t labels = cw_label_count(sample->metric);
	for (uint32_t i = 0; i < labels; i++)
		append_node(out, sample->labels[i]);
	buffer_print(out, " %s %lld\n", value, (long long)(sample->time / CW_SECOND));
}

int format_graphite(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample)
{
	struct format_point points[FORMAT_POINTS_MAX];
	uint32_t n = format_points(sample, points);
	size_t start = out->length;
	for (uint32_t i = 0; i < n; i++)
		append_line(out, batch, sample, &points[i]);
	int status = format_end(out, start);
	return status < 0 ? status : (int)n;
}
