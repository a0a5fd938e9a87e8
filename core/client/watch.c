/* SPDX-License-Identifier: MIT
 *
 * `--watch`: the server sends a view's rows and then what changes, one JSON object a line. On a terminal the rows are
 * kept, sorted and drawn anew in place, at most four times a second; ages go on between changes, because the server
 * sends a row only when it changed. Elsewhere the lines are passed on as they came. When the daemon goes away the last
 * rows stay, marked, until it is back.
 */
#include "backoff.h"
#include "clock.h"
#include "query.h"
#include "rows.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 * 1024, SILENCE_S = 25 };
static const int64_t draw_pause = CW_SECOND / 4, draw_idle = CW_SECOND, blind_pause = 2 * CW_SECOND;

struct watched_row {
	json_t *row;
	int64_t received; /* instant */
};

struct watch {
	const struct query *query;
	struct http *http, *second; /* the stream; what is asked beside it */
	struct table_info info;
	json_t *tables;
	struct screen screen;
	bool raw; /* lines go through as they came */

	struct buffer line;
	struct watched_row rows[QUERY_WATCH_MAX + 1];
	uint32_t count;
	json_t *names; /* columns, from the first row */
	json_t *sync;  /* the last sync line */
	json_t *blind; /* sources that do not see */
	int64_t synced, drawn, blind_asked;
	bool in_sync, dirty, drew;
	bool lost, deaf; /* the stream ended; what is asked beside it is not answered */
	char *trouble;   /* why the daemon is not there */
	const char *bad; /* a line that is none: ends the stream */
};

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
	stop_signal = number;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* Rows */

static const char *row_key_of(const struct watch *watch, const json_t *row)
{
	const struct column_info *key = table_key(&watch->info);
	return key ? field_text(row, key->name) : "";
}

static struct watched_row *row_find_same(struct watch *watch, const json_t *row)
{
	const char *key = row_key_of(watch, row), *instance = field_text(row, "instance");
	for (uint32_t i = 0; i < watch->count; i++)
		if (strcmp(row_key_of(watch, watch->rows[i].row), key) == 0 &&
		    strcmp(field_text(watch->rows[i].row, "instance"), instance) == 0)
			return &watch->rows[i];
	return NULL;
}

static void rows_forget(struct watch *watch)
{
	for (uint32_t i = 0; i < watch->count; i++)
		json_decref(watch->rows[i].row);
	watch->count = 0;
}

static void row_set(struct watch *watch, json_t *row)
{
	struct watched_row *at = row_find_same(watch, row);
	if (at) {
		json_decref(at->row);
	} else if (watch->count <= QUERY_WATCH_MAX) {
		at = &watch->rows[watch->count++];
	} else {
		return;
	}
	*at = (struct watched_row){.row = json_incref(row), .received = clock_now()};
	if (watch->names)
		return;
	watch->names = json_array();
	const char *name;
	const json_t *value;
	json_object_foreach(row, name, value) json_array_append_new(watch->names, json_string(name));
}

static void row_unset(struct watch *watch, const json_t *row)
{
	struct watched_row *at = row_find_same(watch, row);
	if (!at)
		return;
	json_decref(at->row);
	*at = watch->rows[--watch->count];
}

/* Lines */

static int take_change(struct watch *watch, const json_t *line)
{
	const char *op = field_text(line, "op");
	json_t *row = json_object_get(line, "row");
	watch->dirty = true;
	if (strcmp(op, "reset") == 0) {
		rows_forget(watch);
		watch->in_sync = false;
	} else if (strcmp(op, "put") == 0 && json_is_object(row)) {
		row_set(watch, row);
	} else if (strcmp(op, "remove") == 0 && json_is_object(row)) {
		row_unset(watch, row);
	} else if (strcmp(op, "sync") == 0) {
		json_decref(watch->sync);
		watch->sync = json_incref((json_t *)line);
		watch->synced = clock_now();
		watch->in_sync = true;
	}
	return 0;
}

static int take_line(struct watch *watch, const char *text, size_t length)
{
	if (watch->raw) { /* whole lines only: a cut one would join the next stream's first */
		bool written = fwrite(text, 1, length, stdout) == length && putchar('\n') != EOF && fflush(stdout) == 0;
		if (!written)
			stop_signal = SIGPIPE;
		return written ? 0 : -EIO;
	}
	if (length == 0)
		return 0;
	json_t *line = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(line)) {
		watch->bad = "a line that is not what callwatchd says";
		json_decref(line);
		return -EPROTO;
	}
	int result = take_change(watch, line);
	json_decref(line);
	return result;
}

