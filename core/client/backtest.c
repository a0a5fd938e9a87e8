/* SPDX-License-Identifier: MIT
 *
 * See backtest.h. A record is lines of JSON in the order of time, of any of these kinds:
 *
 *     {"time":…,"metric":…,"value":…}         a sample, as format json of plugin stdout prints it
 *     {"time":…,"kind":"transition",…}        an event, as `callwatch events --format ndjson` prints it; with a member
 *                                             `row` the row is known, without it only the column that changed
 *     {"time":…,"table":…,"row":{…}}          a row
 *
 * What is none of them is counted and passed by.
 *
 * With --since callwatchd is asked. Its event log knows each change from one state to another; that a row came, or went
 * while all was well with it, is no event. So the tables as they were are looked at too, some hundred times on the way,
 * and a row that an event is the first to name is asked for by itself. Samples are not kept there yet: rules about them
 * are tried with a record only.
 */
#include "backtest.h"

#include "client.h"
#include "http.h"
#include "loader.h"
#include "plan.h"
#include "query.h"
#include "replay.h"
#include "text.h"
#include "told.h"
#include "when.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MOST = 1024 * 1024, PAGE_EVENTS = 5000, ASK_SECONDS = 120, LOOKS = 400 };
static const int64_t between_looks_least = 30 * CW_SECOND;

/* A record of samples that is silent for so many intervals was not running. */
enum { SILENT_INTERVALS = 3 };
static const int64_t silent_least = 15 * CW_SECOND;

struct backtest {
	const struct arguments *arguments;
	struct manner manner;
	struct plan *plan;
	const struct rule *only; /* NULL: all */
	struct replay *replay;   /* NULL: nothing was told yet */
	struct http *http;       /* NULL: a record */
	int64_t began, ended;    /* wall: of what was told */
	int64_t silence;         /* ns after which a record is taken to have been interrupted; 0: it has no samples */
	uint64_t lines, samples, changes, states, others;
	int64_t next_look, between_looks; /* wall, ns: at the tables of callwatchd */
	bool was_unknown;                 /* nobody knows what was at the last look */
	bool said_unknown;
};

/* ---- the plan ---- */

static struct plan *read_plan(const struct arguments *arguments)
{
	struct problems problems;
	problems_init(&problems);
	struct config *config = config_load(arguments->config[0] ? arguments->config : NULL, &problems);
	struct plan *plan = config ? plan_make(config, PLAN_NO_SECRETS, &problems) : NULL;
	if (!plan)
		problems_print(&problems, stderr, /* json */ false);
	problems_release(&problems);
	return plan;
}

static bool find_rule(struct backtest *test, const char *name)
{
	const struct ruleset *ruleset = test->plan->ruleset;
	uint32_t count = ruleset_count(ruleset);
	test->only = name ? ruleset_find(ruleset, name) : NULL;
	if (!name || test->only)
		return true;
	const char **names = must(calloc(count + 1, sizeof *names));
	char hint[NAME_HINT_SIZE];
	for (uint32_t i = 0; i < count; i++)
		names[i] = ruleset_at(ruleset, i)->name;
	complain("there is no rule \"%.80s\" in this configuration, or it is switched off%s", name,
		 name_hint(hint, name, names, count));
	free(names);
	return false;
}

/* Is anything about this table to be told? */
static bool is_wanted(const struct backtest *test, const char *table)
{
	if (!test->only)
		return ruleset_has_table(test->plan->ruleset, table);
	return test->only->kind == RULE_ROWS && strcmp(test->only->table, table) == 0;
}

/* ---- what is told ---- */

/* Time goes on to this line's. */
static void go_to(struct backtest *test, int64_t wall)
{
	if (!test->replay) {
		test->began = test->ended = wall;
		test->replay = replay_new(test->plan, wall);
	}
	bool is_watched = !test->was_unknown && (!test->silence || wall - test->ended < test->silence);
	replay_until(test->replay, wall, is_watched);
	test->ended = wall > test->ended ? wall : test->ended;
}

