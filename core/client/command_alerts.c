/* SPDX-License-Identifier: MIT
 *
 * `callwatch alerts`: what fires, the worst first; then what cannot be judged because its source is blind, then what
 * may fire soon. What has ended within the last hour is counted, and shown with --all. Machine formats and --watch are
 * those of `get alerts`.
 */
#include "query.h"
#include "rows.h"
#include "told.h"

#include <stdlib.h>
#include <string.h>

/* In the order in which they are shown. */
static const char *const states[] = {"firing", "unknown", "pending", "resolved", NULL};
enum { STATES = 4, RESOLVED = 3, WIDE = 150 };
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

/* The most severe first; of those, the latest. */
static json_t *ask_for_state(struct alerts *alerts, const char *state, int64_t limit, struct http_failure *ret_failure)
{
	const struct arguments *arguments = alerts->arguments;
	const char *where[ARGUMENTS_WHERE_MAX + 3] = {NULL};
	size_t n = 0;
	char *of_state = must_printf("state=%s", state);
	char *of_instance = arguments->instance ? must_printf("instance=%s", arguments->instance) : NULL;
	where[n++] = of_state;
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
		alerts->answers[i] = ask_for_state(alerts, states[i], shown ? limit : 1, &failure);
		if (!alerts->answers[i])
			return fail(&failure);
	}
	return EXIT_FINE;
}

static void print_cell(struct grid *grid, const json_t *row, const char *column)
{
	char *text = visible(field_text(row, column));
	grid_cell(grid, TONE_PLAIN, text);
	free(text);
}

/* Since when it is as it is: fires, pends; and when it ended. */
static void print_since(const struct alerts *alerts, struct grid *grid, const json_t *row, size_t state)
{
	static const char *const columns[STATES] = {"firing_since", "firing_since", "pending_since", "resolved_at"};
	int64_t wall = time_of(row, columns[state]);
	char *text = since_text(wall ? wall : time_of(row, "pending_since"), &alerts->manner);
	grid_cell(grid, TONE_PLAIN, text);
	free(text);
}

/* On a narrow screen what it is about has the room; `why ALERT` lists the subjects. */
static bool shows_subjects(const struct alerts *alerts)
{
	return alerts->screen.width == 0 || alerts->screen.width >= WIDE;
}

static void print_row(const struct alerts *alerts, struct grid *grid, const json_t *row, size_t state)
{
	enum tone tone;
	const char *shape = alert_shape(row, &tone);
	char *word = visible(field_text(row, state == 0 ? "severity" : "state"));
	char *text = must_printf("%s %s", shape, word);
	char *told = state == RESOLVED ? visible(field_text(row, "reason")) : told_text(row);
	grid_cell(grid, tone, text);
	print_cell(grid, row, "alert");
	print_since(alerts, grid, row, state);
	print_cell(grid, row, "summary");
	if (shows_subjects(alerts))
		print_cell(grid, row, "subject");
	grid_cell(grid, TONE_PLAIN, told);
	free(text);
	free(word);
	free(told);
}

static void print_rows(const struct alerts *alerts)
{
	uint32_t columns = shows_subjects(alerts) ? 6 : 5;
	struct grid *grid = grid_new(columns, /* indent: */ 0);
	grid_column(grid, 0, "", NULL, GRID_FIXED, 0);
	grid_column(grid, 1, "alert", NULL, GRID_FIXED, 0);
	grid_column(grid, 2, "for", NULL, GRID_RIGHT | GRID_FIXED, 0);
	grid_column(grid, 3, "what", NULL, GRID_KEEP, 0);
	if (shows_subjects(alerts))
		grid_column(grid, 4, "subject", NULL, GRID_WHOLE, 2);
	grid_column(grid, columns - 1, "who knows", NULL, GRID_KEEP, 0);
	for (size_t state = 0; state < STATES; state++) {
		size_t i;
		const json_t *row;
		if (state == RESOLVED && !alerts->arguments->all)
			continue;
		json_array_foreach(json_object_get(alerts->answers[state], "rows"), i, row)
		{
			print_row(alerts, grid, row, state);
		}
	}
	if (grid_rows(grid))
		free(grid_print(grid, &alerts->screen, /* most: */ 0, stdout));
	grid_free(grid);
}

/* Has an earlier row said the same of the same rule? */
static bool is_said(const json_t *rows, size_t before, const json_t *row)
{
	for (size_t i = 0; i < before; i++) {
		const json_t *other = json_array_get(rows, i);
		if (json_equal(json_object_get(other, "alert"), json_object_get(row, "alert")) &&
		    json_equal(json_object_get(other, "common"), json_object_get(row, "common")))
			return true;
	}
	return false;
}

/* What those that fire have in common, once for each rule. */
static void print_common(const struct alerts *alerts)
{
	const json_t *rows = json_object_get(alerts->answers[0], "rows"), *row;
	size_t i;
	json_array_foreach(rows, i, row)
	{
		if (!*field_text(row, "common") || is_said(rows, i, row))
			continue;
		char *alert = visible(field_text(row, "alert")), *common = visible(field_text(row, "common"));
		char *text = must_printf("in common, %s: %s", alert, common);
		print_wrapped(&alerts->screen, TONE_BOLD, /* indent: */ 2, text, stdout);
		free(text);
		free(alert);
		free(common);
	}
}

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
		print_common(&alerts);
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
