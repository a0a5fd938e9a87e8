/* SPDX-License-Identifier: MIT
 *
 * Table `alerts`. A row belongs to the part of the instance that the alert is about, so that `instance=calls` finds it,
 * and goes with it when that is taken out of the configuration; what is said after that opens the part anew. So no row
 * number is kept: a row is found by its key, `RULE/SUBJECT`.
 */
#include "alerting_private.h"

#include "alerts_rows.h"
#include "clock.h"
#include "group.h"
#include "hub.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_MAX = 4096, LABELS_TEXT_MAX = 2048 };

enum {
	A_ID,
	A_ALERT,
	A_SUBJECT,
	A_SEVERITY,
	A_STATE,
	A_PENDING_SINCE,
	A_FIRING_SINCE,
	A_VALUE,
	A_SUMMARY,
	A_COMMON,
	A_NOTIFIED,
	A_SILENCED_BY,
	A_INHIBITED_BY,
	A_ACKED_BY,
	A_RESOLVED_AT,
	A_REASON,
	A_DESCRIPTION,
	A_ACK_NOTE,
	A_FINGERPRINT,
	A_LABELS,
	A_HELD_SECONDS,
	A_FOR_SECONDS,
	A_COLUMNS
};

static const struct cw_column columns[A_COLUMNS] = {
	[A_ID] = {.name = "id", .type = CW_TEXT, .flags = CW_COLUMN_KEY | CW_COLUMN_WIDE, .help = "ALERT/SUBJECT"},
	[A_ALERT] = {.name = "alert", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "Name of the rule"},
	[A_SUBJECT] = {.name = "subject", .type = CW_TEXT, .help = "What it holds for: a row's key, or a series"},
	[A_SEVERITY] = {.name = "severity", .type = CW_CHOICE, .choices = severity_names, .help = "How bad it is"},
	[A_STATE] = {.name = "state",
		     .type = CW_CHOICE,
		     .flags = CW_COLUMN_WATCHED,
		     .choices = alert_state_names,
		     .help = "Whether it fires; unknown: its source cannot see"},
	[A_PENDING_SINCE] = {.name = "pending_since", .type = CW_TIME, .help = "Since when the rule holds"},
	[A_FIRING_SINCE] = {.name = "firing_since", .type = CW_TIME, .help = "Since when it fires"},
	[A_VALUE] = {.name = "value", .type = CW_REAL, .help = "Last value, of a rule about samples"},
	[A_SUMMARY] = {.name = "summary", .type = CW_TEXT, .help = "What it is about, as when it began to fire"},
	[A_COMMON] = {.name = "common",
		      .type = CW_TEXT,
		      .flags = CW_COLUMN_REPEATS,
		      .help = "What the subjects of its group share and others do not"},
	[A_NOTIFIED] = {.name = "notified",
			.type = CW_TEXT,
			.flags = CW_COLUMN_REPEATS,
			.help = "Who was told of its group, when, and what became of it"},
	[A_SILENCED_BY] = {.name = "silenced_by",
			   .type = CW_TEXT,
			   .flags = CW_COLUMN_REPEATS,
			   .help = "Silence that mutes it"},
	[A_INHIBITED_BY] = {.name = "inhibited_by",
			    .type = CW_TEXT,
			    .flags = CW_COLUMN_REPEATS,
			    .help = "Alert that mutes it"},
	[A_ACKED_BY] = {.name = "acked_by",
			.type = CW_TEXT,
			.flags = CW_COLUMN_REPEATS,
			.help = "Who has acknowledged it"},
	[A_RESOLVED_AT] = {.name = "resolved_at", .type = CW_TIME, .flags = CW_COLUMN_WIDE, .help = "When it ended"},
	[A_REASON] = {.name = "reason",
		      .type = CW_TEXT,
		      .flags = CW_COLUMN_REPEATS | CW_COLUMN_WIDE,
		      .help = "Why it ended"},
	[A_DESCRIPTION] = {.name = "description",
			   .type = CW_TEXT,
			   .flags = CW_COLUMN_REPEATS | CW_COLUMN_WIDE,
			   .help = "What it means and what to do"},
	[A_ACK_NOTE] = {.name = "ack_note",
			.type = CW_TEXT,
			.flags = CW_COLUMN_REPEATS | CW_COLUMN_WIDE,
			.help = "What was said when it was acknowledged"},
	[A_FINGERPRINT] = {.name = "fingerprint",
			   .type = CW_TEXT,
			   .flags = CW_COLUMN_WIDE,
			   .help = "Of rule, instance and subject: the same for ever"},
	[A_LABELS] = {.name = "labels",
		      .type = CW_TEXT,
		      .flags = CW_COLUMN_REPEATS | CW_COLUMN_WIDE,
		      .help = "The rule's own labels, name=value, one a line"},
	[A_HELD_SECONDS] = {.name = "held_seconds",
			    .type = CW_REAL,
			    .flags = CW_COLUMN_WIDE,
			    .unit = "seconds",
			    .help = "For how long it has held, while it pends"},
	[A_FOR_SECONDS] = {.name = "for_seconds",
			   .type = CW_REAL,
			   .flags = CW_COLUMN_WIDE,
			   .unit = "seconds",
			   .help = "For how long it has to"},
};

const struct cw_table_decl alerts_decl = {
	.name = "alerts",
	.help = "What the rules hold for, and what ended lately",
	.columns = CW_ARRAY(columns),
	.sort = "-pending_since",
};

/* ---- the parts ---- */

