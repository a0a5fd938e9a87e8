/* SPDX-License-Identifier: MIT
 *
 * `callwatch get TABLE [KEY]` and its short forms: rows for people, or the server's own bytes for programs. Machine
 * formats are passed through unchanged, so that what is stored is what the server said, to the last byte.
 */
#include "query.h"
#include "rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One row as ndjson or CSV: the server has these for rows that are chosen, so the key becomes a condition. */
static char *key_condition(struct http *http, const struct query *query)
{
	struct http_failure failure;
	json_t *tables = tables_ask(http, &failure);
	const json_t *entry = table_entry(tables, query->table);
	struct table_info info = {0};
	char *condition = NULL;
	if (entry)
		table_info_init(&info, entry);
	if (entry && table_key(&info))
		condition = must_printf("%s=%s", table_key(&info)->name, query->key);
	table_info_release(&info);
	http_failure_release(&failure);
	json_decref(tables);
	return condition;
}

static struct path *stream_path(struct http *http, const struct query *query)
{
	enum format format = query->arguments->format;
	char *condition = query->key && format != FORMAT_JSON ? key_condition(http, query) : NULL;
	if (!condition)
		return query_path(query, format, /* watch: */ false);
	struct query rows = *query;
	rows.key = NULL;
	struct path *path = query_path(&rows, format, /* watch: */ false);
	path_query(path, "where", condition);
	free(condition);
	return path;
}

static int stream(struct http *http, const struct query *query)
{
	struct path *path = stream_path(http, query);
	struct http_request request = {.path = path_text(path), .sink = sink_stdout};
	struct http_failure failure;
	int code = EXIT_FINE;
	if (http_do(http, &request, &failure) != 0 && failure.kind != HTTP_STOPPED) {
		fflush(stdout);
		if (failure.status == 404 && !query->key) {
			struct http_failure ignored;
			json_t *tables = tables_ask(http, &ignored);
			http_failure_release(&ignored);
			code = tables && !table_entry(tables, query->table) ? fail_no_table(query->table, tables)
									    : fail(&failure);
			json_decref(tables);
		} else {
			code = fail(&failure);
		}
	}
	http_failure_release(&failure);
	path_free(path);
	return code;
}

static void print_time(const char *words, const struct query *query, const char *rfc3339)
{
	struct manner manner = manner_of(query->arguments);
	char *time = *rfc3339 ? time_text(rfc3339, &manner) : NULL;
	if (time)
		printf(" · %s %s", words, time);
	free(time);
}

/* As of when, and how far back the log reaches. */
static void print_past(const struct query *query, const json_t *answer)
{
	bool is_cut = query->is_log && query->limit > 0 &&
		      json_array_size(json_object_get(answer, "rows")) == (size_t)query->limit;
	if (query->at)
		print_time("as it was at", query, field_text(answer, "at"));
	if (is_cut)
		fputs(" · more with --limit N", stdout);
	else
		print_time("known since", query, field_text(answer, "log_from"));
}

static void print_footer(const struct query *query, const json_t *answer, const struct screen *screen)
{
	size_t rows = json_array_size(json_object_get(answer, "rows"));
	json_int_t total = json_integer_value(json_object_get(answer, "total"));
	char *shown = count_text(rows), *all = count_text(total > 0 ? (uint64_t)total : 0);
	struct freshness fresh = freshness_of(query->table, answer);
	fresh.has_source &= !query->at;
	char *worth = freshness_text(&fresh, screen);
	if (total > (json_int_t)rows)
		printf("%s of %s rows", shown, all);
	else
		printf("%s row%s", shown, rows == 1 ? "" : "s");
	printf("%s%s", *worth ? " · " : "", worth);
	if (query->is_log || query->at)
		print_past(query, answer);
	if (total > (json_int_t)rows && !query->arguments->where[0] && !(query->arguments->given & OPTION_LIMIT))
		fputs(" · more with --limit N, fewer with --where EXPR", stdout);
	putchar('\n');
	free(worth);
	free(shown);
	free(all);
}

static int show(struct http *http, const struct query *query, const struct table_info *info)
{
	struct path *path = query_path(query, FORMAT_JSON, /* watch: */ false);
	struct http_failure failure;
	json_t *answer = http_json(http, path_text(path), /* whole_s: */ 0, &failure);
	path_free(path);
	if (!answer)
		return fail(&failure);
	struct screen screen = screen_of(stdout);
	struct manner manner = manner_of(query->arguments);
	struct rows_view view = {.info = info,
				 .names = json_object_get(answer, "columns"),
				 .rows = json_object_get(answer, "rows"),
				 .chosen = query->arguments->columns != NULL};
	struct freshness fresh = freshness_of(query->table, answer);
	fresh.has_source &= !query->at;
	json_t *blind = fresh.has_source ? blind_sources(http, info->json) : NULL;
	char *hidden = json_array_size(view.rows) ? rows_print(&view, &manner, &screen, /* most: */ 0, stdout) : NULL;
	hidden_print(hidden, &screen, stdout);
	print_footer(query, answer, &screen);
	blind_print(blind, view.rows, &fresh, &manner, &screen, stdout);
	free(hidden);
	json_decref(blind);
	json_decref(answer);
	return EXIT_FINE;
}

