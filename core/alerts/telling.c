/* SPDX-License-Identifier: MIT
 *
 * What a group says: title, breakdown, what the subjects share, the most important of them first, links. See group.h
 * for when and why; a notice is made of a group as it stands, and nothing is changed here.
 */
#include "group_private.h"

#include "buffer.h"
#include "template.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	LINK_SIZE = NOTICE_TEXT_MAX, /* of a group, with all conditions of its rule */
	SUBJECT_LINK_SIZE = 1024,
	BREAKDOWN_PER_COLUMN = 10,
	ENDED_LEAST = 25, /* that a notice has room for, however many fire */
	OWN_LABELS = 4    /* of an alert: alertname, severity, instance, subject */
};

/* The words of a notice while it is made; notice_new() copies them. */
struct words {
	char id[NOTICE_ID_MAX + 1];
	char title[2 * NOTICE_TITLE_MAX];
	char description[NOTICE_TEXT_MAX];
	char url[LINK_SIZE], command[LINK_SIZE];
	struct cw_tag labels[NOTICE_LABELS_MAX];
	struct cw_fact breakdown[NOTICE_BREAKDOWN_MAX];
	char breakdown_names[NOTICE_BREAKDOWN_MAX][NOTICE_FACT_MAX];
	char breakdown_texts[NOTICE_BREAKDOWN_MAX][TEXT_NUMBER_SIZE];
	struct cw_alert alerts[CW_NOTICE_ALERTS_MAX];
	struct cw_tag alert_labels[CW_NOTICE_ALERTS_MAX][NOTICE_LABELS_MAX];
	char alert_urls[CW_NOTICE_ALERTS_MAX][SUBJECT_LINK_SIZE];
};

/* ---- order ---- */

/* The gravest first, of those the oldest. */
static int by_importance(const void *a, const void *b)
{
	const struct alert *one = *(const struct alert *const *)a, *other = *(const struct alert *const *)b;
	if (one->severity != other->severity)
		return one->severity > other->severity ? -1 : 1;
	if (one->firing_since != other->firing_since)
		return one->firing_since < other->firing_since ? -1 : 1;
	int order = strcmp(one->source, other->source);
	return order ? order : strcmp(one->subject, other->subject);
}

static void put_in_order(const struct alert **alerts, uint32_t count)
{
	if (count > 1)
		qsort(alerts, count, sizeof(struct alert *), by_importance);
}

static enum cw_severity highest(const struct telling *telling)
{
	const struct alert **first = telling->firing_count ? telling->firing : telling->ended;
	if (telling->firing_count + telling->ended_count > 0)
		return first[0]->severity; /* they are in order */
	return telling->group->rule ? telling->group->rule->severity : CW_SEVERITY_WARNING;
}

/* ---- links and commands ---- */

static void append_escaped(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     strchr("-_.~", c) != NULL;
		buffer_print(out, plain ? "%c" : "%%%02X", c);
	}
}

static void append_parameter(struct buffer *out, const char *name, const char *value)
{
	buffer_print(out, "&%s=", name);
	append_escaped(out, value);
}

static void append_quoted(struct buffer *out, const char *text)
{
	buffer_string(out, "'");
	for (; *text; text++)
		buffer_print(out, *text == '\'' ? "'\\''" : "%c", *text);
	buffer_string(out, "'");
}

