/* SPDX-License-Identifier: MIT
 *
 * See rows.h.
 */
#include "rows.h"

#include "client.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The lower, the longer a column stays on a narrow screen. */
static int rank_of(const struct column_info *column)
{
	switch (column->type) {
	case CW_CHOICE:
		return column->watched ? 0 : 2;
	case CW_AGE:
	case CW_UNTIL:
		return 1;
	case CW_TEXT:
		return column->phone || strstr(column->name, "name") || strstr(column->name, "reason") ? 3 : 5;
	case CW_TIME:
	case CW_SINCE:
		return 4;
	default:
		return 3;
	}
}

/* An event is read by its subject, its time, and what became of it; its id is for machines. -1: another table. */
static int rank_in_events(const struct rows_view *view, const struct column_info *column)
{
	static const struct {
		const char *name;
		int rank;
	} ranks[] = {{"id", 8},   {"instance", 7}, {"by", 6}, {"text", 5},   {"kind", 4},
		     {"time", 2}, {"from", 1},     {"to", 1}, {"subject", 0}};
	for (size_t i = 0; strcmp(view->info->name, "events") == 0 && i < sizeof(ranks) / sizeof(ranks[0]); i++)
		if (strcmp(ranks[i].name, column->name) == 0)
			return ranks[i].rank;
	return -1;
}

static bool is_number(const struct column_info *column)
{
	return column->type == CW_INT || column->type == CW_REAL || column->type == CW_AGE || column->type == CW_UNTIL;
}

/* Every row has the same `instance`: then it says nothing in a table where there is little room. */
static bool one_instance(const json_t *rows)
{
	size_t i;
	const json_t *row;
	const char *first = field_text(json_array_get(rows, 0), "instance");
	json_array_foreach(rows, i, row)
	{
		if (strcmp(field_text(row, "instance"), first) != 0)
			return false;
	}
	return true;
}

/* No row has a value there: the first to go. */
static bool is_empty(const json_t *rows, const char *column)
{
	size_t i;
	const json_t *row;
	json_array_foreach(rows, i, row)
	{
		const json_t *value = json_object_get(row, column);
		if (value && !json_is_null(value))
			return false;
	}
	return true;
}

static void add_column(struct grid *grid, uint32_t i, const struct rows_view *view, const struct column_info *column)
{
	static const char suffix[] = "_seconds";
	char *title = visible(column->name), *brief = NULL;
	size_t length = strlen(title);
	if (length > sizeof(suffix) && strcmp(title + length - (sizeof(suffix) - 1), suffix) == 0)
		brief = must_printf("%.*s", (int)(length - (sizeof(suffix) - 1)), title);
	int in_events = rank_in_events(view, column);
	bool is_key = in_events < 0 ? column == table_key(view->info) : in_events == 0;
	bool is_instance = strcmp(column->name, "instance") == 0 && !is_key;
	unsigned flags = (is_number(column) ? GRID_RIGHT : 0) | (view->chosen ? GRID_KEEP : 0);
	if (column->type == CW_CHOICE || column->type == CW_TIME || column->type == CW_SINCE)
		flags |= GRID_WHOLE;
	if (is_key || (is_instance && !one_instance(view->rows)))
		flags |= GRID_FIXED;
	else if (column->type == CW_CHOICE && column->watched)
		flags |= GRID_FIXED;
	int rank = in_events >= 0                       ? in_events
		   : is_empty(view->rows, column->name) ? 7
		   : is_instance                        ? 6
							: rank_of(column);
	grid_column(grid, i, title, brief, flags, rank);
	free(title);
	free(brief);
}

static struct column_info column_named(const struct table_info *info, const json_t *name)
{
	const char *text = json_string_value(name);
	const struct column_info *found = table_column(info, text ? text : "");
	return found ? *found : (struct column_info){.name = text ? text : "", .unit = "", .help = ""};
}

static void add_row(struct grid *grid, const struct column_info *columns, uint32_t count, const json_t *row,
		    const struct manner *manner)
{
	for (uint32_t i = 0; i < count; i++) {
		enum tone tone;
		char *text = value_text(&columns[i], json_object_get(row, columns[i].name), manner, &tone);
		grid_cell(grid, tone, text);
		free(text);
	}
}

