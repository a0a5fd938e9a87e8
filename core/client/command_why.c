/* SPDX-License-Identifier: MIT
 *
 * `callwatch why ALERT [SUBJECT]`: the whole life of an alert, in the order in which one asks at night. Does it fire,
 * and since when? What is the rule, and what does it mean? Who silenced or acknowledged it? Who was told what and when,
 * and if not, why not?
 *
 * An alert that does not fire now is answered from the event log. All is told from tables (alerts, rules,
 * notifications, silences, events); what one of them cannot say is left out.
 */
#include "query.h"
#include "rows.h"
#include "told.h"

#include "problems.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SUBJECTS_SHOWN = 10, EVENTS_ASKED = 200, EVENTS_SHOWN = 12, TOLD_SHOWN = 12, INDENT = 12 };

struct why {
	const struct arguments *arguments;
	struct http *http;
	json_t *tables;
	struct screen screen;
	struct manner manner;
	char *alert, *subject; /* subject NULL: all */
	json_t *rule;          /* its row; NULL: not known */
	json_t *alerts;        /* rows; an array */
	json_int_t total;      /* of them */
	json_t *log_from;      /* since when what happened is known */
	json_t *events;        /* alerts' of this rule, the latest first; an array */
	json_t *blind;
};

/* ---- asking ---- */

/* The rows; an empty array if they cannot be had. */
static json_t *rows_of(struct why *why, const struct rows_question *question, json_int_t *ret_total)
{
	struct http_failure failure;
	json_t *answer =
		table_entry(why->tables, question->table) ? rows_ask(why->http, why->tables, question, &failure) : NULL;
	json_t *rows = json_object_get(answer, "rows");
	rows = json_is_array(rows) ? json_incref(rows) : must(json_array());
	if (ret_total)
		*ret_total = total_of(answer);
	if (table_entry(why->tables, question->table))
		http_failure_release(&failure);
	json_decref(answer);
	return rows;
}

static json_t *ask_for_rule(struct why *why)
{
	static const char *const columns[] = {"name",   "expression",  "for_seconds", "severity", "state",
					      "notify", "description", "origin",      NULL};
	char *named = must_printf("name=%s", why->alert);
	const char *const where[] = {named, NULL};
	struct rows_question question = {.table = "rules", .where = where, .columns = columns, .limit = 1};
	json_t *rows = rows_of(why, &question, /* total: */ NULL), *row = json_array_get(rows, 0);
	json_incref(row);
	json_decref(rows);
	free(named);
	return row;
}

static json_t *ask_for_alerts(struct why *why)
{
	static const char *const columns[] = {"id",
					      "alert",
					      "subject",
					      "instance",
					      "severity",
					      "state",
					      "value",
					      "summary",
					      "description",
					      "common",
					      "pending_since",
					      "firing_since",
					      "resolved_at",
					      "reason",
					      "notified",
					      "silenced_by",
					      "inhibited_by",
					      "acked_by",
					      "ack_note",
					      "held_seconds",
					      "for_seconds",
					      "incident",
					      NULL};
	char *of_alert = must_printf("alert=%s", why->alert), *of_instance = NULL, *of_subject = NULL;
	const char *where[4] = {of_alert};
	size_t n = 1;
	if (why->subject)
		where[n++] = of_subject = must_printf("subject=%s", why->subject);
	if (why->arguments->instance)
		where[n++] = of_instance = must_printf("instance=%s", why->arguments->instance);
	struct rows_question question = {
		.table = "alerts", .where = where, .columns = columns, .sort = "-firing_since", .limit = 100};
	json_t *rows = rows_of(why, &question, &why->total);
	free(of_alert);
	free(of_subject);
	free(of_instance);
	return rows;
}