/* What a group is split by, as a condition: `worker="ai-7"`. */
static void condition_of(const struct cw_tag *label, char *text, size_t size)
{
	struct buffer out;
	buffer_init(&out, 0, size - 1);
	buffer_print(&out, "%s=\"", label->name);
	for (const char *c = label->value; *c; c++)
		buffer_print(&out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	buffer_string(&out, "\"");
	snprintf(text, size, "%.*s", out.failed ? 0 : (int)out.length, out.failed ? "" : buffer_text(&out));
	buffer_release(&out);
}

/* Each condition under which a row is one of the group's. */
static void each_condition(const struct group *group, struct buffer *out,
			   void (*condition)(struct buffer *out, const char *text))
{
	char text[NOTICE_VALUE_MAX];
	const struct rule *rule = group->rule;
	for (uint32_t i = 0; i < rule->where.count; i++)
		condition(out, rule->where.items[i]);
	for (uint32_t i = 1; i < group->labels_count; i++) {
		condition_of(&group->labels[i], text, sizeof text);
		if (*group->labels[i].value && *text)
			condition(out, text);
	}
}

static bool is_of_rows(const struct group *group)
{
	return group->rule && group->rule->kind == RULE_ROWS;
}

/* What was put together, or nothing if it is too long. */
static const char *finish(struct buffer *out, char *text, size_t size)
{
	bool ok = !out->failed && out->length < size;
	snprintf(text, size, "%.*s", ok ? (int)out->length : 0, ok ? buffer_text(out) : "");
	buffer_release(out);
	return ok ? text : NULL;
}

static void where_parameter(struct buffer *out, const char *condition)
{
	append_parameter(out, "where", condition);
}

static void where_argument(struct buffer *out, const char *condition)
{
	buffer_string(out, " --where ");
	append_quoted(out, condition);
}

static bool begin_link(const struct telling *telling, struct buffer *out, size_t size)
{
	const char *base = ruleset_external_url(telling->ruleset);
	size_t length = base ? strlen(base) : 0;
	while (length > 0 && base[length - 1] == '/')
		length--;
	buffer_init(out, 0, size - 1);
	if (length == 0)
		return false;
	buffer_bytes(out, base, length);
	buffer_print(out, "/?table=%s", is_of_rows(telling->group) ? telling->group->rule->table : "alerts");
	return true;
}

/* The page with these subjects; one of them with `alert`. NULL: there is no page. The one place that knows how the
 * page's address is made. */
static const char *make_link(const struct telling *telling, const struct alert *alert, char *text, size_t size)
{
	struct buffer out;
	const struct group *group = telling->group;
	if (!begin_link(telling, &out, size))
		return NULL;
	if (alert && is_of_rows(group)) {
		append_parameter(&out, "key", alert->subject);
	} else if (is_of_rows(group)) {
		each_condition(group, &out, where_parameter);
	} else {
		buffer_string(&out, "&where=alert%3D");
		append_escaped(&out, group->rule_name);
	}
	return finish(&out, text, size);
}

static const char *make_command(const struct telling *telling, char *text, size_t size)
{
	struct buffer out;
	const struct group *group = telling->group;
	buffer_init(&out, 0, size - 1);
	if (is_of_rows(group)) {
		buffer_print(&out, "callwatch get %s", group->rule->table);
		each_condition(group, &out, where_argument);
	}
	if (is_of_rows(group) && !out.failed)
		return finish(&out, text, size);
	buffer_cut(&out, 0);
	buffer_print(&out, "callwatch alerts --where alert=%s", group->rule_name);
	return finish(&out, text, size);
}

/* ---- the title ---- */

struct title {
	char *text;
	size_t size, length;
};

static void say(struct title *title, const char *format, ...) CW_PRINTF(2, 3);
static void say(struct title *title, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(title->text + title->length, title->size - title->length, format, args);
	va_end(args);
	title->length += n < 0 ? 0 : (size_t)n;
	if (title->length >= title->size)
		title->length = title->size - 1;
}

/* `02:09:51`, and the day as well if it is another. Local, as people's clocks. */
static void say_time(struct title *title, const struct telling *telling)
{
	char text[32] = "";
	struct tm then, now;
	time_t since = (time_t)(telling->since / CW_SECOND), wall = (time_t)(telling->wall / CW_SECOND);
	if (!localtime_r(&since, &then) || !localtime_r(&wall, &now))
		return;
	bool today = then.tm_yday == now.tm_yday && then.tm_year == now.tm_year;
	strftime(text, sizeof text, today ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &then);
	say(title, " since %s", text);
}

/* `37 of 849 calls silent since 02:09:51`, or the words of the only one. */
static void say_firing(struct title *title, const struct telling *telling, uint64_t rows)
{
	const struct rule *rule = telling->group->rule;
	const char *noun = rule && rule->noun ? rule->noun : "alerts";
	if (telling->firing_count == 1) {
		say(title, "%s", telling->firing[0]->summary ? telling->firing[0]->summary : "");
		return;
	}
	say(title, "%" PRIu32, telling->firing_count);
	if (is_of_rows(telling->group) && rows >= telling->firing_count)
		say(title, " of %" PRIu64, rows);
	say(title, " %s", noun);
	say_time(title, telling);
}

static const char *reason_of(const struct alert *alert)
{
	return alert->reason ? alert->reason : "ended";
}

/* `recovered: SUMMARY`, `all 37 have ended after 12m 03s (35 recovered, 2 gone)`. */
static void say_ended(struct title *title, const struct telling *telling)
{
	const char *seen[8];
	uint32_t reasons = 0;
	if (telling->ended_count == 1) {
		const struct alert *only = telling->ended[0];
		say(title, "%s: %s", reason_of(only), only->summary ? only->summary : "");
		return;
	}
	say(title, "all %" PRIu32 " have ended after %s", telling->ended_count,
	    text_ns(telling->wall - telling->since).text);
	for (uint32_t i = 0; i < telling->ended_count; i++) {
		uint32_t k = 0;
		while (k < reasons && strcmp(seen[k], reason_of(telling->ended[i])) != 0)
			k++;
		if (k == reasons && reasons < sizeof seen / sizeof seen[0])
			seen[reasons++] = reason_of(telling->ended[i]);
	}
	for (uint32_t k = 0; k < reasons; k++) {
		uint32_t count = 0;
		for (uint32_t i = 0; i < telling->ended_count; i++)
			count += strcmp(seen[k], reason_of(telling->ended[i])) == 0;
		say(title, "%s%" PRIu32 " %s", k == 0 ? " (" : ", ", count, seen[k]);
	}
	say(title, ")");
}

static void make_title(const struct telling *telling, uint64_t rows, char *text, size_t size)
{
	struct title title = {.text = text, .size = size};
	say(&title, "%s: ", telling->group->rule_name);
	if (telling->kind == CW_NOTICE_TEST) {
		say(&title, "this is a test, nothing is wrong");
	} else if (telling->kind == CW_NOTICE_RESOLVED) {
		say_ended(&title, telling);
	} else {
		say(&title, "%s", telling->kind == CW_NOTICE_REPEAT ? "still " : "");
		if (telling->firing_count > 0)
			say_firing(&title, telling, rows);
		if (telling->ended_count > 0)
			say(&title, "%s%" PRIu32 " ended", telling->firing_count ? "; " : "", telling->ended_count);
		if (telling->muted > 0)
			say(&title, "; %" PRIu32 " muted", telling->muted);
	}
}

/* ---- the description ---- */

/* Of the group: only what is known of it, and of its most important alert. */
static bool look(void *arg, const char *name, struct template_value *ret_value)
{
	const struct telling *telling = arg;
	const struct alert *first = telling->firing_count  ? telling->firing[0]
				    : telling->ended_count ? telling->ended[0]
							   : NULL;
	*ret_value = (struct template_value){.text = NULL};
	if (strcmp(name, "common") == 0)
		ret_value->text = telling->common;
	else if (strcmp(name, "alert") == 0)
		ret_value->text = telling->group->rule_name;
	else if (first)
		ret_value->text = alert_text(first, name);
	if (!ret_value->text && first && strcmp(name, "value") == 0) {
		ret_value->number = first->value;
		return true;
	}
	return ret_value->text != NULL;
}

/* That of the most important alert as it was frozen; rendered anew only if it asks for what the subjects share. Who is
 * told that all is well again needs no advice. */
static const char *make_description(struct telling *telling, char *text, size_t size)
{
	const struct template *template = telling->group->rule ? telling->group->rule->description : NULL;
	const struct alert *first = telling->firing_count  ? telling->firing[0]
				    : telling->ended_count ? telling->ended[0]
							   : NULL;
	bool asks = telling->kind == CW_NOTICE_TEST;
	if (telling->kind == CW_NOTICE_RESOLVED)
		return "";
	for (uint32_t i = 0; template && !asks && template_name(template, i); i++)
		asks = strcmp(template_name(template, i), "common") == 0;
	if (!template || !asks)
		return first && first->description ? first->description : "";
	size_t length = template_render(template, look, telling, text, size);
	while (length > 0 && strchr(" \n", text[length - 1])) /* where nothing is common */
		text[--length] = '\0';
	return text;
}

/* ---- the breakdown ---- */

struct share {
	const char *value;
	uint32_t count;
};

static int by_value(const void *a, const void *b)
{
	return strcmp(((const struct share *)a)->value, ((const struct share *)b)->value);
}

static int by_count(const void *a, const void *b)
{
	const struct share *one = a, *other = b;
	if (one->count != other->count)
		return one->count > other->count ? -1 : 1;
	return strcmp(one->value, other->value);
}

/* How many of the alerts have which value, the most frequent first; how many values. */
static uint32_t count_values(const struct alert **alerts, uint32_t count, const char *column, struct share *shares)
{
	uint32_t different = 0;
	for (uint32_t i = 0; i < count; i++) {
		const char *value = alert_text(alerts[i], column);
		shares[i] = (struct share){.value = value && *value ? value : "?", .count = 1};
	}
	qsort(shares, count, sizeof *shares, by_value);
	for (uint32_t i = 0; i < count; i++) {
		if (different > 0 && strcmp(shares[different - 1].value, shares[i].value) == 0)
			shares[different - 1].count++;
		else
			shares[different++] = shares[i];
	}
	qsort(shares, different, sizeof *shares, by_count);
	return different;
}

static void add_share(struct words *words, uint32_t *count, const char *column, const char *value, uint64_t number)
{
	if (*count == NOTICE_BREAKDOWN_MAX)
		return;
	snprintf(words->breakdown_names[*count], NOTICE_FACT_MAX, "%s %s", column, value);
	snprintf(words->breakdown_texts[*count], TEXT_NUMBER_SIZE, "%" PRIu64, number);
	words->breakdown[*count] =
		(struct cw_fact){.name = words->breakdown_names[*count], .text = words->breakdown_texts[*count]};
	(*count)++;
}

/* By each column of summarize_by; the rest of a column's values together. 0 or -1: no memory. */
static int make_breakdown(const struct telling *telling, struct words *words, struct cw_array *ret_breakdown)
{
	const struct rule *rule = telling->group->rule;
	bool fires = telling->firing_count > 0;
	const struct alert **alerts = fires ? telling->firing : telling->ended;
	uint32_t count = fires ? telling->firing_count : telling->ended_count, used = 0;
	*ret_breakdown = (struct cw_array){words->breakdown, 0, sizeof *words->breakdown};
	if (!rule || rule->summarize_by.count == 0 || count < 2)
		return 0;
	struct share *shares = calloc(count, sizeof *shares);
	if (!shares)
		return -1;
	for (uint32_t c = 0; c < rule->summarize_by.count; c++) {
		const char *column = rule->summarize_by.items[c];
		uint32_t different = count_values(alerts, count, column, shares), told = 0, others = 0;
		if (different == 1 && strcmp(shares[0].value, "?") == 0)
			continue; /* known of none */
		for (; told < different && told < BREAKDOWN_PER_COLUMN; told++)
			add_share(words, &used, column, shares[told].value, shares[told].count);
		for (uint32_t i = told; i < different; i++)
			others += shares[i].count;
		if (others > 0)
			add_share(words, &used, column, "(others)", others);
	}
	free(shares);
	ret_breakdown->count = used;
	return 0;
}

/* ---- labels and alerts ---- */

static void add_label(struct cw_tag labels[NOTICE_LABELS_MAX], uint32_t *count, const char *name, const char *value)
{
	for (uint32_t i = 0; i < *count; i++)
		if (strcmp(labels[i].name, name) == 0)
			return;
	if (*count < NOTICE_LABELS_MAX)
		labels[(*count)++] = (struct cw_tag){.name = name, .value = value};
}

static void add_rules_labels(const struct group *group, struct cw_tag labels[NOTICE_LABELS_MAX], uint32_t *count)
{
	for (uint32_t i = 0; group->rule && i < group->rule->labels_count; i++)
		add_label(labels, count, group->rule->labels[i].name, group->rule->labels[i].value);
}

uint32_t telling_labels(const struct group *group, enum cw_severity severity, struct cw_tag labels[NOTICE_LABELS_MAX])
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < group->labels_count; i++)
		if (*group->labels[i].value) /* it splits groups, but is none */
			add_label(labels, &count, group->labels[i].name, group->labels[i].value);
	add_label(labels, &count, "severity", severity_names[severity]);
	add_rules_labels(group, labels, &count);
	return count;
}