static int take_bytes(void *arg, const char *data, size_t length)
{
	struct watch *watch = arg;
	if (watch->lost) {
		watch->lost = false;
		if (watch->raw)
			complain("callwatchd is back");
	}
	while (length) {
		const char *end = memchr(data, '\n', length);
		size_t part = end ? (size_t)(end - data) : length;
		if (http_collect(&watch->line, data, part) != 0) {
			watch->bad = "a line without end";
			return -ENOBUFS;
		}
		if (!end)
			return 0;
		if (take_line(watch, watch->line.length ? buffer_text(&watch->line) : "", watch->line.length) != 0)
			return -EPROTO;
		buffer_cut(&watch->line, 0);
		data += part + 1;
		length -= part + 1;
	}
	return 0;
}

/* Order: as the server's, over the rows at hand. Not known comes last, equal rows by
 * instance and key. */

struct order {
	const struct watch *watch;
	const char *column;
	bool down;
};

static int compare_values(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b)) {
		double x = json_number_value(a), y = json_number_value(b);
		return (x > y) - (x < y);
	}
	const char *x = json_string_value(a), *y = json_string_value(b);
	return strcmp(x ? x : "", y ? y : "");
}

static int choice_index(const struct column_info *column, const json_t *value)
{
	size_t i;
	const json_t *choice;
	json_array_foreach(column->choices, i, choice)
	{
		if (json_equal(choice, value))
			return (int)i;
	}
	return -1;
}

static int compare_rows(const void *left, const void *right, void *arg)
{
	const struct order *order = arg;
	const json_t *a = ((const struct watched_row *)left)->row, *b = ((const struct watched_row *)right)->row;
	const json_t *x = json_object_get(a, order->column), *y = json_object_get(b, order->column);
	bool no_x = !x || json_is_null(x), no_y = !y || json_is_null(y);
	if (no_x != no_y)
		return no_x - no_y;
	const struct column_info *column = table_column(&order->watch->info, order->column);
	int result = no_x                        ? 0
		     : column && column->choices ? choice_index(column, x) - choice_index(column, y)
						 : compare_values(x, y);
	if (result)
		return order->down ? -result : result;
	const char *of_a = json_string_value(json_object_get(a, "instance"));
	const char *of_b = json_string_value(json_object_get(b, "instance"));
	result = of_a && of_b ? strcmp(of_a, of_b) : 0;
	return result ? result : strcmp(row_key_of(order->watch, a), row_key_of(order->watch, b));
}

static void sort_rows(struct watch *watch)
{
	const char *sort = watch->query->sort ? watch->query->sort : watch->info.sort;
	const struct column_info *key = table_key(&watch->info);
	struct order order = {.watch = watch, .column = sort + (*sort == '-'), .down = *sort == '-'};
	if (!*order.column)
		order.column = key ? key->name : "";
	qsort_r(watch->rows, watch->count, sizeof(watch->rows[0]), compare_rows, &order);
}

/* Drawing */

/* The row as it is now: ages have grown since it came. */
static json_t *row_now(const struct watch *watch, const struct watched_row *at, int64_t now)
{
	double passed = (double)(now - at->received) / (double)CW_SECOND;
	json_t *row = json_copy(at->row);
	for (uint32_t i = 0; i < watch->info.columns_count; i++) {
		const struct column_info *column = &watch->info.columns[i];
		const json_t *value = json_object_get(row, column->name);
		if (!json_is_number(value) || (column->type != CW_AGE && column->type != CW_UNTIL))
			continue;
		double seconds = json_number_value(value) + (column->type == CW_AGE ? passed : -passed);
		json_object_set_new(row, column->name, json_real(seconds));
	}
	return row;
}

static void print_head(struct watch *watch, FILE *out)
{
	struct manner manner = manner_of(watch->query->arguments);
	char now[TEXT_TIME_SIZE], *name = visible(watch->info.name);
	text_time(now, manner.now);
	char *clock = time_text(now, &manner);
	fprintf(out, "%s%s%s", screen_tone(&watch->screen, TONE_BOLD), name, screen_plain(&watch->screen));
	for (size_t i = 0; watch->query->arguments->where[i]; i++) {
		char *where = visible(watch->query->arguments->where[i]);
		fprintf(out, " · %s", where);
		free(where);
	}
	fprintf(out, " · %s · Ctrl-C ends\n\n", clock);
	free(clock);
	free(name);
}