/* From the event log; where that is not kept, what the table remembers. */
static json_t *ask_for_events(struct why *why)
{
	struct path *path = path_new("/api/v1/events");
	char *by = must_printf("by=%s", why->alert), *limit = must_printf("%d", EVENTS_ASKED), *about = NULL;
	const char *where[4] = {"kind=alert", by};
	struct rows_question question = {.table = "events", .where = where, .sort = "-id", .limit = EVENTS_ASKED};
	struct http_failure failure;
	if (why->subject)
		where[2] = about = must_printf("subject~%s", why->subject);
	for (size_t i = 0; where[i]; i++)
		path_query(path, "where", where[i]);
	path_query(path, "limit", limit);
	json_t *answer = http_json(why->http, path_text(path), /* whole_s: */ 10, &failure);
	json_t *rows = json_object_get(answer, "rows");
	why->log_from = json_incref(json_object_get(answer, "log_from"));
	rows = json_is_array(rows) ? json_incref(rows) : rows_of(why, &question, /* total: */ NULL);
	http_failure_release(&failure);
	json_decref(answer);
	path_free(path);
	free(by);
	free(limit);
	free(about);
	return rows;
}

/* Of the incident that the alert belongs to; where that is not known, of its rule since it began. */
static json_t *ask_for_told(struct why *why, const json_t *alert)
{
	static const char *const columns[] = {"id",     "time",     "notifier", "alert",      "kind",
					      "state",  "attempts", "next_try", "settled_at", "delay_seconds",
					      "reason", "on_disk",  NULL};
	const char *incident = field_text(alert, "incident");
	char *one = *incident ? must_printf("incident=%s", incident) : must_printf("alert=%s", why->alert);
	char *two = alert && !*incident ? must_printf("time>=%s", field_text(alert, "pending_since")) : NULL;
	const char *const where[] = {one, two, NULL};
	struct rows_question question = {
		.table = "notifications", .where = where, .columns = columns, .sort = "-time", .limit = 100};
	json_t *rows = rows_of(why, &question, /* total: */ NULL);
	free(one);
	free(two);
	return rows;
}

/* ---- saying ---- */

/* A line with a word in front, or with room for it. The text is freed. */
static void say(const struct why *why, const char *word, enum tone tone, char *text)
{
	char *line = must_printf("  %-*s%s", INDENT - 2, word, text);
	print_wrapped(&why->screen, tone, INDENT, line, stdout);
	free(line);
	free(text);
}

/* A column's text, if it has one. */
static void say_field(const struct why *why, const char *word, const json_t *row, const char *column)
{
	char *text = visible(field_text(row, column));
	if (*text)
		say(why, word, TONE_PLAIN, text);
	else
		free(text);
}

static void say_title(const struct why *why, enum tone tone, char *text)
{
	print_wrapped(&why->screen, tone, /* indent: */ 2, text, stdout);
	free(text);
}

static void say_rule(const struct why *why)
{
	double needs = field_real(why->rule, "for_seconds");
	if (!why->rule)
		return;
	char *expression = visible(field_text(why->rule, "expression")), *length = length_text(needs);
	char *severity = visible(field_text(why->rule, "severity"));
	putchar('\n');
	say(why, "rule", TONE_PLAIN,
	    must_printf("%s%s%s; %s", expression, needs > 0 ? ", for " : "", needs > 0 ? length : "", severity));
	say_field(why, "", why->rule, "origin");
	free(expression);
	free(length);
	free(severity);
}

/* What the rule's author wrote for this moment. */
static void say_meaning(const struct why *why, const json_t *alert)
{
	const char *from = *field_text(alert, "description") ? field_text(alert, "description")
							     : field_text(why->rule, "description");
	char *text = must(strdup(from)), *rest = text;
	bool first = true;
	for (char *line; *text && (line = strsep(&rest, "\n"));) {
		if (*line)
			say(why, first ? "means" : "", TONE_PLAIN, visible(line));
		first = false;
	}
	free(text);
}

/* ---- one alert ---- */

static const json_t *blind_source(const struct why *why, const json_t *alert)
{
	size_t i;
	const json_t *row;
	json_array_foreach(why->blind, i, row)
	{
		if (json_equal(json_object_get(row, "instance"), json_object_get(alert, "instance")))
			return row;
	}
	return NULL;
}

static char *held_text(const json_t *alert)
{
	char *held = length_text(floor(field_real(alert, "held_seconds")));
	char *needs = length_text(field_real(alert, "for_seconds"));
	char *text = must_printf("%s of %s", held, needs);
	free(held);
	free(needs);
	return text;
}