static bool tell_sample(struct backtest *test, const json_t *line)
{
	double interval = json_number_value(json_object_get(line, "interval"));
	if (interval > 0 && interval < 86400) {
		int64_t silence = (int64_t)(interval * SILENT_INTERVALS * (double)CW_SECOND);
		silence = silence > silent_least ? silence : silent_least;
		test->silence = silence > test->silence ? silence : test->silence;
	}
	bool is_one = replay_sample(test->replay, line);
	test->samples += is_one;
	return is_one;
}

static bool tell_row(struct backtest *test, const char *table, const json_t *row)
{
	bool is_one = replay_row(test->replay, table, row);
	test->changes += is_one;
	return is_one;
}

/* A row that is new: as it was then, if callwatchd knows. Times are told in whole milliseconds, so a row that has just
 * begun is there in the next. */
static void fetch_row(struct backtest *test, const char *table, const char *instance, const char *key)
{
	struct http_failure failure;
	char time[TEXT_TIME_SIZE];
	text_time(time, test->ended + CW_MILLISECOND);
	struct path *path = path_new("/api/v1/tables");
	path_segment(path, table);
	path_segment(path, key);
	path_query(path, "at", time);
	path_query(path, "instance", instance);
	json_t *answer = http_json(test->http, path_text(path), ASK_SECONDS, &failure);
	path_free(path);
	if (answer)
		tell_row(test, table, json_array_get(json_object_get(answer, "rows"), 0));
	else
		http_failure_release(&failure);
	json_decref(answer);
}

/* `calls/CA1` */
static bool tell_transition(struct backtest *test, const json_t *event)
{
	const char *subject = json_string_value(json_object_get(event, "subject"));
	const char *instance = json_string_value(json_object_get(event, "by"));
	const json_t *to = json_object_get(event, "to"), *row = json_object_get(event, "row");
	const char *slash = subject ? strchr(subject, '/') : NULL;
	if (!slash || !instance)
		return false;
	char *table = must(strndup(subject, (size_t)(slash - subject)));
	bool is_new = is_wanted(test, table) && json_is_string(to) &&
		      !replay_has_row(test->replay, table, instance, slash + 1);
	bool is_one = false;
	if (json_is_object(row) && json_is_string(to)) {
		is_one = tell_row(test, table, row);
	} else {
		if (is_new && test->http)
			fetch_row(test, table, instance, slash + 1);
		is_one = replay_change(test->replay, table, instance, slash + 1, json_string_value(to));
		test->changes += is_one;
	}
	free(table);
	return is_one || !json_is_string(to); /* that a row went which was never told is nothing */
}

static bool tell_event(struct backtest *test, const json_t *event, const char *kind)
{
	const char *subject = json_string_value(json_object_get(event, "subject"));
	const char *to = json_string_value(json_object_get(event, "to"));
	if (strcmp(kind, "transition") == 0)
		return tell_transition(test, event);
	if (strcmp(kind, "source") == 0 && subject && to) {
		replay_state(test->replay, subject, to, json_string_value(json_object_get(event, "text")));
		test->states++;
	}
	return true;
}

/* False: it is nothing that is known here. */
static bool tell(struct backtest *test, const json_t *line)
{
	const char *time = json_string_value(json_object_get(line, "time"));
	const char *kind = json_string_value(json_object_get(line, "kind"));
	const char *table = json_string_value(json_object_get(line, "table"));
	int64_t wall;
	if (!time || text_parse_time(time, strlen(time), &wall, NULL) < 0)
		return false;
	go_to(test, wall);
	if (json_object_get(line, "metric"))
		return tell_sample(test, line);
	if (table)
		return tell_row(test, table, json_object_get(line, "row"));
	return kind && tell_event(test, line, kind);
}

/* ---- a record ---- */

static void tell_line(struct backtest *test, const char *text, size_t length)
{
	json_t *line = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	test->lines++;
	if (!json_is_object(line) || !tell(test, line))
		test->others++;
	json_decref(line);
}