static void print_foot(struct watch *watch, const json_t *rows, const char *hidden, uint32_t most, FILE *out)
{
	struct manner manner = manner_of(watch->query->arguments);
	struct freshness fresh = freshness_of(watch->info.name, watch->sync);
	fresh.age_seconds += (double)(clock_now() - watch->synced) / (double)CW_SECOND;
	const char *first = watch->count == watch->query->limit ? "first " : ""; /* there may be more */
	if (watch->count > most)
		fprintf(out, "%u of the %s%u rows fit", most, first, watch->count);
	else
		fprintf(out, "%s%u row%s", first, watch->count, watch->count == 1 ? "" : "s");
	char *worth = freshness_text(&fresh, &watch->screen);
	fprintf(out, "%s%s\n", *worth ? " · " : "", worth);
	free(worth);
	if (hidden)
		print_wrapped(&watch->screen, TONE_DIM, /* indent: */ 2,
			      "some columns are not shown for lack of width (--columns chooses)", out);
	if (watch->lost || watch->deaf)
		print_wrapped(&watch->screen, TONE_BAD, /* indent: */ 2,
			      "✖ LAST KNOWN: callwatchd does not answer, trying again", out);
	else
		blind_print(watch->blind, rows, &fresh, &manner, &watch->screen, out);
}

/* Head, rows and foot as one text, with at most so many rows; the caller frees it. */
static char *paint(struct watch *watch, const json_t *rows, uint32_t most)
{
	char *picture = NULL;
	size_t length = 0;
	struct manner manner = manner_of(watch->query->arguments);
	FILE *out = must(open_memstream(&picture, &length));
	struct rows_view view = {.info = &watch->info,
				 .names = watch->names,
				 .rows = rows,
				 .chosen = watch->query->arguments->columns != NULL};
	print_head(watch, out);
	char *hidden = watch->count ? rows_print(&view, &manner, &watch->screen, most, out) : NULL;
	print_foot(watch, rows, hidden, most, out);
	free(hidden);
	fclose(out);
	return picture;
}

/* As many rows as the screen holds: what is too high is painted again with fewer. */
static char *paint_to_fit(struct watch *watch)
{
	int64_t now = clock_now();
	json_t *rows = json_array();
	for (uint32_t i = 0; i < watch->count; i++)
		json_array_append_new(rows, row_now(watch, &watch->rows[i], now));
	uint32_t most = watch->count ? watch->count : 1;
	char *picture = paint(watch, rows, most);
	for (int tries = 0; watch->screen.height && tries < 3; tries++) {
		int excess = lines_taken(picture, watch->screen.width) - (watch->screen.height - 1);
		if (excess <= 0 || most <= 1)
			break;
		most = (uint32_t)excess < most ? most - (uint32_t)excess : 1;
		free(picture);
		picture = paint(watch, rows, most);
	}
	json_decref(rows);
	return picture;
}

/* The whole picture is made first and then written at once, each line clearing what stood behind it. */
static void draw(struct watch *watch)
{
	watch->screen = screen_of(stdout);
	sort_rows(watch);
	char *picture = paint_to_fit(watch);
	fputs("\x1b[?2026h\x1b[?25l\x1b[H", stdout);
	for (char *line = picture, *end; (end = strchr(line, '\n')); line = end + 1)
		printf("%.*s\x1b[K\n", (int)(end - line), line);
	fputs("\x1b[J\x1b[?2026l", stdout);
	fflush(stdout);
	free(picture);
	watch->drew = true;
	watch->dirty = false;
	watch->drawn = clock_now();
}

static void draw_if_due(struct watch *watch)
{
	int64_t since = clock_now() - watch->drawn;
	bool wanted = watch->dirty && (watch->in_sync || watch->lost);
	if (watch->raw || (!watch->sync && !watch->drew))
		return;
	if ((wanted && since >= draw_pause) || (since >= draw_idle && (watch->in_sync || watch->lost)))
		draw(watch);
}

