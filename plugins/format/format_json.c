/* SPDX-License-Identifier: MIT
 *
 * See format_json.h. Written by hand, because a sample has a fixed shape and goes by the thousand; every string passes
 * through buffer_json().
 */
#include "format_json.h"

#include "format_point.h"
#include "text.h"

#include <string.h>

static const char *const kinds[] = {"gauge", "counter", "histogram"};

static void append_string(struct buffer *out, const char *text)
{
	buffer_json(out, text, strlen(text));
}

static void append_member(struct buffer *out, const char *name, const char *value, bool first)
{
	buffer_string(out, first ? "" : ",");
	append_string(out, name);
	buffer_bytes(out, ":", 1);
	append_string(out, value);
}

static void append_real(struct buffer *out, double value)
{
	char number[TEXT_NUMBER_SIZE];
	buffer_bytes(out, number, text_number(number, value));
}

static void append_labels(struct buffer *out, const struct cw_sample *sample)
{
	uint32_t labels = cw_label_count(sample->metric);
	buffer_string(out, ",\"labels\":{");
	for (uint32_t i = 0; i < labels; i++)
		append_member(out, sample->metric->labels[i].name, sample->labels[i], /* first */ i == 0);
	buffer_bytes(out, "}", 1);
}

static void append_tags(struct buffer *out, const struct cw_batch *batch)
{
	buffer_string(out, ",\"tags\":{");
	for (uint32_t i = 0; i < batch->tags.count; i++) {
		const struct cw_tag *tag = cw_at(&batch->tags, i);
		append_member(out, tag->name, tag->value, /* first */ i == 0);
	}
	buffer_bytes(out, "}", 1);
}

static void append_histogram(struct buffer *out, const struct cw_metric *metric, const struct cw_histogram *histogram)
{
	buffer_print(out, ",\"count\":%llu,\"sum\":", (unsigned long long)histogram->count);
	append_real(out, histogram->sum);
	buffer_string(out, ",\"bounds\":[");
	for (uint32_t i = 0; i < metric->bounds_count; i++) {
		buffer_string(out, i ? "," : "");
		append_real(out, metric->bounds[i]);
	}
	buffer_string(out, "],\"buckets\":[");
	for (uint32_t i = 0; i <= metric->bounds_count; i++)
		buffer_print(out, "%s%llu", i ? "," : "", (unsigned long long)histogram->buckets[i]);
	buffer_bytes(out, "]", 1);
}

static void append_value(struct buffer *out, const struct format_point *point)
{
	char value[FORMAT_VALUE_SIZE];
	format_value(value, point);
	buffer_string(out, ",\"value\":");
	buffer_string(out, value);
}

int format_json(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample)
{
	struct format_point points[FORMAT_POINTS_MAX];
	if (!format_points(sample, points))
		return 0;
	size_t line = out->length;
	char time[TEXT_TIME_SIZE];
	text_time(time, sample->time);
	buffer_bytes(out, "{", 1);
	append_member(out, "time", time, /* first */ true);
	append_member(out, "host", batch->host, /* first */ false);
	append_member(out, "instance", batch->instance, /* first */ false);
	append_member(out, "metric", sample->metric->name, /* first */ false);
	append_labels(out, sample);
	append_member(out, "kind", kinds[sample->metric->kind], /* first */ false);
	if (sample->number == CW_BUCKETS)
		append_histogram(out, sample->metric, sample->histogram);
	else
		append_value(out, &points[0]);
	buffer_string(out, ",\"interval\":");
	append_real(out, (double)batch->interval / (double)CW_SECOND);
	append_tags(out, batch);
	buffer_string(out, "}\n");
	int status = format_end(out, line);
	return status < 0 ? status : 1;
}
