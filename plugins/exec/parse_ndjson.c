/* SPDX-License-Identifier: MIT
 *
 * One JSON object a line:
 *
 *     {"metric": "disk_free_bytes", "value": 1e9, "labels": {"mount": "/"}, "kind": "gauge", "unit": "bytes",
 *      "help": "Space that is left", "time": 1700000000.5}
 *
 * `metric` and `value` are needed; `kind` is gauge or counter; `time` is Unix seconds or RFC 3339. A value of null is
 * not known: no sample. Other keys are passed over. The line's length is the bound of what jansson may make of it.
 */
#include "parse.h"
#include "text.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

/* A text, NULL if there is none; false: something else. */
static bool get_text(const json_t *object, const char *key, const char **ret_text)
{
	const json_t *value = json_object_get(object, key);
	*ret_text = value ? json_string_value(value) : NULL;
	return !value || *ret_text || json_is_null(value);
}

static bool get_labels(const json_t *object, struct point *point)
{
	const json_t *labels = json_object_get(object, "labels");
	const char *name;
	const json_t *value;
	if (!labels || json_is_null(labels))
		return true;
	if (!json_is_object(labels) || json_object_size(labels) > POINT_LABELS_MAX)
		return false;
	json_object_foreach((json_t *)labels, name, value)
	{
		if (!json_is_string(value))
			return false;
		point->labels[point->labels_count++] = (struct point_label){name, json_string_value(value)};
	}
	return true;
}

static bool get_kind(const json_t *object, enum cw_kind *ret_kind)
{
	const char *kind;
	*ret_kind = CW_GAUGE;
	if (!get_text(object, "kind", &kind))
		return false;
	if (kind && strcmp(kind, "counter") == 0)
		*ret_kind = CW_COUNTER;
	return !kind || *ret_kind == CW_COUNTER || strcmp(kind, "gauge") == 0;
}

/* Unix seconds as a number (a double has them to the microsecond), or a text. */
static bool get_time(const json_t *object, int64_t *ret_time)
{
	static const double latest = 9e9; /* seconds; an int64 of nanoseconds ends soon after */
	const json_t *time = json_object_get(object, "time");
	*ret_time = 0;
	if (!time || json_is_null(time))
		return true;
	if (json_is_string(time)) {
		const char *text = json_string_value(time);
		size_t length = strlen(text);
		return (text_parse_time(text, length, ret_time, /* ret_assumed_utc */ NULL) == 0 ||
			text_parse_unix(text, length, ret_time) == 0) &&
		       *ret_time > 0;
	}
	double seconds = json_number_value(time);
	if (!json_is_number(time) || !(seconds > 0) || seconds > latest)
		return false;
	int64_t whole = (int64_t)seconds;
	*ret_time = whole * CW_SECOND + (int64_t)((seconds - (double)whole) * 1e6 + 0.5) * 1000;
	return true;
}

static void tell_object(const json_t *object, const struct parse_sink *sink)
{
	const json_t *value = json_object_get(object, "value");
	struct point point = {.labels_count = 0};
	enum cw_kind kind;
	char quoted[QUOTED_MAX];
	if (!get_text(object, "metric", &point.name) || !point.name || !*point.name) {
		parse_bad(sink, BAD_SYNTAX, "it has no text `metric`");
		return;
	}
	point.source = point.name;
	parse_quote(quoted, point.name);
	if (!value || !(json_is_number(value) || json_is_null(value))) {
		parse_bad(sink, BAD_VALUE, "the `value` of `%s` is not a number", quoted);
	} else if (!get_labels(object, &point)) {
		parse_bad(sink, BAD_LABELS, "the `labels` of `%s` are not texts", quoted);
	} else if (!get_kind(object, &kind)) {
		parse_bad(sink, BAD_TYPE, "the `kind` of `%s` is neither gauge nor counter", quoted);
	} else if (!get_text(object, "unit", &point.unit) || !get_text(object, "help", &point.help)) {
		parse_bad(sink, BAD_SYNTAX, "`unit` or `help` of `%s` is not a text", quoted);
	} else if (!get_time(object, &point.time)) {
		parse_bad(sink, BAD_TIME, "the `time` of `%s` is not a time", quoted);
	} else if (!json_is_null(value)) {
		struct number number = {.is_integer = json_is_integer(value),
					.integer = json_integer_value(value),
					.real = json_number_value(value)};
		if (parse_set(&point, kind, &number))
			sink->point(sink->arg, &point);
		else
			parse_bad(sink, BAD_VALUE, "the counter `%s` is negative", quoted);
	}
}

void parse_ndjson(const char *line, size_t length, const struct parse_sink *sink)
{
	json_error_t error;
	if (line[strspn(line, " \t")] == '\0')
		return;
	json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(object))
		parse_bad(sink, BAD_SYNTAX, "it is not a JSON object");
	else
		tell_object(object, sink);
	json_decref(object);
}