static void fill_alert(const struct telling *telling, struct words *words, uint32_t i, const struct alert *alert)
{
	uint32_t labels = 0;
	bool is_firing = alert->state == ALERT_FIRING;
	struct cw_tag *tags = words->alert_labels[i];
	add_label(tags, &labels, "alertname", alert->rule_name);
	add_label(tags, &labels, "severity", severity_names[alert->severity]);
	add_label(tags, &labels, "instance", alert->source);
	add_label(tags, &labels, "subject", alert->subject);
	add_rules_labels(telling->group, tags, &labels);
	words->alerts[i] = (struct cw_alert){
		.fingerprint = alert->fingerprint,
		.instance = alert->source,
		.subject = alert->subject,
		.is_firing = is_firing,
		.summary = alert->summary,
		.reason = is_firing ? NULL : reason_of(alert),
		.starts_at = alert->firing_since,
		.ends_at = is_firing ? 0 : alert->resolved_at,
		.value = alert->value,
		.url = make_link(telling, alert, words->alert_urls[i], SUBJECT_LINK_SIZE),
		.labels = {tags, labels, sizeof *tags},
		.facts = {alert->facts, alert->facts_count, sizeof *alert->facts},
		.acked_by = alert->acked_by,
	};
}

/* Those that fire first; but there is room for some that have ended. */
static struct cw_array fill_alerts(const struct telling *telling, struct words *words)
{
	uint32_t firing = telling->firing_count, ended = telling->ended_count, n = 0;
	uint32_t room = firing < CW_NOTICE_ALERTS_MAX ? CW_NOTICE_ALERTS_MAX - firing : 0;
	room = room > ENDED_LEAST ? room : ENDED_LEAST;
	ended = ended < room ? ended : room;
	for (uint32_t i = 0; i < firing && n < CW_NOTICE_ALERTS_MAX - ended; i++)
		fill_alert(telling, words, n++, telling->firing[i]);
	for (uint32_t i = 0; i < ended; i++)
		fill_alert(telling, words, n++, telling->ended[i]);
	return (struct cw_array){words->alerts, n, sizeof *words->alerts};
}

