/* SPDX-License-Identifier: MIT
 *
 * `callwatch describe TABLE KEY`: one row, a line for each column, and below it what happened to it, from the event
 * log.
 */
#include "query.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>

static void print_value(const struct column_info *column, const json_t *value, const struct manner *manner,
			const struct screen *screen, int width)
{
	enum tone tone;
	char *name = visible(column->name), *text = value_text(column, value, manner, &tone);
	printf("  %s%s%s%*s  %s%s%s\n", screen_tone(screen, TONE_DIM), name, screen_plain(screen),
	       width - text_width(name), "", screen_tone(screen, tone), text,
	       tone == TONE_PLAIN ? "" : screen_plain(screen));
	free(name);
	free(text);
}

static void print_row(const struct table_info *info, const json_t *row, const struct manner *manner,
		      const struct screen *screen)
{
	const char *name;
	const json_t *value;
	int width = 0;
	json_object_foreach((json_t *)row, name, value)
	{
		char *shown = visible(name);
		if (text_width(shown) > width)
			width = text_width(shown);
		free(shown);
	}
	json_object_foreach((json_t *)row, name, value)
	{
		const struct column_info *known = table_column(info, name);
		struct column_info column = known ? *known : (struct column_info){.name = name, .unit = "", .help = ""};
		print_value(&column, value, manner, screen, width);
	}
}

static void print_event(const json_t *event, const struct manner *manner, const struct screen *screen)
{
	char *time = time_text(field_text(event, "time"), manner), *kind = visible(field_text(event, "kind"));
	char *from = visible(field_text(event, "from")), *to = visible(field_text(event, "to"));
	char *text = visible(field_text(event, "text")), *by = visible(field_text(event, "by"));
	printf("  %s%s%s  %s", screen_tone(screen, TONE_DIM), time, screen_plain(screen), kind);
	if (*from || *to)
		printf("  %s → %s", *from ? from : "–", *to ? to : "–");
	printf("%s%s%s%s\n", *text ? "  " : "", text, *by ? "  by " : "", by);
	free(time);
	free(kind);
	free(from);
	free(to);
	free(text);
	free(by);
}

static void print_timeline(struct http *http, const char *table, const char *key, const struct manner *manner,
			   const struct screen *screen)
{
	/* What happens to an instance bears its name alone. */
	bool is_instance = strcmp(table, "instances") == 0;
	char *subject = must_printf("subject=%s%s%s", is_instance ? "" : table, is_instance ? "" : "/", key);
	struct path *path = path_new("/api/v1/events");
	path_query(path, "where", subject);
	path_query(path, "order", "oldest");
	path_query(path, "limit", "200");
	struct http_failure failure;
	json_t *answer = http_json(http, path_text(path), /* whole_s: */ 10, &failure);
	const json_t *rows = json_object_get(answer, "rows"), *event;
	size_t i;
	printf("\n%stimeline%s\n", screen_tone(screen, TONE_BOLD), screen_plain(screen));
	if (!answer)
		puts("  not known: callwatchd keeps no events");
	else if (json_array_size(rows) == 0)
		puts("  nothing has been noted about it");
	json_array_foreach(rows, i, event) print_event(event, manner, screen);
	http_failure_release(&failure);
	json_decref(answer);
	path_free(path);
	free(subject);
}

static int show(struct http *http, const struct query *query, const struct table_info *info)
{
	struct path *path = query_path(query, FORMAT_JSON, /* watch: */ false);
	struct http_failure failure;
	json_t *answer = http_json(http, path_text(path), /* whole_s: */ 10, &failure);
	path_free(path);
	if (!answer)
		return fail(&failure);
	struct screen screen = screen_of(stdout);
	struct manner manner = manner_of(query->arguments);
	struct freshness fresh = freshness_of(query->table, answer);
	manner.whole = true;
	const json_t *rows = json_object_get(answer, "rows"), *row;
	json_t *blind = fresh.has_source ? blind_sources(http, info->json) : NULL;
	char *table = visible(query->table), *key = visible(query->key);
	size_t i;
	json_array_foreach(rows, i, row)
	{
		printf("%s%s%s %s%s\n", i ? "\n" : "", screen_tone(&screen, TONE_BOLD), table, key,
		       screen_plain(&screen));
		print_row(info, row, &manner, &screen);
	}
	if (json_array_size(rows) > 0) {
		blind_print(blind, rows, &fresh, &manner, &screen, stdout);
		print_timeline(http, query->table, query->key, &manner, &screen);
	} else {
		complain("%s has no row %s", table, key);
	}
	int code = json_array_size(rows) > 0 ? EXIT_FINE : EXIT_FAILED;
	free(table);
	free(key);
	json_decref(blind);
	json_decref(answer);
	return code;
}

int command_describe(const struct arguments *arguments)
{
	struct query query = {.arguments = arguments, .table = arguments->words[1], .key = arguments->words[2]};
	struct http *http = http_open(arguments);
	if (!http)
		return EXIT_USAGE;
	struct http_failure failure;
	json_t *tables = tables_ask(http, &failure);
	const json_t *entry = table_entry(tables, query.table);
	int code;
	if (!tables) {
		code = fail(&failure);
	} else if (!entry) {
		code = fail_no_table(query.table, tables);
	} else {
		struct table_info info;
		table_info_init(&info, entry);
		code = show(http, &query, &info);
		table_info_release(&info);
	}
	json_decref(tables);
	http_close(http);
	return code;
}
