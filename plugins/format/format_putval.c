/* SPDX-License-Identifier: MIT
 *
 * See format_putval.h.
 */
#include "format_putval.h"

#include "format_point.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CUT_SUFFIX = 17, CUT_AT = FORMAT_PUTVAL_FIELD_MAX - CUT_SUFFIX };

/* A field being built: its first 127 bytes, a hash over all of it. */
struct field {
	char text[FORMAT_PUTVAL_FIELD_MAX + 1];
	size_t length; /* of the whole; text holds what fits */
	size_t cut;    /* end of the last whole character within CUT_AT */
	uint64_t hash; /* FNV-1a: spreads well enough for a few thousand series; not meant against an enemy */
};

static void field_begin(struct field *field)
{
	field->length = field->cut = 0;
	field->hash = 0xcbf29ce484222325u;
}

/* One character or one escape. */
static void field_add(struct field *field, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		field->hash = (field->hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
	if (field->length + length <= FORMAT_PUTVAL_FIELD_MAX)
		memcpy(field->text + field->length, bytes, length);
	field->length += length;
	if (field->length <= CUT_AT)
		field->cut = field->length;
}

static void field_add_escaped(struct field *field, const char *text, bool dash_too)
{
	while (*text) {
		size_t length = format_plain_character(text);
		if (length == 1 && (*text == '/' || *text == '%' || (dash_too && *text == '-')))
			length = 0;
		char escape[4];
		snprintf(escape, sizeof(escape), "%%%02X", (unsigned)(unsigned char)*text);
		field_add(field, length ? text : escape, length ? length : 3);
		text += length ? length : 1;
	}
}

static const char *field_end(struct field *field)
{
	size_t length = field->length;
	if (length > FORMAT_PUTVAL_FIELD_MAX) {
		snprintf(field->text + field->cut, CUT_SUFFIX + 1, "~%016llx", (unsigned long long)field->hash);
		length = field->cut + CUT_SUFFIX;
	}
	field->text[length] = 0;
	return field->text;
}

static const char *type_of(const struct cw_metric *metric, const struct format_point *point)
{
	bool own = metric->collectd_type && !(metric->kind == CW_HISTOGRAM && point->kind == CW_COUNTER);
	return own ? metric->collectd_type : point->kind == CW_COUNTER ? "derive" : "gauge";
}

static void append_field(struct buffer *out, const char *text, bool dash_too)
{
	struct field field;
	field_begin(&field);
	field_add_escaped(&field, text, dash_too);
	buffer_string(out, field_end(&field));
}

static void append_type_instance(struct buffer *out, const struct cw_sample *sample, const struct format_point *point)
{
	struct field field;
	field_begin(&field);
	field_add_escaped(&field, sample->metric->name, /* dash_too */ true);
	field_add_escaped(&field, point->suffix, /* dash_too */ false);
	uint32_t labels = cw_label_count(sample->metric);
	for (uint32_t i = 0; i < labels; i++) {
		field_add(&field, "-", 1);
		field_add_escaped(&field, sample->labels[i], /* dash_too */ i + 1 < labels);
	}
	buffer_string(out, field_end(&field));
}

/* collectd takes only integers for these. */
static bool is_whole_type(const char *type)
{
	return strcmp(type, "derive") == 0 || strcmp(type, "counter") == 0 || strncmp(type, "total_", 6) == 0 ||
	       strcmp(type, "errors") == 0;
}

static void append_value(struct buffer *out, const struct format_point *point, const char *type)
{
	char value[FORMAT_VALUE_SIZE];
	struct format_point whole = *point;
	if (!point->is_integer && is_whole_type(type) && fabs(point->real) < 9e18) {
		whole.is_integer = true;
		whole.integer = (int64_t)floor(point->real);
	}
	format_value(value, &whole);
	buffer_string(out, value);
}

static void append_line(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample,
			const struct format_point *point)
{
	size_t start = out->length;
	const char *type = type_of(sample->metric, point);
	int64_t ms = sample->time / CW_MILLISECOND;
	buffer_string(out, "PUTVAL \"");
	append_field(out, batch->host, /* dash_too */ false);
	buffer_string(out, "/callwatch-");
	append_field(out, batch->instance, /* dash_too */ false);
	buffer_bytes(out, "/", 1);
	append_field(out, type, /* dash_too */ true);
	buffer_bytes(out, "-", 1);
	append_type_instance(out, sample, point);
	buffer_print(out, "\" interval=%.3f %lld.%03lld:", (double)batch->interval / (double)CW_SECOND,
		     (long long)(ms / 1000), (long long)(ms % 1000));
	append_value(out, point, type);
	buffer_bytes(out, "\n", 1);
	if (out->length - start > FORMAT_PUTVAL_LINE_MAX + 1)
		out->failed = true; /* four fields of 127 bytes: cannot be */
}

int format_putval(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample)
{
	struct format_point points[FORMAT_POINTS_MAX];
	uint32_t n = sample->time > 0 ? format_points(sample, points) : 0; /* collectd takes no time before 1970 */
	size_t start = out->length;
	for (uint32_t i = 0; i < n; i++)
		append_line(out, batch, sample, &points[i]);
	int status = format_end(out, start);
	return status < 0 ? status : (int)n;
}
