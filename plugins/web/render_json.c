/* SPDX-License-Identifier: MIT
 *
 * See render.h: the JSON half. Written straight into the buffer rather than built as a tree: a million rows pass here,
 * one at a time.
 */
#include "render.h"

#include "text.h"

#include <math.h>
#include <string.h>

const char *render_choice(const struct cw_column *column, int64_t index)
{
	for (int64_t i = 0; column->choices && column->choices[i]; i++)
		if (i == index)
			return column->choices[i];
	return NULL;
}

const char *render_type_name(enum cw_column_type type)
{
	static const char *const names[] = {
		[CW_TEXT] = "text", [CW_INT] = "int", [CW_REAL] = "real",   [CW_BOOL] = "bool",  [CW_CHOICE] = "choice",
		[CW_TIME] = "time", [CW_AGE] = "age", [CW_UNTIL] = "until", [CW_SINCE] = "since"};
	return (size_t)type < sizeof names / sizeof names[0] ? names[type] : "text";
}

void render_json_string(struct buffer *out, const char *text)
{
	if (text)
		buffer_json(out, text, strlen(text));
	else
		buffer_string(out, "null");
}

void render_json_number(struct buffer *out, double value)
{
	char text[TEXT_NUMBER_SIZE];
	if (isfinite(value))
		buffer_bytes(out, text, text_number(text, value));
	else
		buffer_string(out, "null");
}

void render_json_seconds(struct buffer *out, double seconds)
{
	render_json_number(out, isfinite(seconds) && fabs(seconds) < 1e12 ? round(seconds * 1000) / 1000 : seconds);
}

void render_json_time(struct buffer *out, int64_t wall_ns)
{
	char text[TEXT_TIME_SIZE];
	text_time(text, wall_ns);
	buffer_print(out, "\"%s\"", text);
}

static void json_integer(struct buffer *out, const struct cw_column *column, int64_t value)
{
	switch (column->type) {
	case CW_TIME:
	case CW_SINCE:
		render_json_time(out, value);
		break;
	case CW_CHOICE:
		render_json_string(out, render_choice(column, value));
		break;
	case CW_BOOL:
		buffer_string(out, value ? "true" : "false");
		break;
	default:
		buffer_print(out, "%lld", (long long)value);
	}
}

void render_json_cell(struct buffer *out, const struct cw_column *column, const struct cw_cell *cell)
{
	switch (cell->type) {
	case CW_CELL_TEXT:
		buffer_json(out, cell->text, cell->length);
		break;
	case CW_CELL_INTEGER:
		json_integer(out, column, cell->integer);
		break;
	case CW_CELL_REAL:
		if (column->type == CW_AGE || column->type == CW_UNTIL)
			render_json_seconds(out, cell->real);
		else
			render_json_number(out, cell->real);
		break;
	default:
		buffer_string(out, "null");
	}
}

void render_json_row(struct buffer *out, const struct cw_column *columns, const struct cw_cell *cells, uint32_t count,
		     bool without_null)
{
	const char *before = "{";
	for (uint32_t i = 0; i < count; i++) {
		if (without_null && cells[i].type == CW_CELL_NULL)
			continue;
		buffer_string(out, before);
		before = ",";
		render_json_string(out, columns[i].name);
		buffer_bytes(out, ":", 1);
		render_json_cell(out, &columns[i], &cells[i]);
	}
	buffer_string(out, *before == '{' ? "{}" : "}");
}

void render_json_coverage(struct buffer *out, const struct cw_coverage *coverage, double age_seconds,
			  int64_t otherwise_from, int64_t otherwise_to)
{
	int64_t from = coverage->to ? coverage->from : otherwise_from;
	int64_t to = coverage->to ? coverage->to : otherwise_to;
	buffer_string(out, "\"as_of\":");
	if (to) {
		buffer_bytes(out, "[", 1);
		render_json_time(out, from);
		buffer_bytes(out, ",", 1);
		render_json_time(out, to);
		buffer_bytes(out, "]", 1);
	} else {
		buffer_string(out, "null");
	}
	buffer_print(out, ",\"complete\":%s,\"coverage\":", coverage->complete ? "true" : "false");
	render_json_number(out, coverage->ratio);
	buffer_string(out, ",\"age_seconds\":");
	render_json_seconds(out, age_seconds);
}

static void json_choices(struct buffer *out, const struct cw_column *column)
{
	buffer_string(out, ",\"choices\":[");
	for (uint32_t i = 0; column->choices[i]; i++) {
		if (i)
			buffer_bytes(out, ",", 1);
		render_json_string(out, column->choices[i]);
	}
	buffer_bytes(out, "]", 1);
}

static void json_flag(struct buffer *out, const char *name, bool set)
{
	buffer_print(out, ",\"%s\":%s", name, set ? "true" : "false");
}

static void json_column(struct buffer *out, const struct cw_column *column)
{
	buffer_string(out, "{\"name\":");
	render_json_string(out, column->name);
	buffer_print(out, ",\"type\":\"%s\",\"unit\":", render_type_name(column->type));
	render_json_string(out, column->unit);
	buffer_string(out, ",\"help\":");
	render_json_string(out, column->help);
	if (column->type == CW_CHOICE && column->choices)
		json_choices(out, column);
	json_flag(out, "watched", column->flags & CW_COLUMN_WATCHED);
	json_flag(out, "phone", column->flags & CW_COLUMN_PHONE);
	json_flag(out, "key", column->flags & CW_COLUMN_KEY);
	json_flag(out, "wide", column->flags & CW_COLUMN_WIDE);
	buffer_bytes(out, "}", 1);
}

static void json_counts(struct buffer *out, const struct cw_column *watched, const uint64_t *counts)
{
	buffer_string(out, ",\"watched\":");
	render_json_string(out, watched->name);
	buffer_string(out, ",\"counts\":{");
	for (uint32_t i = 0; watched->choices && watched->choices[i]; i++) {
		if (i)
			buffer_bytes(out, ",", 1);
		render_json_string(out, watched->choices[i]);
		buffer_print(out, ":%llu", (unsigned long long)counts[i]);
	}
	buffer_bytes(out, "}", 1);
}

static void json_instances(struct buffer *out, const char *const *instances)
{
	buffer_string(out, ",\"instances\":[");
	for (uint32_t i = 0; instances && instances[i]; i++) {
		if (i)
			buffer_bytes(out, ",", 1);
		render_json_string(out, instances[i]);
	}
	buffer_bytes(out, "]", 1);
}

void render_json_table(struct buffer *out, const struct cw_table_info *info, bool with_columns)
{
	buffer_string(out, "{\"name\":");
	render_json_string(out, info->name);
	buffer_string(out, ",\"help\":");
	render_json_string(out, info->help);
	buffer_string(out, ",\"sort\":");
	render_json_string(out, info->sort);
	buffer_print(out, ",\"rows\":%llu,", (unsigned long long)info->rows);
	if (with_columns) {
		buffer_string(out, "\"columns\":[");
		for (uint32_t i = 0; i < info->columns_count; i++) {
			if (i)
				buffer_bytes(out, ",", 1);
			json_column(out, &info->columns[i]);
		}
		buffer_string(out, "],");
	}
	render_json_coverage(out, &info->coverage, info->age_seconds, /* otherwise_from: */ 0, /* otherwise_to: */ 0);
	if (info->watched_column >= 0 && info->counts)
		json_counts(out, &info->columns[info->watched_column], info->counts);
	json_instances(out, info->instances);
	buffer_bytes(out, "}", 1);
}
