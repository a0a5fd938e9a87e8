/* SPDX-License-Identifier: MIT
 *
 * See rules_rows.h. What a rule says is put once for each ruleset, how it stands is touched.
 */
#include "rules_rows.h"

#include "buffer.h"
#include "callwatch/option.h"
#include "clock.h"
#include "scalars.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPRESSION_MAX = 4000 };
enum standing { IDLE, PENDING, FIRING, UNKNOWN, SLEEPING };

static const char *const kind_names[] = {"rows", "samples", NULL};
static const char *const standing_names[] = {"idle", "pending", "firing", "unknown", "sleeping", NULL};

enum {
	R_NAME,
	R_KIND,
	R_EXPRESSION,
	R_FOR_SECONDS,
	R_SEVERITY,
	R_STATE,
	R_FIRING,
	R_PENDING,
	R_UNKNOWN,
	R_NOTIFY,
	R_INHIBITED_BY,
	R_KEEP_FIRING_SECONDS,
	R_SUMMARY,
	R_DESCRIPTION,
	R_ORIGIN,
	R_COLUMNS
};

static const struct cw_column columns[R_COLUMNS] = {
	[R_NAME] = {.name = "name", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Its name"},
	[R_KIND] = {.name = "kind",
		    .type = CW_CHOICE,
		    .flags = CW_COLUMN_WIDE,
		    .choices = kind_names,
		    .help = "What it is about: rows of a table, or samples"},
	[R_EXPRESSION] = {.name = "expression", .type = CW_TEXT, .help = "When it holds"},
	[R_FOR_SECONDS] = {.name = "for_seconds",
			   .type = CW_REAL,
			   .unit = "seconds",
			   .help = "For how long it has to hold before it fires"},
	[R_SEVERITY] = {.name = "severity", .type = CW_CHOICE, .choices = severity_names, .help = "How bad that is"},
	[R_STATE] = {.name = "state",
		     .type = CW_CHOICE,
		     .choices = standing_names,
		     .help = "The most that is true of its alerts; sleeping: its plugin is not configured"},
	[R_FIRING] = {.name = "firing", .type = CW_INT, .help = "Alerts that fire"},
	[R_PENDING] = {.name = "pending", .type = CW_INT, .help = "Alerts that will, if it goes on"},
	[R_UNKNOWN] = {.name = "unknown", .type = CW_INT, .help = "Alerts that stand still: their source is blind"},
	[R_NOTIFY] = {.name = "notify", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "Who hears of it"},
	[R_INHIBITED_BY] = {.name = "inhibited_by",
			    .type = CW_TEXT,
			    .flags = CW_COLUMN_REPEATS | CW_COLUMN_WIDE,
			    .help = "Rules whose alerts it is part of, while they fire"},
	[R_KEEP_FIRING_SECONDS] = {.name = "keep_firing_seconds",
				   .type = CW_REAL,
				   .flags = CW_COLUMN_WIDE,
				   .unit = "seconds",
				   .help = "For how long it must not hold before it has ended"},
	[R_SUMMARY] = {.name = "summary", .type = CW_TEXT, .flags = CW_COLUMN_WIDE, .help = "What is said of each"},
	[R_DESCRIPTION] = {.name = "description",
			   .type = CW_TEXT,
			   .flags = CW_COLUMN_WIDE,
			   .help = "What it means and what to do"},
	[R_ORIGIN] = {.name = "origin",
		      .type = CW_TEXT,
		      .flags = CW_COLUMN_WIDE,
		      .help = "Where it is configured: file:line"},
};

const struct cw_table_decl rules_decl = {
	.name = "rules",
	.help = "What is watched for, who hears of it, and how it stands",
	.columns = CW_ARRAY(columns),
	.sort = "name",
};

/* How many of its alerts are shown as what. */
struct standings {
	uint32_t firing, pending, unknown;
};

struct rules_rows {
	struct cw_part *part;
	const struct ruleset *ruleset;  /* borrowed; NULL: none yet */
	struct standings *shown, *seen; /* one for each of its rules */
};

/* ---- what a rule says ---- */

static void say_number(struct buffer *out, const char *before, double value)
{
	char text[TEXT_NUMBER_SIZE];
	text_number(text, value);
	buffer_print(out, "%s%s", before, text);
}

static void say_list(struct buffer *out, const char *before, const struct texts *texts)
{
	for (uint32_t i = 0; i < texts->count; i++)
		buffer_print(out, "%s%s", i ? ", " : before, texts->items[i]);
}

static void say_selector(struct buffer *out, const struct selector *selector)
{
	buffer_string(out, selector->metric);
	for (uint32_t i = 0; i < selector->labels_count; i++)
		buffer_print(out, "%s%s=%s", i ? "," : "{", selector->labels[i].name, selector->labels[i].value);
	buffer_string(out, selector->labels_count ? "}" : "");
}

static void say_over(struct buffer *out, const struct rule *rule)
{
	char text[SCALAR_TEXT_SIZE];
	buffer_print(out, " per second over %s", duration_text(text, rule->over));
}

/* What the value must come back to, where that is not the limit itself. */
static void say_clear(struct buffer *out, const struct rule *rule)
{
	bool is_upper = rule->test == RULE_ABOVE, is_lower = rule->test == RULE_BELOW;
	if (is_upper && rule->clear_high < rule->high)
		say_number(out, ", until below ", rule->clear_high);
	else if (is_lower && rule->clear_low > rule->low)
		say_number(out, ", until above ", rule->clear_low);
}

static void say_test(struct buffer *out, const struct rule *rule)
{
	char text[SCALAR_TEXT_SIZE];
	switch (rule->test) {
	case RULE_ABOVE:
		say_number(out, " above ", rule->high);
		break;
	case RULE_BELOW:
		say_number(out, " below ", rule->low);
		break;
	case RULE_OUTSIDE:
		say_number(out, " outside ", rule->low);
		say_number(out, " to ", rule->high);
		break;
	case RULE_ABSENT:
		buffer_print(out, " absent for %s", duration_text(text, rule->absent));
		break;
	case RULE_RATE_ABOVE:
		say_number(out, " rises by more than ", rule->high);
		say_over(out, rule);
		break;
	case RULE_RATE_BELOW:
		say_number(out, " rises by less than ", rule->low);
		say_over(out, rule);
		break;
	}
	say_clear(out, rule);
}

static void say_expression(struct buffer *out, const struct rule *rule)
{
	if (rule->kind == RULE_ROWS)
		buffer_string(out, rule->table);
	else
		say_selector(out, &rule->selector);
	say_list(out, " where ", &rule->where);
	if (rule->kind == RULE_SAMPLES)
		say_test(out, rule);
	for (uint32_t i = 0; i < rule->guards_count; i++)
		buffer_print(out, "%s%s", i ? ", " : ", while ", rule->guards[i].text);
}

static void say_notifier(void *arg, const char *notifier)
{
	struct buffer *out = arg;
	buffer_print(out, "%s%s", out->length ? ", " : "", notifier);
}

/* What a group of this rule is routed by, as far as it is known before there is one. */
static void say_notify(struct buffer *out, const struct ruleset *ruleset, const struct rule *rule)
{
	struct cw_tag *labels = calloc(rule->labels_count + 2, sizeof *labels);
	if (!labels)
		return;
	labels[0] = (struct cw_tag){"alertname", rule->name};
	labels[1] = (struct cw_tag){"severity", severity_names[rule->severity]};
	for (uint32_t i = 0; i < rule->labels_count; i++)
		labels[2 + i] = rule->labels[i];
	ruleset_route(ruleset, labels, rule->labels_count + 2, say_notifier, out);
	free(labels);
}

/* ---- rows ---- */

static struct cw_cell buffer_cell(const struct buffer *buffer)
{
	return cw_text_cell(buffer_text(buffer), buffer->length);
}

static struct cw_cell seconds_cell(int64_t ns)
{
	return cw_real_cell((double)ns / (double)CW_SECOND);
}

static enum standing standing_of(const struct rule *rule, const struct standings *standings)
{
	if (rule->sleeps)
		return SLEEPING;
	return standings->firing ? FIRING : standings->unknown ? UNKNOWN : standings->pending ? PENDING : IDLE;
}

static const char *option_text(const struct rule *rule, const char *key)
{
	return rule->options ? cw_get_string(rule->options, key) : NULL;
}

static void put(struct rules_rows *rows, const struct rule *rule, const struct standings *standings)
{
	struct buffer expression, notify, inhibited, origin;
	struct buffer *const buffers[] = {&expression, &notify, &inhibited, &origin};
	for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
		buffer_init(buffers[i], /* head: */ 0, EXPRESSION_MAX);
	say_expression(&expression, rule);
	say_notify(&notify, rows->ruleset, rule);
	say_list(&inhibited, "", &rule->inhibited_by);
	if (rule->place.file)
		buffer_print(&origin, "%s:%u", rule->place.file, rule->place.line);
	struct cw_cell cells[R_COLUMNS] = {
		[R_NAME] = cw_string_cell(rule->name),
		[R_KIND] = cw_integer_cell(rule->kind),
		[R_EXPRESSION] = buffer_cell(&expression),
		[R_FOR_SECONDS] = seconds_cell(rule->hold),
		[R_SEVERITY] = cw_integer_cell(rule->severity),
		[R_STATE] = cw_integer_cell(standing_of(rule, standings)),
		[R_FIRING] = cw_integer_cell(standings->firing),
		[R_PENDING] = cw_integer_cell(standings->pending),
		[R_UNKNOWN] = cw_integer_cell(standings->unknown),
		[R_NOTIFY] = buffer_cell(&notify),
		[R_INHIBITED_BY] = buffer_cell(&inhibited),
		[R_KEEP_FIRING_SECONDS] = seconds_cell(rule->keep_firing),
		[R_SUMMARY] = cw_string_cell(option_text(rule, "summary")),
		[R_DESCRIPTION] = cw_string_cell(option_text(rule, "description")),
		[R_ORIGIN] = buffer_cell(&origin),
	};
	row_put(rows->part, cells);
	for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
		buffer_release(buffers[i]);
}

static void touch(struct rules_rows *rows, const struct rule *rule, const struct standings *standings)
{
	const struct cw_change changes[] = {
		{R_STATE, cw_integer_cell(standing_of(rule, standings))},
		{R_FIRING, cw_integer_cell(standings->firing)},
		{R_PENDING, cw_integer_cell(standings->pending)},
		{R_UNKNOWN, cw_integer_cell(standings->unknown)},
	};
	int64_t row = row_find(rows->part, rule->name, strlen(rule->name));
	if (row >= 0)
		row_touch(rows->part, (uint32_t)row, changes, sizeof changes / sizeof *changes);
}

/* All of them are here, always. */
static void confirm(const struct rules_rows *rows)
{
	int64_t wall = clock_wall();
	part_coverage(rows->part, &(struct cw_coverage){.from = wall, .to = wall, .complete = true, .ratio = 1});
}

/* ---- the whole ---- */

struct rules_rows *rules_rows_new(struct tables *tables)
{
	struct rules_rows *rows = calloc(1, sizeof *rows);
	if (!rows)
		return NULL;
	if (table_open(tables, "agent", &rules_decl, /* extra: */ NULL, &rows->part) < 0) {
		free(rows);
		return NULL;
	}
	confirm(rows);
	return rows;
}

void rules_rows_free(struct rules_rows *rows)
{
	if (!rows)
		return;
	free(rows->shown);
	free(rows->seen);
	free(rows);
}

static void remove_rule(void *arg, uint32_t row)
{
	struct rules_rows *rows = arg;
	row_remove(rows->part, row, "rule removed");
}

void rules_rows_use(struct rules_rows *rows, const struct ruleset *ruleset)
{
	uint32_t count = ruleset ? ruleset_count(ruleset) : 0;
	free(rows->shown);
	free(rows->seen);
	rows->shown = calloc(count + 1, sizeof *rows->shown);
	rows->seen = calloc(count + 1, sizeof *rows->seen);
	rows->ruleset = rows->shown && rows->seen ? ruleset : NULL;
	full_begin(rows->part);
	for (uint32_t i = 0; rows->ruleset && i < count; i++)
		put(rows, ruleset_at(ruleset, i), &rows->shown[i]);
	full_end(rows->part, remove_rule, rows);
	confirm(rows);
}

/* Alerts of one rule mostly stand together: the last one's place is looked at first. */
static uint32_t index_of(const struct rules_rows *rows, const struct rule *rule, uint32_t last)
{
	uint32_t count = ruleset_count(rows->ruleset);
	if (last < count && ruleset_at(rows->ruleset, last) == rule)
		return last;
	for (uint32_t i = 0; i < count; i++)
		if (ruleset_at(rows->ruleset, i) == rule)
			return i;
	return count;
}

static void count(const struct rules_rows *rows, struct engine *engine)
{
	uint32_t rules = ruleset_count(rows->ruleset), i = 0;
	memset(rows->seen, 0, (rules + 1) * sizeof *rows->seen);
	for (const struct alert *alert = engine_first(engine); alert; alert = alert->next) {
		if (!alert->rule || (i = index_of(rows, alert->rule, i)) == rules)
			continue;
		int shown = alert_shown(alert);
		rows->seen[i].pending += shown == SHOWN_PENDING;
		rows->seen[i].firing += shown == SHOWN_FIRING;
		rows->seen[i].unknown += shown == SHOWN_UNKNOWN;
	}
}

void rules_rows_look(struct rules_rows *rows, struct engine *engine)
{
	if (!rows->ruleset)
		return;
	count(rows, engine);
	for (uint32_t i = 0; i < ruleset_count(rows->ruleset); i++) {
		if (memcmp(&rows->seen[i], &rows->shown[i], sizeof rows->seen[i]) == 0)
			continue;
		rows->shown[i] = rows->seen[i];
		touch(rows, ruleset_at(rows->ruleset, i), &rows->shown[i]);
	}
	confirm(rows);
}