static char *state_text(const struct why *why, const json_t *alert)
{
	const char *state = field_text(alert, "state");
	char *severity = visible(field_text(alert, "severity")), *since, *text;
	if (strcmp(state, "firing") == 0) {
		since = since_text(time_of(alert, "firing_since"), &why->manner);
		text = must_printf("FIRING for %s (%s)", since, severity);
	} else if (strcmp(state, "pending") == 0) {
		since = held_text(alert);
		text = must_printf("pending: it has held for %s (%s)", since, severity);
	} else if (strcmp(state, "unknown") == 0) {
		bool fired = time_of(alert, "firing_since");
		since = fired ? since_text(time_of(alert, "firing_since"), &why->manner) : held_text(alert);
		text = must_printf("UNKNOWN: its source is blind; before that it %s %s (%s)",
				   fired ? "had been firing, by now for" : "had held for", since, severity);
	} else {
		since = since_text(time_of(alert, "resolved_at"), &why->manner);
		text = must_printf("ended %s ago", since);
	}
	free(severity);
	free(since);
	return text;
}

static void say_moment(const struct why *why, const char *word, const json_t *alert, const char *column,
		       const char *what, const char *more)
{
	const char *at = field_text(alert, column);
	if (!*at)
		return;
	char *time = time_text(at, &why->manner), *shown = visible(more);
	say(why, word, TONE_PLAIN, must_printf("%s  %s%s%s", time, what, *shown ? ": " : "", shown));
	free(time);
	free(shown);
}

static void say_life(const struct why *why, const json_t *alert)
{
	const json_t *source = blind_source(why, alert);
	double value = field_real(alert, "value"), needs = field_real(alert, "for_seconds");
	putchar('\n');
	say_moment(why, "life", alert, "pending_since",
		   needs > 0 ? "began to hold" : "began to hold, and fired at once", "");
	if (!(needs > 0) && !*field_text(alert, "pending_since"))
		say_moment(why, "life", alert, "firing_since", "fires", "");
	else if (needs > 0)
		say_moment(why, "", alert, "firing_since", "fires", "");
	say_moment(why, "", alert, "resolved_at", "ended", field_text(alert, "reason"));
	if (isfinite(value))
		say(why, "value", TONE_PLAIN, must_printf("%.6g", value));
	say_field(why, "in common", alert, "common");
	if (source) {
		char *instance = visible(field_text(source, "instance")),
		     *reason = visible(field_text(source, "reason"));
		char *state = visible(field_text(source, "state")),
		     *since = time_text(field_text(source, "since"), &why->manner);
		say(why, "blind", TONE_BAD,
		    must_printf("%s is %s since %s%s%s%s: until it sees again nothing about this alert moves", instance,
				state, since, *reason ? " (" : "", reason, *reason ? ")" : ""));
		free(instance);
		free(reason);
		free(state);
		free(since);
	}
}

static void say_silence(struct why *why, const char *id)
{
	char *named = must_printf("id=%s", id), *shown_id = visible(id);
	const char *const where[] = {named, NULL};
	struct rows_question question = {.table = "silences", .where = where, .limit = 1};
	json_t *rows = rows_of(why, &question, /* total: */ NULL);
	const json_t *row = json_array_get(rows, 0);
	char *until = time_text(field_text(row, "ends_at"), &why->manner), *by = visible(field_text(row, "created_by"));
	char *comment = visible(field_text(row, "comment")), *every = visible(field_text(row, "every"));
	if (row)
		say(why, "silenced", TONE_WARNING,
		    must_printf("until %s%s%s%s by %s: %s (silence %s)", until, *every ? " (every " : "", every,
				*every ? ")" : "", by, comment, shown_id));
	else
		say(why, "silenced", TONE_WARNING, must_printf("by silence %s", shown_id));
	json_decref(rows);
	free(named);
	free(shown_id);
	free(until);
	free(by);
	free(comment);
	free(every);
}

static void say_people(struct why *why, const json_t *alert)
{
	char *acked = visible(field_text(alert, "acked_by")), *note = visible(field_text(alert, "ack_note"));
	char *inhibited = visible(field_text(alert, "inhibited_by"));
	if (*acked)
		say(why, "acked", TONE_GOOD,
		    must_printf("by %s%s%s (it is not repeated)", acked, *note ? ": " : "", note));
	if (*field_text(alert, "silenced_by"))
		say_silence(why, field_text(alert, "silenced_by"));
	if (*inhibited)
		say(why, "part of", TONE_WARNING,
		    must_printf("%s, which fires too: it is not told for itself while that lasts", inhibited));
	free(acked);
	free(note);
	free(inhibited);
}

