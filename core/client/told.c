/* SPDX-License-Identifier: MIT
 *
 * See told.h.
 */
#include "told.h"

#include "client.h"
#include "query.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- asking ---- */

static void ask_for_columns(struct path *path, const json_t *tables, const struct rows_question *question)
{
	const json_t *entry = table_entry(tables, question->table);
	char *list = must(strdup(""));
	struct table_info info = {0};
	if (entry)
		table_info_init(&info, entry);
	for (size_t i = 0; question->columns[i]; i++) {
		if (!table_column(&info, question->columns[i]))
			continue;
		char *longer = must_printf("%s%s%s", list, *list ? "," : "", question->columns[i]);
		free(list);
		list = longer;
	}
	path_query(path, "columns", *list ? list : NULL);
	table_info_release(&info);
	free(list);
}

json_t *rows_ask(struct http *http, const json_t *tables, const struct rows_question *question,
		 struct http_failure *ret_failure)
{
	struct path *path = path_new("/api/v1/tables");
	char limit[24];
	path_segment(path, question->table);
	for (size_t i = 0; question->where && question->where[i]; i++)
		path_query(path, "where", question->where[i]);
	path_query(path, "sort", question->sort);
	snprintf(limit, sizeof limit, "%lld", (long long)question->limit);
	path_query(path, "limit", limit);
	if (question->columns)
		ask_for_columns(path, tables, question);
	json_t *answer = http_json(http, path_text(path), /* whole_s: */ 10, ret_failure);
	path_free(path);
	return answer;
}

json_int_t total_of(const json_t *answer)
{
	json_int_t total = json_integer_value(json_object_get(answer, "total"));
	return total > 0 ? total : 0;
}

void split_alert(const char *text, char **ret_alert, char **ret_subject)
{
	const char *slash = strchr(text, '/');
	*ret_alert = slash ? must_printf("%.*s", (int)(slash - text), text) : must(strdup(text));
	*ret_subject = slash ? must(strdup(slash + 1)) : NULL;
}

/* ---- words ---- */

int64_t time_of(const json_t *row, const char *column)
{
	const char *text = field_text(row, column);
	int64_t wall;
	return *text && text_parse_time(text, strlen(text), &wall, NULL) == 0 ? wall : 0;
}

char *since_text(int64_t wall, const struct manner *manner)
{
	double seconds = wall ? floor((double)(manner->now - wall) / (double)CW_SECOND) : NAN;
	return length_text(seconds < 0 ? 0 : seconds);
}

const char *alert_shape(const json_t *alert, enum tone *ret_tone)
{
	const char *state = field_text(alert, "state"), *severity = field_text(alert, "severity");
	bool fires = strcmp(state, "firing") == 0;
	if (fires && strcmp(severity, "warning") == 0) {
		*ret_tone = TONE_WARNING;
		return "▲";
	}
	if (fires && strcmp(severity, "info") == 0) {
		*ret_tone = TONE_PLAIN;
		return "●";
	}
	if (strcmp(state, "unknown") == 0) {
		*ret_tone = TONE_WARNING;
		return "?";
	}
	if (strcmp(state, "pending") == 0) {
		*ret_tone = TONE_DIM;
		return "…";
	}
	return state_shape(state, ret_tone);
}

static void add_more(char **text, char *more)
{
	char *longer = must_printf("%s%s", *text, more);
	free(*text);
	free(more);
	*text = longer;
}

static void add(char **text, char *more)
{
	char *longer = must_printf("%s%s%s", *text, **text && *more ? "; " : "", more);
	free(*text);
	free(more);
	*text = longer;
}

static void add_field(char **text, const char *before, const json_t *alert, const char *column)
{
	char *shown = visible(field_text(alert, column));
	if (*shown)
		add(text, must_printf("%s%s", before, shown));
	free(shown);
}

/* It has held for `held` of the `for` seconds that it needs; what time it will be is known while it is watched. */
static char *pending_text(const json_t *alert)
{
	double held = field_real(alert, "held_seconds"), needs = field_real(alert, "for_seconds");
	if (!isfinite(held) || !isfinite(needs))
		return must(strdup("not yet"));
	char *shown = length_text(floor(held)), *of = length_text(needs), *left = length_text(ceil(needs - held));
	char *text = held < needs ? must_printf("%s of %s, fires in %s", shown, of, left)
				  : must_printf("%s of %s", shown, of);
	free(shown);
	free(of);
	free(left);
	return text;
}

char *told_text(const json_t *alert)
{
	const char *state = field_text(alert, "state");
	char *text = must(strdup(""));
	add_field(&text, "acknowledged by ", alert, "acked_by");
	add_field(&text, "silenced by ", alert, "silenced_by");
	add_field(&text, "part of ", alert, "inhibited_by");
	if (strcmp(state, "pending") == 0)
		add(&text, pending_text(alert));
	else
		add_field(&text, "told: ", alert, "notified");
	if (!*text && strcmp(state, "firing") == 0)
		add(&text, must(strdup("nobody was told yet")));
	return text;
}

