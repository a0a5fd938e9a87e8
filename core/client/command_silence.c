/* SPDX-License-Identifier: MIT
 *
 * What people do about alerts: `callwatch ack`, somebody looks at it and it is not repeated; `callwatch silence add`,
 * nobody wants to hear of these for a while; `list` and `expire`. What a silence mutes now is said before anybody
 * relies on it.
 */
#include "query.h"
#include "rows.h"
#include "scalars.h"
#include "text.h"
#include "told.h"
#include "when.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_SHOWN = 10 };

static int usage(const char *sentence)
{
	complain("%s", sentence);
	return EXIT_USAGE;
}

/* ---- asking ---- */

/* The answer, or NULL when it was told what is wrong. */
static json_t *ask(const struct arguments *arguments, const char *method, struct path *path, const json_t *body)
{
	struct http *http = http_open(arguments);
	if (!http)
		return NULL;
	char *text = body ? must(json_dumps(body, JSON_COMPACT)) : NULL;
	struct http_failure failure;
	struct http_request question = {.method = method, .path = path_text(path), .body = text};
	json_t *answer = http_ask(http, &question, &failure);
	if (!answer)
		fail(&failure);
	free(text);
	http_close(http);
	return answer;
}

/* What is only remembered until callwatchd ends is no promise. */
static void warn_of_journal(const json_t *answer)
{
	if (json_is_false(json_object_get(answer, "journaled")))
		complain("it is not on disk: if callwatchd stops before it is, this is forgotten");
}

static void print_ids(const json_t *answer)
{
	size_t i;
	const json_t *id;
	json_int_t count = json_integer_value(json_object_get(answer, "count"));
	json_array_foreach(json_object_get(answer, "alerts"), i, id)
	{
		if (i == IDS_SHOWN)
			break;
		char *shown = visible(json_string_value(id));
		printf("  %s\n", shown);
		free(shown);
	}
	if (count > (json_int_t)i && i > 0) {
		char *more = count_text((uint64_t)(count - (json_int_t)i));
		printf("  and %s more\n", more);
		free(more);
	}
}

static void print_line(const char *text)
{
	char *shown = visible(text);
	puts(shown);
	free(shown);
}

/* ---- ack ---- */

static void set(json_t *body, const char *name, const char *text)
{
	if (text)
		json_object_set_new(body, name, must(json_string(text)));
}

int command_ack(const struct arguments *arguments)
{
	char *alert, *subject;
	if (!arguments->note || !*arguments->note)
		return usage("say what you know, or do about it: -m NOTE");
	split_alert(arguments->words[1], &alert, &subject);
	json_t *body = must(json_object());
	set(body, "alert", alert);
	set(body, "subject", arguments->words[2] ? arguments->words[2] : subject);
	set(body, "instance", arguments->instance);
	set(body, "note", arguments->note);
	struct path *path = path_new("/api/v1/acks");
	json_t *answer = ask(arguments, "POST", path, body);
	if (answer) {
		print_line(field_text(answer, "text"));
		print_ids(answer);
		puts("It is not repeated while all that fire are acknowledged; when it ends, that is still told.");
		warn_of_journal(answer);
	}
	path_free(path);
	json_decref(body);
	free(alert);
	free(subject);
	int code = answer ? EXIT_FINE : EXIT_FAILED;
	json_decref(answer);
	return code;
}

/* ---- silence add ---- */

/* The name of a rule alone is short for `alertname=NAME`. */
static json_t *matchers_of(const char *const *words)
{
	json_t *list = must(json_array());
	for (; *words; words++) {
		char *whole = strpbrk(*words, "=<>~!") ? must(strdup(*words)) : must_printf("alertname=%s", *words);
		json_array_append_new(list, must(json_string(whole)));
		free(whole);
	}
	return list;
}