static int read_record(struct backtest *test, const char *path)
{
	bool is_input = strcmp(path, "-") == 0;
	FILE *file = is_input ? stdin : fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	if (!file) {
		complain("%s: %s", path, strerror(errno));
		return -1;
	}
	while ((length = getline(&line, &room, file)) >= 0)
		if (length > LINE_MOST)
			test->others++;
		else if (strspn(line, " \t\r\n") < (size_t)length)
			tell_line(test, line, (size_t)length);
	bool failed = ferror(file);
	free(line);
	if (!is_input)
		fclose(file);
	if (failed)
		complain("%s: it cannot be read to its end", path);
	return failed ? -1 : 0;
}

/* ---- callwatchd's memory ---- */

static void say_progress(const struct backtest *test, bool is_over)
{
	if (!isatty(STDERR_FILENO))
		return;
	char time[TEXT_TIME_SIZE];
	text_time(time, test->ended);
	char *shown = time_text(time, &test->manner);
	fprintf(stderr, is_over ? "\r\033[K" : "\r\033[Ktried until %s", shown);
	free(shown);
}

/* NULL, and said, or *ret_unknown: nobody knows what was then. */
static json_t *fetch_table(struct backtest *test, const char *table, int64_t wall, bool *ret_unknown)
{
	struct http_failure failure;
	char time[TEXT_TIME_SIZE];
	text_time(time, wall);
	struct path *path = path_new("/api/v1/tables");
	path_segment(path, table);
	path_query(path, "at", time);
	path_query(path, "limit", "0");
	json_t *answer = http_json(test->http, path_text(path), ASK_SECONDS, &failure);
	path_free(path);
	*ret_unknown = !answer && failure.kind == HTTP_REFUSED && failure.status == 404;
	if (*ret_unknown && !test->said_unknown)
		complain("table %s: %s", table, failure.sentence);
	test->said_unknown = test->said_unknown || *ret_unknown;
	if (answer || *ret_unknown) {
		http_failure_release(&failure);
		return answer;
	}
	fail(&failure);
	return NULL;
}

/* Who could see when it began. */
static bool look_at_instances(struct backtest *test)
{
	bool is_unknown;
	size_t i;
	const json_t *row;
	json_t *answer = fetch_table(test, "instances", test->ended, &is_unknown);
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		replay_state(test->replay, field_text(row, "instance"), field_text(row, "state"),
			     json_string_value(json_object_get(row, "reason")));
	}
	json_decref(answer);
	return answer || is_unknown;
}

/* The whole table, as it is at this moment. */
static void tell_table(struct backtest *test, const char *table, const json_t *answer)
{
	size_t i;
	const json_t *row;
	replay_full_begin(test->replay, table);
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		tell_row(test, table, row);
	}
	replay_full_end(test->replay, table);
}

/* Is this the first rule about its table, of those that are tried? Of `instances` events tell all. */
static bool brings_table(const struct backtest *test, uint32_t i)
{
	const struct ruleset *ruleset = test->plan->ruleset;
	const struct rule *rule = ruleset_at(ruleset, i);
	if (rule->kind != RULE_ROWS || rule->sleeps || !is_wanted(test, rule->table) ||
	    strcmp(rule->table, "instances") == 0)
		return false;
	for (uint32_t j = 0; j < i; j++) {
		const struct rule *other = ruleset_at(ruleset, j);
		if (other->kind == RULE_ROWS && !other->sleeps && strcmp(other->table, rule->table) == 0)
			return false;
	}
	return true;
}

/* Time goes on to then, if somebody watched all the while, and the tables are looked at. */
static bool look(struct backtest *test, int64_t wall)
{
	uint32_t count = ruleset_count(test->plan->ruleset);
	json_t **answers = must(calloc(count + 1, sizeof(json_t *)));
	bool is_fine = true, is_unknown, any_unknown = false;
	for (uint32_t i = 0; i < count && is_fine; i++)
		if (brings_table(test, i)) {
			answers[i] = fetch_table(test, ruleset_at(test->plan->ruleset, i)->table, wall, &is_unknown);
			is_fine = answers[i] || is_unknown;
			any_unknown = any_unknown || is_unknown;
		}
	test->was_unknown = test->was_unknown || any_unknown;
	go_to(test, wall);
	test->was_unknown = any_unknown;
	for (uint32_t i = 0; i < count; i++) {
		if (answers[i])
			tell_table(test, ruleset_at(test->plan->ruleset, i)->table, answers[i]);
		json_decref(answers[i]);
	}
	free(answers);
	return is_fine;
}