/* ---- who was told ---- */

/* Nobody was: why? */
static void say_untold(const struct why *why, const json_t *alert)
{
	const char *state = field_text(alert, "state"), *notify = field_text(why->rule, "notify");
	bool has_notify = why->rule && json_object_get(why->rule, "notify");
	if (*field_text(alert, "notified")) { /* longer ago than table `notifications` remembers */
		say_field(why, "told", alert, "notified");
		return;
	}
	const char *because = "nobody yet: alerts that begin together are told together, that is waited for";
	if (!alert)
		because = "nobody, as far as is remembered";
	else if (has_notify && !*notify)
		because =
			"nobody: no notifier hears this rule. Configure one (slack, email, webhook …), or look at the "
			"routes of `notify:`";
	else if (strcmp(state, "pending") == 0 || (strcmp(state, "unknown") == 0 && !time_of(alert, "firing_since")))
		because = "nobody: it does not fire yet";
	else if (*field_text(alert, "silenced_by"))
		because = "nobody: it is silenced";
	else if (*field_text(alert, "inhibited_by"))
		because = "nobody: it is part of another alert";
	else if (strcmp(state, "resolved") == 0)
		because = "nobody: it ended before it was told";
	else if (strcmp(state, "unknown") == 0)
		because = "nobody: it cannot be judged now";
	say(why, "told", TONE_PLAIN, must(strdup(because)));
}

/* Whom its next notice goes to. */
static void say_way(const struct why *why)
{
	char *notify = visible(field_text(why->rule, "notify"));
	if (*notify)
		say(why, "tells", TONE_PLAIN, must_printf("%s", notify));
	free(notify);
}

static void say_told(struct why *why, const json_t *alert)
{
	json_t *rows = ask_for_told(why, alert);
	size_t count = json_array_size(rows), shown = count < TOLD_SHOWN ? count : TOLD_SHOWN;
	putchar('\n');
	say_way(why);
	if (count == 0)
		say_untold(why, alert);
	if (count > shown)
		say(why, "told", TONE_DIM, must_printf("(%zu more before)", count - shown));
	for (size_t i = shown; i-- > 0;) { /* the latest came first */
		const json_t *row = json_array_get(rows, i);
		enum tone tone;
		char *how = delivery_text(row, &why->manner, &tone),
		     *at = time_text(field_text(row, "time"), &why->manner);
		say(why, i == shown - 1 && count == shown ? "told" : "", tone, must_printf("%s  %s", at, how));
		free(how);
		free(at);
	}
	json_decref(rows);
}

/* ---- what was before ---- */

/* `subject` of an event is `TABLE/KEY` of a row rule, the series of a sample rule. */
static bool is_about(const struct why *why, const json_t *event)
{
	const char *subject = field_text(event, "subject");
	size_t length = strlen(subject), wanted = why->subject ? strlen(why->subject) : 0;
	if (!why->subject || strcmp(subject, why->subject) == 0)
		return true;
	return length > wanted + 1 && subject[length - wanted - 1] == '/' &&
	       strcmp(subject + length - wanted, why->subject) == 0;
}

static void say_event(const struct why *why, const char *word, const json_t *event)
{
	char *time = time_text(field_text(event, "time"), &why->manner), *to = visible(field_text(event, "to"));
	char *text = visible(field_text(event, "text")), *subject = visible(field_text(event, "subject"));
	say(why, word, TONE_PLAIN,
	    must_printf("%s  %s%s%s%s%s", time, *to ? to : "ceased to hold before it fired", why->subject ? "" : "  ",
			why->subject ? "" : subject, *text ? ": " : "", text));
	free(time);
	free(to);
	free(text);
	free(subject);
}