/* 0, or an exit code when it is told what is wrong. */
static int check_add(const struct arguments *arguments, int64_t *ret_duration, int64_t *ret_from)
{
	struct manner manner = manner_of(arguments);
	bool has_matchers = arguments->words[2];
	if (!has_matchers && !arguments->all)
		return usage("say what it mutes: a rule's name or expressions (`alertname=call-stale worker=ai-7`), or "
			     "--all for everything");
	if (has_matchers && arguments->all)
		return usage("--all mutes everything: it goes without expressions");
	if (!arguments->duration)
		return usage("say how long: -d 2h");
	if (parse_duration(arguments->duration, ret_duration) < 0 || *ret_duration <= 0) {
		complain("-d takes a time like 30m, 2h or 7d; not \"%.60s\"", arguments->duration);
		return EXIT_USAGE;
	}
	if (!arguments->comment && !arguments->dry_run)
		return usage("say why, for those who wonder later: -c COMMENT");
	if (arguments->timezone && !arguments->every)
		return usage("--timezone is that of --every: it goes with it");
	if (arguments->from && when_parse_ahead(arguments->from, &manner, ret_from) < 0)
		return usage("--from takes " WHEN_AHEAD_FORMS);
	return EXIT_FINE;
}

static json_t *silence_body(const struct arguments *arguments, int64_t duration, int64_t from)
{
	json_t *body = must(json_object());
	char starts_at[TEXT_TIME_SIZE];
	text_time(starts_at, from);
	if (arguments->all)
		json_object_set_new(body, "all", json_true());
	else
		json_object_set_new(body, "matchers", matchers_of(arguments->words + 2));
	json_object_set_new(body, "duration_seconds", must(json_real((double)duration / (double)CW_SECOND)));
	set(body, "comment", arguments->comment);
	set(body, "starts_at", from ? starts_at : NULL);
	set(body, "every", arguments->every);
	set(body, "timezone", arguments->timezone);
	if (arguments->dry_run)
		json_object_set_new(body, "dry_run", json_true());
	return body;
}

static void print_made(const struct arguments *arguments, int64_t duration, const json_t *answer)
{
	char *id = visible(field_text(answer, "id")), *text = visible(field_text(answer, "text"));
	char *length = length_text((double)duration / (double)CW_SECOND);
	if (arguments->dry_run)
		printf("%s\n", text);
	else
		printf("silence %s for %s: %s\n", id, length, text);
	print_ids(answer);
	if (json_integer_value(json_object_get(answer, "count")) == 0)
		puts("Nothing that fires now is meant by it: is that what you want?");
	if (arguments->dry_run)
		puts("Nothing was done.");
	else
		printf("`callwatch silence expire %s` ends it.\n", id);
	free(id);
	free(text);
	free(length);
}

static int add(const struct arguments *arguments)
{
	int64_t duration = 0, from = 0;
	int code = check_add(arguments, &duration, &from);
	if (code != EXIT_FINE)
		return code;
	json_t *body = silence_body(arguments, duration, from);
	struct path *path = path_new("/api/v1/silences");
	json_t *answer = ask(arguments, "POST", path, body);
	if (answer) {
		print_made(arguments, duration, answer);
		if (!arguments->dry_run)
			warn_of_journal(answer);
	}
	path_free(path);
	json_decref(body);
	code = answer ? EXIT_FINE : EXIT_FAILED;
	json_decref(answer);
	return code;
}

/* ---- silence list, expire ---- */

static bool has_ended(const json_t *row, const struct manner *manner)
{
	int64_t ends = time_of(row, "ends_at");
	return ends && ends <= manner->now;
}

/* One that is over is told when it ended, one that has not begun when it will. */
static char *when_text(const json_t *row, const struct manner *manner)
{
	char *ends = time_text(field_text(row, "ends_at"), manner), *text;
	char *starts = time_text(field_text(row, "starts_at"), manner);
	if (has_ended(row, manner))
		text = must_printf("ended %s", ends);
	else if (time_of(row, "starts_at") > manner->now)
		text = must_printf("from %s to %s", starts, ends);
	else
		text = must_printf("until %s", ends);
	free(ends);
	free(starts);
	return text;
}

/* Matchers stand one a line; no matcher: everything. */
static char *matchers_text(const json_t *row)
{
	char *text = must(strdup(field_text(row, "matchers")));
	for (char *end = text; (end = strchr(end, '\n'));)
		*end = ' ';
	char *shown = *text ? visible(text) : must(strdup("everything"));
	free(text);
	return shown;
}