/* ---- the whole ---- */

static void find_common(struct telling *telling, uint64_t *ret_rows)
{
	const struct group *group = telling->group;
	telling->common[0] = '\0';
	*ret_rows = 0;
	if (is_of_rows(group) && telling->options->tables && telling->firing_count > 1)
		common_find(telling->options->tables, group->rule, group->alerts, telling->common, ret_rows);
}

static struct notice *make(struct telling *telling, struct words *words)
{
	uint64_t rows;
	struct cw_array breakdown;
	const struct group *group = telling->group;
	enum cw_severity severity = highest(telling);
	find_common(telling, &rows);
	make_title(telling, rows, words->title, sizeof words->title);
	snprintf(words->id, sizeof words->id, "%s-%" PRIx32, telling->incident, telling->sequence);
	if (make_breakdown(telling, words, &breakdown) < 0)
		return NULL;
	struct cw_notice said = {
		.size = sizeof said,
		.id = words->id,
		.group = group->key,
		.incident = telling->incident,
		.sequence = telling->sequence,
		.kind = telling->kind,
		.severity = severity,
		.rule = group->rule_name,
		.title = words->title,
		.description = make_description(telling, words->description, sizeof words->description),
		.common = telling->common,
		.breakdown = breakdown,
		.labels = {words->labels, telling_labels(group, severity, words->labels), sizeof *words->labels},
		.group_labels = {group->labels, group->labels_count, sizeof *group->labels},
		.firing = telling->firing_count,
		.resolved = telling->ended_count,
		.alerts = fill_alerts(telling, words),
		.since = telling->since,
		.at = telling->wall,
		.url = make_link(telling, /* alert */ NULL, words->url, sizeof words->url),
		.command = make_command(telling, words->command, sizeof words->command),
		.host = telling->options->hostname,
	};
	said.left_out = said.firing + said.resolved - said.alerts.count;
	return notice_new(&said);
}

struct notice *telling_notice(struct telling *telling)
{
	struct words *words = malloc(sizeof *words);
	if (!words)
		return NULL;
	put_in_order(telling->firing, telling->firing_count);
	put_in_order(telling->ended, telling->ended_count);
	struct notice *notice = make(telling, words);
	free(words);
	return notice;
}