char *rows_print(const struct rows_view *view, const struct manner *manner, const struct screen *screen, uint32_t most,
		 FILE *out)
{
	uint32_t count = (uint32_t)json_array_size(view->names);
	if (count == 0)
		return NULL;
	struct column_info *columns = must(calloc(count, sizeof(*columns)));
	struct grid *grid = grid_new(count, /* indent: */ 0);
	for (uint32_t i = 0; i < count; i++) {
		const json_t *name = json_array_get(view->names, i);
		columns[i] = column_named(view->info, name);
		const struct column_info *known = table_column(view->info, columns[i].name);
		add_column(grid, i, view, known ? known : &columns[i]);
	}
	size_t i;
	const json_t *row;
	json_array_foreach(view->rows, i, row)
	{
		if (most && i == most)
			break;
		add_row(grid, columns, count, row, manner);
	}
	char *hidden = grid_print(grid, screen, most, out);
	grid_free(grid);
	free(columns);
	return hidden;
}

json_t *blind_sources(struct http *http, const json_t *table)
{
	struct http_failure failure;
	json_t *answer = http_json(http, "/api/v1/tables/instances?limit=500", /* whole_s: */ 3, &failure);
	http_failure_release(&failure);
	json_t *blind = answer ? json_array() : NULL;
	size_t i;
	json_t *row;
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		if (strcmp(field_text(row, "role"), "source") == 0 && strcmp(field_text(row, "state"), "up") != 0 &&
		    feeds(row, table))
			json_array_append(blind, row);
	}
	json_decref(answer);
	return blind;
}

/* Rows that do not say where they are from, because the reader chose other columns, may be from any. */
static bool concerns(const json_t *instance, const json_t *rows)
{
	size_t i;
	const json_t *row;
	json_array_foreach(rows, i, row)
	{
		const json_t *from = json_object_get(row, "instance");
		if (!from || json_equal(from, instance))
			return true;
	}
	return json_array_size(rows) == 0;
}

static void print_blind(const json_t *source, const json_t *rows, const struct freshness *fresh,
			const struct manner *manner, const struct screen *screen, FILE *out)
{
	char *instance = visible(field_text(source, "instance")), *state = visible(field_text(source, "state"));
	char *reason = visible(field_text(source, "reason")), *since = time_text(field_text(source, "since"), manner);
	char *age = length_text(fresh->age_seconds);
	bool degraded = strcmp(state, "degraded") == 0, has_rows = json_array_size(rows) > 0;
	bool newer = confirmed_since(fresh, source),
	     old = !degraded && has_rows && isfinite(fresh->age_seconds) && !newer;
	const char *word = degraded ? "▲ PARTLY BLIND: " : newer ? "✖ " : has_rows ? "✖ LAST KNOWN: " : "✖ NOT KNOWN: ";
	char *text = must_printf("%s%s is %s since %s%s%s%s%s%s%s", word, instance, state, *since ? since : "–",
				 *reason ? " (" : "", reason, *reason ? ")" : "", old ? ", rows are " : "",
				 old ? age : "", old ? " old" : "");
	print_wrapped(screen, degraded ? TONE_WARNING : TONE_BAD, /* indent: */ 2, text, out);
	free(text);
	free(age);
	free(instance);
	free(state);
	free(reason);
	free(since);
}

bool blind_print(const json_t *sources, const json_t *rows, const struct freshness *fresh, const struct manner *manner,
		 const struct screen *screen, FILE *out)
{
	bool any = false;
	size_t i;
	const json_t *source;
	json_array_foreach(sources, i, source)
	{
		if (!concerns(json_object_get(source, "instance"), rows))
			continue;
		print_blind(source, rows, fresh, manner, screen, out);
		any = true;
	}
	return any;
}

char *freshness_text(const struct freshness *fresh, const struct screen *screen)
{
	const char *loud = screen_tone(screen, TONE_BAD), *plain = screen_plain(screen);
	if (!fresh->has_source)
		return must(strdup(""));
	char *coverage = isfinite(fresh->coverage) && fresh->coverage < 0.9995
				 ? must_printf(" · %.1f %% confirmed in time", 100 * fresh->coverage)
				 : must(strdup(""));
	char *age = ago_text(fresh->age_seconds);
	char *confirmed = isfinite(fresh->age_seconds) ? must_printf("confirmed %s", age)
						       : must_printf("%snever confirmed%s", loud, plain);
	char *text = fresh->complete ? must_printf("complete%s · %s", coverage, confirmed)
				     : must_printf("%sNOT COMPLETE: not every row has been seen yet%s%s · %s", loud,
						   plain, coverage, confirmed);
	free(coverage);
	free(age);
	free(confirmed);
	return text;
}

void hidden_print(const char *hidden, const struct screen *screen, FILE *out)
{
	if (!hidden)
		return;
	char *text = must_printf("not shown for lack of width: %s (--columns chooses)", hidden);
	print_wrapped(screen, TONE_DIM, /* indent: */ 2, text, out);
	free(text);
}
