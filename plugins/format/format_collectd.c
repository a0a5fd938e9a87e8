/* SPDX-License-Identifier: MIT
 *
 * See format_collectd.h.
 */
#include "format_collectd.h"

#include "format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- fields ---- */

enum { CUT_SUFFIX = 17, CUT_AT = COLLECTD_FIELD_MAX - CUT_SUFFIX };

/* A field being built: its first 127 bytes, and once it is longer, a hash over all of it. */
struct builder {
	char *text;
	size_t length; /* of the whole; text holds what fits */
	size_t cut;    /* end of the last whole character within CUT_AT */
	uint64_t hash; /* FNV-1a: spreads well enough for a few thousand series; not meant against an enemy */
};

static void hash_on(struct builder *builder, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		builder->hash = (builder->hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
}

/* Characters or escapes, whole ones. */
static void add(struct builder *builder, const char *bytes, size_t length)
{
	bool fits = builder->length + length <= COLLECTD_FIELD_MAX;
	if (fits) {
		memcpy(builder->text + builder->length, bytes, length);
	} else {
		if (builder->length <= COLLECTD_FIELD_MAX) { /* the first that does not */
			builder->hash = 0xcbf29ce484222325u;
			hash_on(builder, builder->text, builder->length);
		}
		hash_on(builder, bytes, length);
	}
	builder->length += length;
	if (builder->length <= CUT_AT)
		builder->cut = builder->length;
}

/* A byte that stands for itself in any field, short of judging characters beyond ASCII. */
static bool is_plain(char byte, bool dash_too)
{
	return byte >= ' ' && byte < 0x7f && byte != '/' && byte != '"' && byte != '\\' && byte != '%' &&
	       !(dash_too && byte == '-');
}

static void add_escape(struct builder *builder, char byte)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned code = (unsigned char)byte;
	add(builder, (char[]){'%', digits[code >> 4], digits[code & 0xf]}, 3);
}

static void add_text(struct builder *builder, const char *text, bool dash_too)
{
	while (*text) {
		size_t length = 0;
		if (is_plain(*text, dash_too))
			length = 1;
		else if ((unsigned char)*text >= 0x80)
			length = format_plain_character(text);
		if (length)
			add(builder, text, length);
		else
			add_escape(builder, *text);
		text += length ? length : 1;
	}
}

static void field_end(struct collectd_field *field, const struct builder *builder)
{
	size_t length = builder->length;
	if (length > COLLECTD_FIELD_MAX) {
		snprintf(field->text + builder->cut, CUT_SUFFIX + 1, "~%016llx", (unsigned long long)builder->hash);
		length = builder->cut + CUT_SUFFIX;
	}
	field->text[length] = '\0';
	field->length = (uint32_t)length;
}

static void make_field(struct collectd_field *field, const char *text)
{
	struct builder builder = {.text = field->text};
	add_text(&builder, text, /* dash_too */ false);
	field_end(field, &builder);
}

static void make_name(struct collectd_field *field, const struct cw_sample *sample, const struct format_point *point)
{
	struct builder builder = {.text = field->text};
	uint32_t labels = cw_label_count(sample->metric);
	add_text(&builder, sample->metric->name, /* dash_too */ true);
	add_text(&builder, point->suffix, /* dash_too */ false);
	for (uint32_t i = 0; i < labels; i++) {
		add(&builder, "-", 1);
		add_text(&builder, sample->labels[i], /* dash_too */ i + 1 < labels);
	}
	field_end(field, &builder);
}

/* ---- values ---- */

static void choose_type(struct collectd_source *source, const struct cw_metric *metric)
{
	if (source->metric == metric)
		return;
	bool counts = metric->kind == CW_COUNTER;
	source->metric = metric;
	source->type = metric->collectd_type;
	if (!source->type || !collectd_type_find(source->type, &source->kind) || source->kind == COLLECTD_ABSOLUTE) {
		source->type = counts ? "derive" : "gauge";
		source->kind = counts ? COLLECTD_DERIVE : COLLECTD_GAUGE;
	}
}

static bool is_percent(const struct cw_metric *metric, const char *type)
{
	return strcmp(type, "percent") == 0 && metric->unit && strcmp(metric->unit, "ratio") == 0;
}

static void to_percent(struct format_point *point)
{
	point->real = 100 * (point->is_integer ? (double)point->integer : point->real);
	point->is_integer = false;
}

static void to_whole(struct format_point *point)
{
	static const double limit = 9223372036854775807.0; /* 2^63 */
	if (point->is_integer)
		return;
	double whole = floor(point->real);
	point->integer = whole >= limit ? INT64_MAX : whole <= -limit ? INT64_MIN : (int64_t)whole;
	point->is_integer = true;
}

static void make_value(struct collectd_source *source, const struct cw_sample *sample, struct collectd_value *value)
{
	struct format_point *point = &value->point;
	bool is_count = sample->metric->kind == CW_HISTOGRAM && point->kind == CW_COUNTER;
	value->type = is_count ? "derive" : source->type;
	value->kind = is_count ? COLLECTD_DERIVE : source->kind;
	if (is_percent(sample->metric, value->type))
		to_percent(point);
	if (value->kind != COLLECTD_GAUGE)
		to_whole(point);
	make_name(&value->name, sample, point);
}

void collectd_source_init(struct collectd_source *source, const struct cw_batch *batch)
{
	make_field(&source->host, batch->host);
	make_field(&source->instance, batch->instance);
	source->metric = NULL;
}

uint32_t collectd_values(struct collectd_source *source, const struct cw_sample *sample,
			 struct collectd_value values[FORMAT_POINTS_MAX])
{
	struct format_point points[FORMAT_POINTS_MAX];
	/* It takes no time of 1970, and milliseconds is what a PUTVAL has. */
	uint32_t n = sample->time >= CW_MILLISECOND ? format_points(sample, points) : 0;
	choose_type(source, sample->metric);
	for (uint32_t i = 0; i < n; i++) {
		values[i].point = points[i];
		make_value(source, sample, &values[i]);
	}
	return n;
}
