/* SPDX-License-Identifier: MIT
 *
 * See render.h: the CSV half, RFC 4180. A spreadsheet takes a text that begins with = + - @, a tab or a return for a
 * formula, and what callers send ends up here: such a text gets a leading apostrophe. That holds for every text column,
 * phone numbers too, which begin with + also when masked; no list of exceptions can be wrong then.
 */
#include "render.h"

#include "text.h"

#include <math.h>
#include <string.h>

static bool looks_like_formula(const char *text, size_t length)
{
	return length > 0 && text[0] && strchr("=+-@\t\r", text[0]);
}

static bool needs_quotes(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r')
			return true;
	return length > 0 && (text[0] == ' ' || text[length - 1] == ' ');
}

/* Doubles the quotes of the text behind `start`, from its end so that each byte moves once. */
static void double_quotes(struct buffer *out, size_t start)
{
	size_t quotes = 0;
	for (size_t i = start; i < out->length; i++)
		quotes += buffer_text(out)[i] == '"';
	if (!buffer_reserve(out, quotes))
		return;
	char *text = buffer_text(out);
	size_t to = out->length + quotes;
	for (size_t from = out->length; from > start && to > from;) {
		text[--to] = text[--from];
		if (text[from] == '"')
			text[--to] = '"';
	}
	out->length += quotes;
}

static void csv_text(struct buffer *out, const char *text, size_t length)
{
	bool quotes = needs_quotes(text, length);
	if (quotes)
		buffer_bytes(out, "\"", 1);
	if (looks_like_formula(text, length))
		buffer_bytes(out, "'", 1);
	size_t start = out->length, room = 3 * length + 1; /* a byte may become U+FFFD */
	char *to = length <= out->ceiling ? buffer_reserve(out, room) : NULL;
	if (!to) {
		out->failed = true;
		return;
	}
	out->length += text_utf8(to, room, text, length);
	if (quotes) {
		double_quotes(out, start);
		buffer_bytes(out, "\"", 1);
	}
}

static void csv_time(struct buffer *out, int64_t wall_ns)
{
	char text[TEXT_TIME_SIZE];
	buffer_bytes(out, text, text_time(text, wall_ns));
}

static void csv_integer(struct buffer *out, const struct cw_column *column, int64_t value)
{
	const char *choice = column->type == CW_CHOICE ? render_choice(column, value) : NULL;
	if (column->type == CW_TIME || column->type == CW_SINCE)
		csv_time(out, value);
	else if (column->type == CW_CHOICE)
		csv_text(out, choice ? choice : "", choice ? strlen(choice) : 0);
	else if (column->type == CW_BOOL)
		buffer_string(out, value ? "true" : "false");
	else
		buffer_print(out, "%lld", (long long)value);
}

static void csv_cell(struct buffer *out, const struct cw_column *column, const struct cw_cell *cell)
{
	if (cell->type == CW_CELL_TEXT)
		csv_text(out, cell->text, cell->length);
	else if (cell->type == CW_CELL_INTEGER)
		csv_integer(out, column, cell->integer);
	else if (cell->type == CW_CELL_REAL && isfinite(cell->real) &&
		 (column->type == CW_AGE || column->type == CW_UNTIL))
		render_json_seconds(out, cell->real);
	else if (cell->type == CW_CELL_REAL && isfinite(cell->real))
		render_json_number(out, cell->real);
}

void render_csv_header(struct buffer *out, const struct cw_column *columns, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			buffer_bytes(out, ",", 1);
		csv_text(out, columns[i].name, strlen(columns[i].name));
	}
	buffer_bytes(out, "\r\n", 2);
}

void render_csv_row(struct buffer *out, const struct cw_column *columns, const struct cw_cell *cells, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			buffer_bytes(out, ",", 1);
		csv_cell(out, &columns[i], &cells[i]);
	}
	buffer_bytes(out, "\r\n", 2);
}