/* The latest events, in the order in which they happened. */
static size_t say_events(const struct why *why)
{
	const json_t *shown[EVENTS_SHOWN], *event;
	size_t i, count = 0, all = 0;
	json_array_foreach(why->events, i, event)
	{
		if (!is_about(why, event))
			continue;
		all++;
		if (count < EVENTS_SHOWN)
			shown[count++] = event;
	}
	if (count)
		putchar('\n');
	if (all > count)
		say(why, "log", TONE_DIM,
		    must_printf("(%zu%s more before)", all - count,
				json_array_size(why->events) == EVENTS_ASKED ? " or" : ""));
	for (i = count; i-- > 0;)
		say_event(why, i == count - 1 && all == count ? "log" : "", shown[i]);
	return count;
}

/* ---- the answers ---- */

static void say_one(struct why *why, const json_t *alert)
{
	enum tone tone;
	const char *shape = alert_shape(alert, &tone);
	char *rule = visible(why->alert), *subject = visible(field_text(alert, "subject")),
	     *state = state_text(why, alert);
	char *instance = visible(field_text(alert, "instance"));
	say_title(why, tone, must_printf("%s %s %s of %s: %s", shape, rule, subject, instance, state));
	say_field(why, "", alert, "summary");
	say_meaning(why, alert);
	say_rule(why);
	say_life(why, alert);
	say_people(why, alert);
	say_told(why, alert);
	free(rule);
	free(subject);
	free(state);
	free(instance);
}

static size_t count_state(const struct why *why, const char *state)
{
	size_t i, n = 0;
	const json_t *alert;
	json_array_foreach(why->alerts, i, alert) n += strcmp(field_text(alert, "state"), state) == 0;
	return n;
}

static void say_subjects(const struct why *why)
{
	struct grid *grid = grid_new(4, INDENT);
	grid_no_titles(grid);
	grid_column(grid, 0, "", NULL, GRID_FIXED, 0);
	grid_column(grid, 1, "", NULL, GRID_FIXED, 0);
	grid_column(grid, 2, "", NULL, GRID_KEEP, 0);
	grid_column(grid, 3, "", NULL, GRID_KEEP, 0);
	size_t i, count = json_array_size(why->alerts);
	const json_t *alert;
	json_array_foreach(why->alerts, i, alert)
	{
		enum tone tone;
		const char *shape = alert_shape(alert, &tone);
		if (i == SUBJECTS_SHOWN)
			break;
		char *subject = visible(field_text(alert, "subject")), *summary = visible(field_text(alert, "summary"));
		char *told = told_text(alert);
		grid_cell(grid, tone, shape);
		grid_cell(grid, TONE_PLAIN, subject);
		grid_cell(grid, TONE_PLAIN, summary);
		grid_cell(grid, TONE_PLAIN, told);
		free(subject);
		free(summary);
		free(told);
	}
	free(grid_print(grid, &why->screen, /* most: */ 0, stdout));
	grid_free(grid);
	if (why->total > (json_int_t)i && i == SUBJECTS_SHOWN && count > i)
		say(why, "", TONE_DIM,
		    must_printf("and %lld more: `callwatch alerts --where alert=%s`",
				(long long)why->total - (long long)i, why->alert));
}

/* The one that most should have been told: it fires, and is not muted. */
static const json_t *loudest(const struct why *why)
{
	size_t i;
	const json_t *alert;
	json_array_foreach(why->alerts, i, alert)
	{
		if (strcmp(field_text(alert, "state"), "firing") == 0 && !*field_text(alert, "silenced_by") &&
		    !*field_text(alert, "inhibited_by"))
			return alert;
	}
	return json_array_get(why->alerts, 0);
}

/* Several alerts of one rule: what they share; each one's life is told by its name. */
static void say_many(struct why *why)
{
	enum tone tone;
	const json_t *first = loudest(why);
	const char *shape = alert_shape(first, &tone);
	char *rule = visible(why->alert);
	bool cut = why->total > (json_int_t)json_array_size(why->alerts);
	say_title(why, tone,
		  must_printf("%s %s: %lld alerts; %s%zu firing, %zu unknown, %zu pending, %zu ended", shape, rule,
			      (long long)why->total, cut ? "of the latest 100 " : "", count_state(why, "firing"),
			      count_state(why, "unknown"), count_state(why, "pending"), count_state(why, "resolved")));
	say_meaning(why, /* alert: */ NULL);
	say_rule(why);
	putchar('\n');
	say_subjects(why);
	say_field(why, "in common", first, "common");
	say_told(why, first);
	printf("\n`callwatch why %s SUBJECT` tells the life of one.\n", rule);
	free(rule);
}