/* A stream that is silent may only have nothing to tell: this is answered or not. */
static void ask_who_is_blind(struct watch *watch)
{
	json_t *blind = blind_sources(watch->second, watch->info.json);
	watch->blind_asked = clock_now();
	watch->deaf = !blind;
	if (!blind)
		return;
	json_decref(watch->blind);
	watch->blind = blind;
}

static int tick(void *arg)
{
	struct watch *watch = arg;
	if (!watch->raw && watch->in_sync && clock_now() - watch->blind_asked >= blind_pause)
		ask_who_is_blind(watch);
	draw_if_due(watch);
	return stop_signal ? -EINTR : 0;
}

/* The run */

static void say_lost(struct watch *watch, const struct http_failure *failure)
{
	if (watch->lost)
		return;
	watch->lost = true;
	watch->dirty = true;
	if (watch->raw)
		complain("%s; trying again", failure->sentence ? failure->sentence
					     : watch->bad      ? watch->bad
							       : "callwatchd ended the stream");
}

static bool pause_for(struct watch *watch, int64_t length)
{
	for (int64_t until = clock_now() + length; clock_now() < until && !stop_signal;) {
		draw_if_due(watch);
		usleep(100000);
	}
	return !stop_signal;
}

/* Until Ctrl-C, or a refusal that will not change by asking again. */
static int follow(struct watch *watch, const char *path)
{
	struct backoff backoff = {.longest = 4 * CW_SECOND, .random = (uint64_t)clock_now() | 1};
	bool seen = false;
	while (!stop_signal) {
		struct http_request request = {
			.path = path, .sink = take_bytes, .tick = tick, .arg = watch, .silence_s = SILENCE_S};
		struct http_failure failure;
		buffer_cut(&watch->line, 0);
		watch->bad = NULL;
		http_do(watch->http, &request, &failure);
		if (stop_signal) {
			http_failure_release(&failure);
			break;
		}
		bool temporary = failure.kind != HTTP_REFUSED || failure.status >= 500;
		if (!temporary || (!seen && !failure.began && failure.kind != HTTP_FINE))
			return fail(&failure);
		if (failure.began || failure.kind == HTTP_FINE) {
			seen = true;
			backoff_reset(&backoff);
		}
		say_lost(watch, &failure);
		http_failure_release(&failure);
		if (!pause_for(watch, backoff_next(&backoff)))
			break;
	}
	return EXIT_FINE;
}

static int prepare(struct watch *watch)
{
	struct http_failure failure;
	watch->tables = tables_ask(watch->http, &failure);
	if (!watch->tables)
		return fail(&failure);
	const json_t *entry = table_entry(watch->tables, watch->query->table);
	if (!entry)
		return fail_no_table(watch->query->table, watch->tables);
	table_info_init(&watch->info, entry);
	return EXIT_FINE;
}

static void release(struct watch *watch)
{
	if (watch->drew)
		fputs("\x1b[?25h", stdout);
	rows_forget(watch);
	buffer_release(&watch->line);
	json_decref(watch->names);
	json_decref(watch->sync);
	json_decref(watch->blind);
	table_info_release(&watch->info);
	json_decref(watch->tables);
	http_close(watch->second);
	http_close(watch->http);
	free(watch);
}

int watch_run(const struct query *query)
{
	if (query->limit == 0 || query->limit > QUERY_WATCH_MAX) {
		complain("--watch follows at most %d rows; choose with --where, or say --limit %d", QUERY_WATCH_MAX,
			 QUERY_WATCH_MAX);
		return EXIT_USAGE;
	}
	struct watch *watch = must(calloc(1, sizeof(*watch)));
	watch->query = query;
	watch->line.ceiling = LINE_MAX_BYTES;
	watch->screen = screen_of(stdout);
	watch->raw = !watch->screen.terminal || query->arguments->format == FORMAT_NDJSON;
	watch->http = http_open(query->arguments);
	watch->second = watch->http ? http_open(query->arguments) : NULL;
	int code = watch->second ? prepare(watch) : EXIT_USAGE;
	if (code == EXIT_FINE) {
		struct path *path = query_path(query, FORMAT_NDJSON, /* watch: */ true);
		catch_signals();
		if (!watch->raw)
			fputs("\x1b[2J", stdout);
		code = follow(watch, path_text(path));
		path_free(path);
	}
	release(watch);
	return code;
}