struct shown_part {
	struct shown_part *next;
	char *instance;
	struct cw_part *part;
};

/* All of them are here, always. */
static void confirm(struct cw_part *part)
{
	int64_t wall = clock_wall();
	part_coverage(part, &(struct cw_coverage){.from = wall, .to = wall, .complete = true, .ratio = 1});
}

static int open_part(struct alerting *alerting, struct shown_part *shown)
{
	int rc = table_open(alerting->tables, shown->instance, &alerts_decl, /* extra */ NULL, &shown->part);
	if (rc == 0)
		confirm(shown->part);
	return rc;
}

/* NULL: no memory. */
static struct shown_part *find_part(struct alerting *alerting, const char *instance)
{
	struct shown_part *shown = alerting->shown;
	while (shown && strcmp(shown->instance, instance) != 0)
		shown = shown->next;
	if (shown || !(shown = calloc(1, sizeof *shown)))
		return shown;
	shown->instance = strdup(instance);
	if (!shown->instance || open_part(alerting, shown) < 0) {
		free(shown->instance);
		free(shown);
		return NULL;
	}
	shown->next = alerting->shown;
	alerting->shown = shown;
	return shown;
}

void alerts_confirm(struct alerting *alerting)
{
	for (const struct shown_part *shown = alerting->shown; shown; shown = shown->next)
		confirm(shown->part);
}

int alerts_open(struct alerting *alerting)
{
	return find_part(alerting, "agent") ? 0 : -ENOMEM;
}

void alerts_release(struct alerting *alerting)
{
	while (alerting->shown) {
		struct shown_part *next = alerting->shown->next;
		free(alerting->shown->instance);
		free(alerting->shown);
		alerting->shown = next;
	}
}

/* ---- the rows ---- */

/* One that is too long for a key ends with the fingerprint. */
static const char *make_id(char id[ID_MAX + 1], const struct alert *alert)
{
	int length = snprintf(id, ID_MAX + 1, "%s/%s", alert->rule_name, alert->subject);
	if (length > ID_MAX)
		snprintf(id + ID_MAX - ALERT_FINGERPRINT_SIZE, ALERT_FINGERPRINT_SIZE + 1, "~%s", alert->fingerprint);
	return id;
}

static const char *make_labels(char text[LABELS_TEXT_MAX], const struct alert *alert)
{
	size_t length = 0;
	*text = '\0';
	for (uint32_t i = 0; alert->rule && i < alert->rule->labels_count && length < LABELS_TEXT_MAX; i++)
		length += (size_t)snprintf(text + length, LABELS_TEXT_MAX - length, "%s%s=%s", i ? "\n" : "",
					   alert->rule->labels[i].name, alert->rule->labels[i].value);
	return text;
}

void alerts_show(struct alerting *alerting, struct alert *alert)
{
	struct shown_part *shown = find_part(alerting, alert->source);
	char id[ID_MAX + 1], labels[LABELS_TEXT_MAX];
	const struct group *group = alert->group;
	struct cw_cell cells[A_COLUMNS] = {
		[A_ID] = cw_string_cell(make_id(id, alert)),
		[A_ALERT] = cw_string_cell(alert->rule_name),
		[A_SUBJECT] = cw_string_cell(alert->subject),
		[A_SEVERITY] = cw_integer_cell(alert->severity),
		[A_STATE] = cw_integer_cell(alert_shown(alert)),
		[A_PENDING_SINCE] = cw_time_cell(alert->pending_since),
		[A_FIRING_SINCE] = cw_time_cell(alert->firing_since),
		[A_VALUE] = cw_real_cell(alert->value),
		[A_SUMMARY] = cw_string_cell(alert->summary),
		[A_COMMON] = cw_string_cell(group ? group->common : NULL),
		[A_NOTIFIED] = cw_string_cell(group && alert->told != TOLD_NOTHING ? group->notified : NULL),
		[A_SILENCED_BY] = cw_string_cell(alert->silenced_by),
		[A_INHIBITED_BY] = cw_string_cell(alert->inhibited_by),
		[A_ACKED_BY] = cw_string_cell(alert->acked_by),
		[A_RESOLVED_AT] = cw_time_cell(alert->resolved_at),
		[A_REASON] = cw_string_cell(alert->state == ALERT_RESOLVED ? alert->reason : NULL),
		[A_DESCRIPTION] = cw_string_cell(alert->description),
		[A_ACK_NOTE] = cw_string_cell(alert->ack_note),
		[A_FINGERPRINT] = cw_string_cell(alert->fingerprint),
		[A_LABELS] = cw_string_cell(make_labels(labels, alert)),
		[A_HELD_SECONDS] =
			cw_real_cell(alert->state == ALERT_PENDING ? (double)alert->held / 1e9 : (double)NAN),
		[A_FOR_SECONDS] = cw_real_cell(alert->rule ? (double)alert->rule->hold / 1e9 : (double)NAN),
	};
	alert->has_row = true;
	if (shown && row_put(shown->part, cells) == -EPIPE && open_part(alerting, shown) == 0)
		row_put(shown->part, cells);
}

void alerts_hide(struct alerting *alerting, struct alert *alert)
{
	struct shown_part *shown = alert->has_row ? find_part(alerting, alert->source) : NULL;
	char id[ID_MAX + 1];
	alert->has_row = false;
	if (!shown)
		return;
	make_id(id, alert);
	int64_t row = row_find(shown->part, id, strlen(id));
	if (row >= 0)
		row_remove(shown->part, (uint32_t)row, "old");
}