static char *attempts_text(const json_t *row)
{
	json_int_t attempts = json_integer_value(json_object_get(row, "attempts"));
	char *reason = visible(field_text(row, "reason"));
	char *text = attempts == 0   ? must(strdup(""))
		     : attempts == 1 ? must_printf("1 attempt%s%s", *reason ? ": " : "", reason)
				     : must_printf("%lld attempts%s%s", (long long)attempts,
						   *reason ? ", the last: " : "", reason);
	free(reason);
	return text;
}

static char *waiting_text(const json_t *row, const struct manner *manner)
{
	char *attempts = attempts_text(row), *next = time_text(field_text(row, "next_try"), manner);
	int64_t at = time_of(row, "next_try");
	char *left = length_text(at > manner->now ? floor((double)(at - manner->now) / (double)CW_SECOND) : 0);
	char *text =
		must_printf("%s%s%s%s%s%s", *attempts ? attempts : "waits to be sent", *next ? "; next try " : "", next,
			    at > manner->now ? " (in " : "", at > manner->now ? left : "", at > manner->now ? ")" : "");
	free(attempts);
	free(next);
	free(left);
	return text;
}

static char *sent_text(const json_t *row, const struct manner *manner)
{
	char *at = time_text(field_text(row, "settled_at"), manner),
	     *delay = length_text(field_real(row, "delay_seconds"));
	json_int_t attempts = json_integer_value(json_object_get(row, "attempts"));
	bool known = json_is_number(json_object_get(row, "delay_seconds"));
	char *text = must_printf("sent %s%s%s", at, known ? " after " : "", known ? delay : "");
	if (attempts > 1)
		add_more(&text, must_printf(", at the %lld. attempt", (long long)attempts));
	free(at);
	free(delay);
	return text;
}

static char *dead_text(const json_t *row, const struct manner *manner)
{
	char *at = time_text(field_text(row, "settled_at"), manner), *attempts = attempts_text(row);
	char *text = must_printf("NEVER ARRIVED, given up %s%s%s", at, *attempts ? " after " : "", attempts);
	free(at);
	free(attempts);
	return text;
}

char *delivery_text(const json_t *row, const struct manner *manner, enum tone *ret_tone)
{
	const char *state = field_text(row, "state"), *shape = "…";
	char *notifier = visible(field_text(row, "notifier")), *kind = visible(field_text(row, "kind")), *how;
	bool tried = json_integer_value(json_object_get(row, "attempts")) > 0;
	*ret_tone = TONE_PLAIN;
	if (strcmp(state, "sent") == 0) {
		shape = "✔";
		how = sent_text(row, manner);
	} else if (strcmp(state, "dead") == 0) {
		shape = "✖";
		*ret_tone = TONE_BAD;
		how = dead_text(row, manner);
	} else if (strcmp(state, "sending") == 0) {
		how = must(strdup("is being sent"));
	} else {
		shape = tried ? "▲" : "…";
		*ret_tone = tried ? TONE_WARNING : TONE_PLAIN;
		how = waiting_text(row, manner);
	}
	const char *disk = json_is_false(json_object_get(row, "on_disk")) ? " (not on disk)" : "";
	char *text = must_printf("%s %s: %s%s%s%s", shape, notifier, kind, *kind ? ", " : "", how, disk);
	free(notifier);
	free(kind);
	free(how);
	return text;
}

/* ---- who is blind ---- */

/* As the core has it: one that is degraded sees, if less. */
static bool is_blind(const json_t *instance)
{
	const char *state = field_text(instance, "state");
	return strcmp(field_text(instance, "role"), "source") == 0 &&
	       (strcmp(state, "starting") == 0 || strcmp(state, "down") == 0 || strcmp(state, "stuck") == 0);
}

json_t *blind_ask(struct http *http)
{
	struct http_failure failure;
	json_t *answer = http_json(http, "/api/v1/tables/instances?limit=500", /* whole_s: */ 5, &failure);
	json_t *blind = answer ? must(json_array()) : NULL, *row;
	size_t i;
	http_failure_release(&failure);
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		if (is_blind(row))
			json_array_append(blind, row);
	}
	json_decref(answer);
	return blind;
}

void blind_say(const json_t *blind, const struct manner *manner, const struct screen *screen, FILE *out)
{
	size_t i;
	const json_t *row;
	json_array_foreach(blind, i, row)
	{
		char *instance = visible(field_text(row, "instance")), *state = visible(field_text(row, "state"));
		char *reason = visible(field_text(row, "reason")), *since = time_text(field_text(row, "since"), manner);
		char *text = must_printf("✖ BLIND: %s is %s since %s%s%s%s. Its alerts stand still, and new ones "
					 "cannot be seen.",
					 instance, state, *since ? since : "–", *reason ? " (" : "", reason,
					 *reason ? ")" : "");
		print_wrapped(screen, TONE_BAD, /* indent: */ 2, text, out);
		free(text);
		free(instance);
		free(state);
		free(reason);
		free(since);
	}
}
