/* SPDX-License-Identifier: MIT
 *
 * `callwatch alerts`: what fires, the worst first, rule by rule; then what cannot be judged because its source is
 * blind, then what may fire soon. Nothing is cut: a subject is what one types behind `why`. What has ended within the
 * last hour is counted, and shown with --all. Machine formats and --watch are those of `get alerts`.
 */
#include "query.h"
#include "rows.h"
#include "told.h"

#include <stdlib.h>
#include <string.h>

/* In the order in which they are shown. */
static const char *const states[] = {"firing", "unknown", "pending", "resolved", NULL};
enum { STATES = 4, RESOLVED = 3, SUBJECTS_SHOWN = 5, WORD = 8, INDENT = 11 };
static const char *const verbs[STATES] = {"firing", "unknown (its source is blind)", "pending", "ended"};

struct alerts {
	const struct arguments *arguments;
	struct http *http;
	json_t *tables;
	struct screen screen;
	struct manner manner;
	json_t *answers[STATES];
};

static const char *const wanted[] = {"id",          "alert",         "subject",      "instance",     "severity",
				     "state",       "pending_since", "firing_since", "value",        "summary",
				     "common",      "notified",      "silenced_by",  "inhibited_by", "acked_by",
				     "resolved_at", "reason",        "held_seconds", "for_seconds",  NULL};

/* Of one rule, or of all; the most severe first, of those, the latest. */
static json_t *ask_for_state(const struct alerts *alerts, const char *state, const char *rule, int64_t limit,
			     struct http_failure *ret_failure)
{
	const struct arguments *arguments = alerts->arguments;
	const char *where[ARGUMENTS_WHERE_MAX + 4] = {NULL};
	size_t n = 0;
	char *of_state = must_printf("state=%s", state);
	char *of_instance = arguments->instance ? must_printf("instance=%s", arguments->instance) : NULL;
	char *of_rule = rule ? must_printf("alert=%s", rule) : NULL;
	where[n++] = of_state;
	if (of_rule)
		where[n++] = of_rule;
	if (of_instance)
		where[n++] = of_instance;
	for (size_t i = 0; arguments->where[i]; i++)
		where[n++] = arguments->where[i];
	struct rows_question question = {.table = "alerts",
					 .sort = arguments->sort ? arguments->sort : "-severity",
					 .where = where,
					 .columns = wanted,
					 .limit = limit};
	json_t *answer = rows_ask(alerts->http, alerts->tables, &question, ret_failure);
	free(of_state);
	free(of_rule);
	free(of_instance);
	return answer;
}

/* 0, or an exit code when it is told what is wrong. */
static int ask(struct alerts *alerts)
{
	const struct arguments *arguments = alerts->arguments;
	int64_t limit = arguments->limit >= 0 ? arguments->limit : QUERY_LIMIT;
	struct http_failure failure;
	alerts->tables = tables_ask(alerts->http, &failure);
	if (!alerts->tables)
		return fail(&failure);
	if (!table_entry(alerts->tables, "alerts")) {
		complain("this callwatchd keeps no alerts");
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < STATES; i++) {
		bool shown = i != RESOLVED || arguments->all;
		alerts->answers[i] = ask_for_state(alerts, states[i], NULL, shown ? limit : 1, &failure);
		if (!alerts->answers[i])
			return fail(&failure);
	}
	return EXIT_FINE;
}

/* ---- the alerts of one rule in one state ---- */

struct bunch {
	size_t state;
	json_t *rows;        /* array, its own */
	const json_t *first; /* of them */
	size_t count;
	uint64_t total; /* with those that were not asked for */
	bool is_total_known;
};

/* Those with the same rule as row `from`, which is the first of them. */
static struct bunch bunch_of(const json_t *rows, size_t from, size_t state)
{
	struct bunch bunch = {.state = state, .rows = must(json_array()), .first = json_array_get(rows, from)};
	const char *alert = field_text(bunch.first, "alert");
	for (size_t i = from; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		if (strcmp(field_text(row, "alert"), alert) == 0)
			json_array_append(bunch.rows, row);
	}
	bunch.count = json_array_size(bunch.rows);
	return bunch;
}

static bool have_the_same(const struct bunch *bunch, char *(*text_of)(const json_t *row))
{
	char *first = text_of(bunch->first);
	bool same = true;
	size_t i;
	const json_t *row;
	json_array_foreach(bunch->rows, i, row)
	{
		char *text = text_of(row);
		same = same && strcmp(text, first) == 0;
		free(text);
	}
	free(first);
	return same;
}

/* Since when it is as it is: fires, pends; and when it ended. */
static int64_t since_of(const json_t *row, size_t state)
{
	static const char *const columns[STATES] = {"firing_since", "firing_since", "pending_since", "resolved_at"};
	int64_t wall = time_of(row, columns[state]);
	return wall ? wall : time_of(row, "pending_since");
}