/* With a look at each step on the way. */
static bool walk(struct backtest *test, int64_t wall)
{
	for (; test->next_look <= wall; test->next_look += test->between_looks) {
		if (!look(test, test->next_look))
			return false;
		say_progress(test, /* is_over */ false);
	}
	return true;
}

static json_t *fetch_events(struct backtest *test, const char *since, const char *until, struct http_failure *failure)
{
	struct path *path = path_new("/api/v1/events");
	char limit[16];
	snprintf(limit, sizeof limit, "%d", PAGE_EVENTS);
	path_query(path, "since", since);
	path_query(path, "until", until);
	path_query(path, "where", "kind=~^(transition|source)$");
	path_query(path, "order", "oldest");
	path_query(path, "limit", limit);
	json_t *answer = http_json(test->http, path_text(path), ASK_SECONDS, failure);
	path_free(path);
	return answer;
}

/* Pages overlap in the millisecond in which one ends: what has been told is left out by its id. */
static int tell_events(struct backtest *test, const char *since, const char *until)
{
	char from[TEXT_TIME_SIZE], last_id[64] = "";
	snprintf(from, sizeof from, "%s", since);
	for (;;) {
		struct http_failure failure;
		json_t *answer = fetch_events(test, from, until, &failure);
		if (!answer)
			return fail(&failure);
		const json_t *rows = json_object_get(answer, "rows"), *event;
		size_t i, fresh = 0;
		json_array_foreach(rows, i, event)
		{
			const char *id = field_text(event, "id");
			if (*last_id && strcmp(id, last_id) <= 0)
				continue;
			fresh++;
			test->lines++;
			if (!walk(test, time_of(event, "time"))) {
				json_decref(answer);
				return EXIT_FAILED;
			}
			test->others += !tell(test, event);
			test->was_unknown = false; /* somebody saw it */
			snprintf(last_id, sizeof last_id, "%s", id);
			snprintf(from, sizeof from, "%s", field_text(event, "time"));
		}
		bool is_last = json_array_size(rows) < PAGE_EVENTS || fresh == 0;
		json_decref(answer);
		say_progress(test, /* is_over */ false);
		if (is_last)
			return EXIT_FINE;
	}
}

static int ask_memory(struct backtest *test, const char *since_text)
{
	int64_t since;
	char from[TEXT_TIME_SIZE], until[TEXT_TIME_SIZE];
	if (when_parse(since_text, &test->manner, &since) < 0 || since >= test->manner.now) {
		complain("--since takes " WHEN_FORMS "; not \"%.60s\"", since_text);
		return EXIT_USAGE;
	}
	test->http = http_open(test->arguments);
	if (!test->http)
		return EXIT_USAGE;
	text_time(from, since);
	text_time(until, test->manner.now);
	go_to(test, since);
	test->next_look = since;
	test->between_looks = (test->manner.now - since) / LOOKS;
	if (test->between_looks < between_looks_least)
		test->between_looks = between_looks_least;
	int code = look_at_instances(test) ? tell_events(test, from, until) : EXIT_FAILED;
	if (code == EXIT_FINE && !walk(test, test->manner.now))
		code = EXIT_FAILED;
	if (code == EXIT_FINE)
		go_to(test, test->manner.now);
	say_progress(test, /* is_over */ true);
	return code;
}

/* ---- what came of it ---- */

static char *moment_text(const struct backtest *test, int64_t wall)
{
	char time[TEXT_TIME_SIZE];
	text_time(time, wall);
	return time_text(time, &test->manner);
}

static void print_alert(const struct backtest *test, const struct replayed *one, const struct screen *screen)
{
	char *fired = moment_text(test, one->firing_since), *subject = visible(one->subject);
	char *summary = visible(one->summary);
	int64_t lasted = (one->resolved_at ? one->resolved_at : test->ended) - one->firing_since;
	const char *how = one->resolved_at ? one->reason : "fires still";
	bool says_subject = strstr(summary, subject) != NULL;
	char *line = must_printf("  %s  for %s, %s: %s%s%s", fired, text_ns(lasted).text, how,
				 says_subject ? "" : subject, says_subject ? "" : ": ", summary);
	print_wrapped(screen, TONE_PLAIN, /* indent */ 4, line, stdout);
	free(line);
	free(summary);
	free(subject);
	free(fired);
}