static void print_silence(struct grid *grid, const json_t *row, const struct manner *manner)
{
	static const char *const columns[] = {"every", "created_by", "comment"};
	char *id = visible(field_text(row, "id")), *what = matchers_text(row), *when = when_text(row, manner);
	const json_t *mutes = json_object_get(row, "mutes");
	char *count = json_is_integer(mutes) ? count_text((uint64_t)json_integer_value(mutes)) : must(strdup("–"));
	enum tone tone = has_ended(row, manner) ? TONE_DIM : TONE_PLAIN;
	grid_cell(grid, tone, id);
	grid_cell(grid, tone, what);
	grid_cell(grid, tone, count);
	grid_cell(grid, tone, when);
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		char *text = visible(field_text(row, columns[i]));
		grid_cell(grid, tone, text);
		free(text);
	}
	free(id);
	free(what);
	free(when);
	free(count);
}

static size_t print_silences(const json_t *answer, const struct arguments *arguments)
{
	struct screen screen = screen_of(stdout);
	struct manner manner = manner_of(arguments);
	struct grid *grid = grid_new(7, /* indent: */ 0);
	grid_column(grid, 0, "id", NULL, GRID_FIXED, 0);
	grid_column(grid, 1, "what", NULL, GRID_KEEP, 0);
	grid_column(grid, 2, "mutes now", "mutes", GRID_RIGHT, 1);
	grid_column(grid, 3, "when", NULL, GRID_FIXED, 0);
	grid_column(grid, 4, "every", NULL, GRID_WHOLE, 2);
	grid_column(grid, 5, "by", NULL, 0, 3);
	grid_column(grid, 6, "why", NULL, GRID_KEEP, 0);
	size_t i, ended = 0;
	const json_t *row;
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		ended += has_ended(row, &manner);
		if (arguments->all || !has_ended(row, &manner))
			print_silence(grid, row, &manner);
	}
	if (grid_rows(grid))
		free(grid_print(grid, &screen, /* most: */ 0, stdout));
	else
		puts("Nothing is silenced.");
	grid_free(grid);
	return ended;
}

static int list(const struct arguments *arguments)
{
	if (arguments->words[2])
		return usage("`silence list` takes no words");
	if (arguments->format != FORMAT_TABLE)
		return get_table(arguments, "silences");
	struct path *path = path_new("/api/v1/silences");
	path_query(path, "limit", "0");
	json_t *answer = ask(arguments, /* GET: */ NULL, path, /* body: */ NULL);
	path_free(path);
	if (!answer)
		return EXIT_FAILED;
	size_t ended = print_silences(answer, arguments);
	if (ended && !arguments->all)
		printf("%zu ended lately (--all shows %s)\n", ended, ended == 1 ? "it" : "them");
	json_decref(answer);
	return EXIT_FINE;
}

static int expire(const struct arguments *arguments)
{
	if (!arguments->words[2] || arguments->words[3])
		return usage("say which: `callwatch silence expire ID`; `silence list` shows them");
	struct path *path = path_new("/api/v1/silences");
	path_segment(path, arguments->words[2]);
	json_t *answer = ask(arguments, "DELETE", path, /* body: */ NULL);
	path_free(path);
	if (!answer)
		return EXIT_FAILED;
	print_line(field_text(answer, "text"));
	print_ids(answer);
	warn_of_journal(answer);
	json_decref(answer);
	return EXIT_FINE;
}

int command_silence(const struct arguments *arguments)
{
	static const struct {
		const char *name;
		int (*run)(const struct arguments *arguments);
		option_bits options;
	} verbs[] = {
		{"add", add,
		 OPTION_DURATION | OPTION_COMMENT | OPTION_EVERY | OPTION_TIMEZONE | OPTION_FROM | OPTION_ALL |
			 OPTION_DRY_RUN},
		{"list", list, OPTION_ALL | OPTION_FORMAT},
		{"expire", expire, 0},
	};
	char error[ARGUMENTS_ERROR_MAX];
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(verbs[i].name, arguments->words[1]) != 0)
			continue;
		if (arguments_allowed(arguments, verbs[i].options, error) == 0)
			return verbs[i].run(arguments);
		complain("%s with `%s`", error, verbs[i].name);
		return EXIT_USAGE;
	}
	complain("`silence` does add, list or expire; not \"%.60s\"", arguments->words[1]);
	return EXIT_USAGE;
}