/* Of many the one that is so longest. */
static char *longest_text(const struct alerts *alerts, const struct bunch *bunch)
{
	int64_t first = 0;
	size_t i;
	const json_t *row;
	json_array_foreach(bunch->rows, i, row)
	{
		int64_t since = since_of(row, bunch->state);
		first = since && (first == 0 || since < first) ? since : first;
	}
	return since_text(first, &alerts->manner);
}

/* What it is about, with its subject where that does not say it. */
static char *what_text(const json_t *row)
{
	const char *summary = field_text(row, "summary"), *subject = field_text(row, "subject");
	char *shown = visible(summary), *named = visible(subject);
	bool says = strstr(summary, subject);
	char *text = says ? must_printf("%s", shown) : must_printf("%s%s(%s)", shown, *shown ? " " : "", named);
	free(shown);
	free(named);
	return text;
}

static char *common_text(const json_t *row)
{
	return visible(field_text(row, "common"));
}

/* Not all that are in this state were asked for. */
static bool is_cut(const struct alerts *alerts, size_t state)
{
	const json_t *answer = alerts->answers[state];
	return (json_int_t)json_array_size(json_object_get(answer, "rows")) < total_of(answer);
}

/* How many there are; at least those that have come, if nobody can say. */
static void count_all(const struct alerts *alerts, struct bunch *bunch)
{
	struct http_failure failure;
	bool cut = is_cut(alerts, bunch->state);
	json_t *answer =
		cut ? ask_for_state(alerts, states[bunch->state], field_text(bunch->first, "alert"), 1, &failure)
		    : NULL;
	json_int_t total = answer ? total_of(answer) : 0;
	bool is_more = total >= (json_int_t)bunch->count;
	bunch->total = is_more ? (uint64_t)total : bunch->count;
	bunch->is_total_known = !cut || is_more;
	json_decref(answer);
}

static void print_heading(const struct alerts *alerts, const struct bunch *bunch)
{
	enum tone tone;
	const char *shape = alert_shape(bunch->first, &tone), *verb = bunch->state == RESOLVED ? "ended" : "for";
	char *word = visible(field_text(bunch->first, bunch->state == 0 ? "severity" : "state"));
	char *alert = visible(field_text(bunch->first, "alert")), *since = longest_text(alerts, bunch);
	char *ago = bunch->state == RESOLVED ? must_printf("%s ago", since) : must(strdup(since));
	char *number = count_text(bunch->total);
	printf("%s%s %-*s%s %s%s%s  ", screen_tone(&alerts->screen, tone), shape, WORD, word,
	       screen_plain(&alerts->screen), screen_tone(&alerts->screen, TONE_BOLD), alert,
	       screen_plain(&alerts->screen));
	if (bunch->total == 1)
		printf("%s %s\n", verb, ago);
	else
		printf("%s%s subjects, the first %s %s\n", bunch->is_total_known ? "" : "at least ", number, verb, ago);
	free(word);
	free(alert);
	free(since);
	free(ago);
	free(number);
}

/* Below the heading; the text is freed. */
static void print_below(const struct alerts *alerts, enum tone tone, const char *before, char *text)
{
	char *line = must_printf("%*s%s%s", INDENT, "", before, text);
	if (*text)
		print_wrapped(&alerts->screen, tone, INDENT + 2, line, stdout);
	free(line);
	free(text);
}

static char *known_text(const json_t *row)
{
	return strcmp(field_text(row, "state"), "resolved") == 0 ? visible(field_text(row, "reason")) : told_text(row);
}

/* One of many; who knows of it only if not all have that in common. */
static void print_subject(const struct alerts *alerts, const struct bunch *bunch, const json_t *row, bool with_known)
{
	char *since = since_text(since_of(row, bunch->state), &alerts->manner);
	char *what = what_text(row), *known = with_known ? known_text(row) : must(strdup(""));
	print_below(alerts, TONE_PLAIN, "", must_printf("%7s  %s%s%s", since, what, *known ? " · " : "", known));
	free(since);
	free(what);
	free(known);
}

static void print_subjects(const struct alerts *alerts, const struct bunch *bunch)
{
	const struct arguments *arguments = alerts->arguments;
	bool all = arguments->where[0] || (arguments->given & OPTION_LIMIT);
	bool with_known = !have_the_same(bunch, known_text);
	size_t i;
	const json_t *row;
	json_array_foreach(bunch->rows, i, row)
	{
		if (!all && i == SUBJECTS_SHOWN)
			break;
		print_subject(alerts, bunch, row, with_known);
	}
	if (i < bunch->total) {
		char *alert = visible(field_text(bunch->first, "alert")), *more = count_text(bunch->total - i);
		char *way = all ? must(strdup("--limit shows more"))
				: must_printf("`callwatch alerts --where alert=%s`", alert);
		print_below(alerts, TONE_DIM, "",
			    must_printf("and %s%s more: %s", bunch->is_total_known ? "" : "at least ", more, way));
		free(alert);
		free(more);
		free(way);
	}
}