/* Why there is nothing to show, which is not the same as that all was well. */
static void print_nothing(const struct backtest *test, const struct rule *rule, const struct tried *tried)
{
	if (rule->sleeps)
		printf("%s: sleeps: its plugin is not configured\n", rule->name);
	else if (!tried->seen && rule->kind == RULE_ROWS)
		printf("%s: would not have fired, but no row of table %s was told of\n", rule->name, rule->table);
	else if (!tried->seen && test->http)
		printf("%s: cannot be tried: it is about samples, which callwatchd does not keep; record them by "
		       "plugin "
		       "stdout, format json, and use --file\n",
		       rule->name);
	else if (!tried->seen && rule->test != RULE_ABSENT)
		printf("%s: cannot be tried: there is no sample of %s\n", rule->name, rule->selector.metric);
	else if (tried->ceased)
		printf("%s: would not have fired; it pended %llu time%s, for %s of %s at most\n", rule->name,
		       (unsigned long long)tried->ceased, tried->ceased == 1 ? "" : "s", text_ns(tried->held_most).text,
		       text_ns(rule->hold).text);
	else
		printf("%s: would not have fired\n", rule->name);
}

static void print_rule(const struct backtest *test, const struct rule *rule, const struct screen *screen)
{
	const struct tried *tried = replay_tried(test->replay, rule);
	if (!tried->fired) {
		print_nothing(test, rule, tried);
		return;
	}
	printf("%s (%s): would have fired %llu time%s\n", rule->name, severity_names[rule->severity],
	       (unsigned long long)tried->fired, tried->fired == 1 ? "" : "s");
	for (uint32_t i = 0; i < replay_count(test->replay); i++)
		if (replay_at(test->replay, i)->rule == rule)
			print_alert(test, replay_at(test->replay, i), screen);
}

static void print_sources(const struct backtest *test)
{
	char *began = moment_text(test, test->began), *ended = moment_text(test, test->ended);
	printf("\nfrom %s to %s: %llu samples, %llu changes of rows, %llu of instances\n", began, ended,
	       (unsigned long long)test->samples, (unsigned long long)test->changes, (unsigned long long)test->states);
	if (test->others)
		complain("%llu of %llu lines are no sample, event or row that is known here",
			 (unsigned long long)test->others, (unsigned long long)test->lines);
	free(began);
	free(ended);
}

static int print(const struct backtest *test)
{
	struct screen screen = screen_of(stdout);
	if (!test->replay || test->others == test->lines) {
		complain("there is nothing in it to try a rule with: it takes lines of JSON, samples (plugin stdout, "
			 "format "
			 "json), events, or rows");
		return EXIT_FAILED;
	}
	replay_end(test->replay);
	for (uint32_t i = 0; i < ruleset_count(test->plan->ruleset); i++) {
		const struct rule *rule = ruleset_at(test->plan->ruleset, i);
		if (!test->only || rule == test->only)
			print_rule(test, rule, &screen);
	}
	print_sources(test);
	return EXIT_FINE;
}

int backtest(const struct arguments *arguments, const char *rule)
{
	struct backtest test = {.arguments = arguments, .manner = manner_of(arguments)};
	int code = EXIT_FINE;
	test.manner.whole = true; /* of a week, each time with its date */
	test.plan = read_plan(arguments);
	if (!test.plan)
		return EXIT_BAD_CONFIG;
	if (!find_rule(&test, rule))
		code = EXIT_USAGE;
	else if (arguments->file)
		code = read_record(&test, arguments->file) < 0 ? EXIT_FAILED : EXIT_FINE;
	else
		code = ask_memory(&test, arguments->since);
	if (code == EXIT_FINE)
		code = print(&test);
	replay_free(test.replay);
	http_close(test.http);
	plan_unref(test.plan);
	return code;
}