static const char *idle_sentence(const struct why *why)
{
	const char *state = field_text(why->rule, "state");
	if (strcmp(state, "sleeping") == 0)
		return "it sleeps: the plugin that it is for is not configured";
	if (json_array_size(why->blind))
		return "as far as can be seen, it does not fire";
	return "it does not fire, and nothing is on the way to it";
}

static void say_never(const struct why *why)
{
	const char *from = json_string_value(why->log_from);
	char *since = from ? time_text(from, &why->manner) : NULL;
	say(why, "log", TONE_PLAIN,
	    must_printf("it has not fired%s %s%s", why->subject ? " for this subject" : "",
			since ? "since the event log begins, " : "in what is remembered", since ? since : ""));
	free(since);
}

/* It does not fire now. */
static void say_idle(struct why *why)
{
	char *rule = visible(why->alert), *subject = visible(why->subject);
	say_title(why, TONE_PLAIN, must_printf("● %s%s%s: %s", rule, *subject ? " " : "", subject, idle_sentence(why)));
	say_meaning(why, /* alert: */ NULL);
	say_rule(why);
	if (say_events(why) == 0) {
		putchar('\n');
		say_never(why);
	}
	if (!why->subject || json_array_size(why->events))
		say_told(why, /* alert: */ NULL);
	free(rule);
	free(subject);
}

static int no_such_rule(struct why *why)
{
	struct rows_question question = {.table = "rules", .limit = 0};
	json_t *rows = rows_of(why, &question, /* total: */ NULL);
	const char *names[256];
	char hint[NAME_HINT_SIZE];
	size_t i, count = 0;
	const json_t *row;
	json_array_foreach(rows, i, row)
	{
		if (count < sizeof names / sizeof *names)
			names[count++] = field_text(row, "name");
	}
	complain("there is no rule `%s`%s", why->alert, name_hint(hint, why->alert, names, count));
	json_decref(rows);
	return EXIT_FAILED;
}

static int answer(struct why *why)
{
	size_t count = json_array_size(why->alerts), i;
	const json_t *alert;
	bool is_known = why->rule || count || json_array_size(why->events);
	if (!is_known && table_entry(why->tables, "rules"))
		return no_such_rule(why);
	if (count == 0) {
		say_idle(why);
	} else if (!why->subject && count > 1) {
		say_many(why);
	} else {
		json_array_foreach(why->alerts, i, alert)
		{
			if (i)
				putchar('\n');
			say_one(why, alert);
		}
		say_events(why);
	}
	if (count == 0 && json_array_size(why->blind))
		putchar('\n');
	if (count == 0)
		blind_say(why->blind, &why->manner, &why->screen, stdout);
	return EXIT_FINE;
}

static int ask(struct why *why)
{
	struct http_failure failure;
	why->tables = tables_ask(why->http, &failure);
	if (!why->tables)
		return fail(&failure);
	if (!table_entry(why->tables, "alerts")) {
		complain("this callwatchd keeps no alerts");
		return EXIT_FAILED;
	}
	why->rule = ask_for_rule(why);
	why->alerts = ask_for_alerts(why);
	if (!why->subject && json_array_size(why->alerts) == 1)
		why->subject = strdup(field_text(json_array_get(why->alerts, 0), "subject"));
	why->events = ask_for_events(why);
	why->blind = blind_ask(why->http);
	return answer(why);
}

int command_why(const struct arguments *arguments)
{
	struct why why = {.arguments = arguments, .screen = screen_of(stdout), .manner = manner_of(arguments)};
	why.http = http_open(arguments);
	if (!why.http)
		return EXIT_USAGE;
	split_alert(arguments->words[1], &why.alert, &why.subject);
	if (arguments->words[2]) {
		free(why.subject);
		why.subject = must(strdup(arguments->words[2]));
	}
	int code = ask(&why);
	json_decref(why.tables);
	json_decref(why.rule);
	json_decref(why.alerts);
	json_decref(why.events);
	json_decref(why.log_from);
	json_decref(why.blind);
	free(why.alert);
	free(why.subject);
	http_close(why.http);
	return code;
}