static void print_bunch(const struct alerts *alerts, struct bunch *bunch)
{
	count_all(alerts, bunch);
	print_heading(alerts, bunch);
	if (bunch->total == 1)
		print_below(alerts, TONE_PLAIN, "", what_text(bunch->first));
	if (have_the_same(bunch, common_text))
		print_below(alerts, TONE_BOLD, "in common: ", common_text(bunch->first));
	if (have_the_same(bunch, known_text))
		print_below(alerts, TONE_PLAIN, "", known_text(bunch->first));
	if (bunch->total > 1)
		print_subjects(alerts, bunch);
}

/* Rule by rule, in the order in which each comes first. */
static void print_state(const struct alerts *alerts, size_t state)
{
	const json_t *rows = json_object_get(alerts->answers[state], "rows"), *row;
	json_t *printed = must(json_object()); /* by rule */
	size_t i;
	json_array_foreach(rows, i, row)
	{
		if (json_object_get(printed, field_text(row, "alert")))
			continue;
		struct bunch bunch = bunch_of(rows, i, state);
		print_bunch(alerts, &bunch);
		json_object_set_new(printed, field_text(row, "alert"), json_true());
		json_decref(bunch.rows);
	}
	json_decref(printed);
}

static void print_rows(const struct alerts *alerts)
{
	for (size_t state = 0; state < STATES; state++)
		if (state != RESOLVED || alerts->arguments->all)
			print_state(alerts, state);
}

/* ---- the whole ---- */

static void print_total(const struct alerts *alerts, size_t state, bool *first)
{
	json_int_t total = total_of(alerts->answers[state]);
	size_t rows = json_array_size(json_object_get(alerts->answers[state], "rows"));
	bool hidden = state == RESOLVED && !alerts->arguments->all;
	if (total == 0)
		return;
	char *all = count_text((uint64_t)total), *shown = count_text(rows);
	bool cut = !hidden && (json_int_t)rows < total;
	printf("%s%s%s%s %s%s", *first ? "" : " · ", cut ? shown : "", cut ? " of " : "", all, verbs[state],
	       hidden ? " within the last hour (--all shows them)" : "");
	*first = false;
	free(all);
	free(shown);
}

static void print_footer(const struct alerts *alerts)
{
	bool first = true, fires = total_of(alerts->answers[0]) > 0;
	if (!fires)
		printf("%sNothing fires%s%s", screen_tone(&alerts->screen, TONE_GOOD),
		       alerts->arguments->where[0] || alerts->arguments->instance ? " of these" : "",
		       screen_plain(&alerts->screen));
	first = fires;
	for (size_t i = 0; i < STATES; i++)
		print_total(alerts, i, &first);
	fputs(fires ? "\n" : ".\n", stdout);
	if (fires)
		puts("`callwatch why ALERT [SUBJECT]` tells the whole life of one; `ack` and `silence` make it quiet.");
}

static int show(const struct arguments *arguments)
{
	struct alerts alerts = {.arguments = arguments, .screen = screen_of(stdout), .manner = manner_of(arguments)};
	alerts.http = http_open(arguments);
	if (!alerts.http)
		return EXIT_USAGE;
	int code = ask(&alerts);
	if (code == EXIT_FINE) {
		json_t *blind = blind_ask(alerts.http);
		print_rows(&alerts);
		print_footer(&alerts);
		blind_say(blind, &alerts.manner, &alerts.screen, stdout);
		json_decref(blind);
	}
	for (size_t i = 0; i < STATES; i++)
		json_decref(alerts.answers[i]);
	json_decref(alerts.tables);
	http_close(alerts.http);
	return code;
}

/* As `get alerts`, but in the order and with the columns that are of use. */
static int watch(const struct arguments *arguments)
{
	struct arguments those = *arguments;
	size_t n = 0;
	while (those.where[n])
		n++;
	if (!those.all && n < ARGUMENTS_WHERE_MAX)
		those.where[n] = "state!=resolved";
	if (!those.columns)
		those.columns = "state,severity,alert,subject,summary,notified,silenced_by,acked_by";
	struct query query = {.arguments = &those,
			      .table = "alerts",
			      .sort = those.sort ? those.sort : "-severity",
			      .limit = those.limit >= 0 ? those.limit : QUERY_LIMIT};
	return watch_run(&query);
}

int command_alerts(const struct arguments *arguments)
{
	if (arguments->watch && arguments->format == FORMAT_TABLE)
		return watch(arguments);
	if (arguments->format != FORMAT_TABLE || arguments->columns)
		return get_table(arguments, "alerts");
	return show(arguments);
}