static void list_tables(const json_t *tables)
{
	struct screen screen = screen_of(stdout);
	struct grid *grid = grid_new(3, /* indent: */ 0);
	grid_column(grid, 0, "table", NULL, GRID_FIXED, 0);
	grid_column(grid, 1, "rows", NULL, GRID_RIGHT, 0);
	grid_column(grid, 2, "what", NULL, GRID_KEEP, 0);
	size_t i;
	const json_t *entry;
	json_array_foreach(json_object_get(tables, "tables"), i, entry)
	{
		char *name = visible(field_text(entry, "name")), *help = visible(field_text(entry, "help"));
		char *rows = count_text((uint64_t)json_integer_value(json_object_get(entry, "rows")));
		grid_cell(grid, TONE_PLAIN, name);
		grid_cell(grid, TONE_PLAIN, rows);
		grid_cell(grid, TONE_PLAIN, help);
		free(name);
		free(help);
		free(rows);
	}
	free(grid_print(grid, &screen, /* most: */ 0, stdout));
	grid_free(grid);
	puts("\n`callwatch TABLE` shows its rows, `callwatch TABLE --help` its columns.");
}

/* What is asked about the tables first: their columns are needed to lay rows out. */
static int show_table(struct http *http, const struct query *query)
{
	struct http_failure failure;
	json_t *tables = tables_ask(http, &failure);
	if (!tables) {
		if (failure.kind == HTTP_UNREACHABLE && query->table && !client_command(query->arguments->words[0]))
			complain("\"%s\" is no command; it may be a table, but only callwatchd knows", query->table);
		return fail(&failure);
	}
	const json_t *entry = query->table ? table_entry(tables, query->table) : NULL;
	int code = EXIT_FINE;
	if (!query->table) {
		list_tables(tables);
	} else if (!entry) {
		code = fail_no_table(query->table, tables);
	} else {
		struct table_info info;
		table_info_init(&info, entry);
		code = show(http, query, &info);
		table_info_release(&info);
	}
	json_decref(tables);
	return code;
}

static int usage(const char *sentence)
{
	complain("%s", sentence);
	return EXIT_USAGE;
}

static int run(const struct arguments *arguments, const char *table, const char *key, bool is_log)
{
	struct query query = {
		.arguments = arguments, .table = table, .key = key, .sort = arguments->sort, .is_log = is_log};
	bool machine = arguments->format != FORMAT_TABLE;
	if (machine && !table)
		return usage("name a table; `callwatch get` lists them");
	if (key && (arguments->where[0] || (arguments->given & (OPTION_SORT | OPTION_LIMIT))))
		return usage("a KEY names one row: it goes without --where, --sort and --limit");
	if (arguments->watch && (key || !table))
		return usage("--watch follows a table: `callwatch calls --watch`, and --where chooses rows");
	if (arguments->watch && (arguments->format == FORMAT_JSON || arguments->format == FORMAT_CSV))
		return usage("--watch gives a table or ndjson");
	if (arguments->at && (arguments->watch || arguments->reveal || !table))
		return usage("--at shows a table as it was: it goes without --watch and --reveal");
	if (query_times(&query) < 0)
		return EXIT_USAGE;
	bool all = arguments->format == FORMAT_NDJSON || arguments->format == FORMAT_CSV;
	query.limit = arguments->limit >= 0 ? arguments->limit : all && !arguments->watch ? 0 : QUERY_LIMIT;
	if (arguments->watch)
		return watch_run(&query);
	struct http *http = http_open(arguments);
	if (!http)
		return EXIT_USAGE;
	int code = machine ? stream(http, &query) : show_table(http, &query);
	http_close(http);
	return code;
}

int get_table(const struct arguments *arguments, const char *table)
{
	return run(arguments, table, /* key: */ NULL, /* is_log: */ false);
}

int command_get(const struct arguments *arguments)
{
	bool is_short = strcmp(arguments->words[0], "get") != 0;
	const char *const *words = arguments->words + (is_short ? 0 : 1);
	return run(arguments, words[0], words[0] ? words[1] : NULL, /* is_log: */ false);
}

/* What comes is followed in the table; what was, in any order but that of time, too. */
int command_events(const struct arguments *arguments)
{
	bool is_log = !arguments->watch && !arguments->sort && !arguments->instance && !arguments->reveal;
	if (!is_log && (arguments->since || arguments->until))
		return usage("--since and --until go without --follow, --sort, --instance and --reveal");
	return run(arguments, "events", NULL, is_log);
}
