/* SPDX-License-Identifier: MIT
 *
 * See delivery_private.h. Table `notifications`, and what became of an incident's notices in a few words.
 */
#include "delivery_private.h"

#include "clock.h"
#include "hub.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const kind_names[] = {"firing", "resolved", "repeat", "test", NULL};

enum {
	N_ID,
	N_TIME,
	N_NOTIFIER,
	N_ALERT,
	N_KIND,
	N_STATE,
	N_ATTEMPTS,
	N_NEXT_TRY,
	N_SETTLED_AT,
	N_DELAY,
	N_REASON,
	N_GROUP,
	N_INCIDENT,
	N_SEQUENCE,
	N_ON_DISK,
	N_COLUMNS
};

static const struct cw_column columns[N_COLUMNS] = {
	[N_ID] = {.name = "id",
		  .type = CW_TEXT,
		  .flags = CW_COLUMN_KEY | CW_COLUMN_WIDE,
		  .help = "The same at each attempt, and after a crash"},
	[N_TIME] = {.name = "time", .type = CW_TIME, .help = "When the notice was made"},
	[N_NOTIFIER] = {.name = "notifier", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "Who is to tell it"},
	[N_ALERT] = {.name = "alert", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "The rule that it is about"},
	[N_KIND] = {.name = "kind", .type = CW_CHOICE, .choices = kind_names, .help = "What it says"},
	[N_STATE] = {.name = "state",
		     .type = CW_CHOICE,
		     .flags = CW_COLUMN_WATCHED,
		     .choices = delivery_state_names,
		     .help = "How far it is; dead: it was refused, or given up after a day"},
	[N_ATTEMPTS] = {.name = "attempts", .type = CW_INT, .help = "How often it was tried"},
	[N_NEXT_TRY] = {.name = "next_try", .type = CW_TIME, .help = "When it is tried again"},
	[N_SETTLED_AT] = {.name = "settled_at", .type = CW_TIME, .help = "When it was sent, or given up"},
	[N_DELAY] = {.name = "delay_seconds",
		     .type = CW_REAL,
		     .unit = "seconds",
		     .help = "From when it was made until the receiver said yes"},
	[N_REASON] = {.name = "reason", .type = CW_TEXT, .help = "What the receiver said, or what is wrong"},
	[N_GROUP] = {.name = "group",
		     .type = CW_TEXT,
		     .flags = CW_COLUMN_REPEATS | CW_COLUMN_WIDE,
		     .help = "The alerts that are told together; the same over incidents"},
	[N_INCIDENT] = {.name = "incident",
			.type = CW_TEXT,
			.flags = CW_COLUMN_REPEATS | CW_COLUMN_WIDE,
			.help = "From the group's first alert until all have ended"},
	[N_SEQUENCE] = {.name = "sequence",
			.type = CW_INT,
			.flags = CW_COLUMN_WIDE,
			.help = "Number of the notice in its incident"},
	[N_ON_DISK] = {.name = "on_disk",
		       .type = CW_BOOL,
		       .flags = CW_COLUMN_WIDE,
		       .help = "Whether a crash now would forget nothing of it"},
};

static const struct cw_table_decl decl = {
	.name = "notifications",
	.help = "What was told to whom, and what became of it",
	.columns = CW_ARRAY(columns),
	.sort = "-time",
};

void delivery_rows_open(struct deliveries *deliveries)
{
	int rc = table_open(hub_tables(deliveries->options.hub), "agent", &decl, /* extra */ NULL, &deliveries->part);
	if (rc < 0) {
		deliveries->part = NULL;
		log_line(NULL, CW_ERROR, "table notifications cannot be made: %s", strerror(-rc));
	}
}

void delivery_rows_confirm(struct deliveries *deliveries)
{
	if (deliveries->wall - deliveries->confirmed < CW_SECOND && deliveries->wall >= deliveries->confirmed)
		return;
	deliveries->confirmed = deliveries->wall;
	struct cw_coverage all = {.from = deliveries->wall, .to = deliveries->wall, .complete = true, .ratio = 1};
	if (deliveries->part)
		part_coverage(deliveries->part, &all);
}

static struct cw_cell delay_cell(const struct delivery *delivery)
{
	if (delivery->state != DELIVERY_SENT)
		return cw_null_cell();
	return cw_real_cell((double)(delivery->settled_at - delivery->created_at) / 1e9);
}

/* So that its group is described anew. */
static void note_latest(struct deliveries *deliveries, struct delivery *delivery)
{
	bool is_new;
	struct delivery **latest = keyed_put(&deliveries->latest,
					     whose(deliveries, delivery->incident, delivery->lane->notifier), &is_new);
	if (latest && (is_new || (*latest)->sequence <= delivery->sequence))
		*latest = delivery;
	if (deliveries->options.changed)
		deliveries->options.changed(deliveries->options.arg, delivery->group);
}

static void forget_latest(struct deliveries *deliveries, const struct delivery *delivery)
{
	struct keyed_hash hash = whose(deliveries, delivery->incident, delivery->lane->notifier);
	struct delivery *const *latest = keyed_find(&deliveries->latest, hash);
	if (latest && *latest == delivery)
		keyed_remove(&deliveries->latest, hash);
}

void delivery_show(struct deliveries *deliveries, struct delivery *delivery)
{
	const struct cw_cell cells[N_COLUMNS] = {
		[N_ID] = cw_string_cell(delivery->id),
		[N_TIME] = cw_time_cell(delivery->created_at),
		[N_NOTIFIER] = cw_string_cell(delivery->lane->notifier),
		[N_ALERT] = cw_string_cell(delivery->rule),
		[N_KIND] = cw_integer_cell(delivery->kind),
		[N_STATE] = cw_integer_cell(delivery->state),
		[N_ATTEMPTS] = cw_integer_cell(delivery->attempts),
		[N_NEXT_TRY] = cw_time_cell(delivery->next_try),
		[N_SETTLED_AT] = cw_time_cell(delivery->settled_at),
		[N_DELAY] = delay_cell(delivery),
		[N_REASON] = cw_string_cell(delivery->reason),
		[N_GROUP] = cw_string_cell(delivery->group),
		[N_INCIDENT] = cw_string_cell(delivery->incident),
		[N_SEQUENCE] = cw_integer_cell(delivery->sequence),
		[N_ON_DISK] = cw_integer_cell(delivery->on_disk),
	};
	note_latest(deliveries, delivery);
	if (deliveries->part)
		row_put(deliveries->part, cells);
}

void delivery_hide(struct deliveries *deliveries, const struct delivery *delivery)
{
	forget_latest(deliveries, delivery);
	int64_t row = deliveries->part ? row_find(deliveries->part, delivery->id, strlen(delivery->id)) : -ENOENT;
	if (row >= 0)
		row_remove(deliveries->part, (uint32_t)row, "old");
}

/* ---- in words ---- */

static void clock_of(char text[16], int64_t wall)
{
	time_t seconds = (time_t)(wall / CW_SECOND);
	struct tm parts;
	localtime_r(&seconds, &parts);
	strftime(text, 16, "%H:%M:%S", &parts);
}

static void describe(const struct delivery *delivery, char *text, size_t size)
{
	const char *notifier = delivery->lane->notifier, *reason = delivery->reason;
	struct text_start why = text_start(*reason ? reason : "not sent", 80);
	char when[16];
	if (delivery->state == DELIVERY_SENT) {
		clock_of(when, delivery->settled_at);
		snprintf(text, size, "%s %s", notifier, when);
	} else if (delivery->state == DELIVERY_DEAD) {
		snprintf(text, size, "%s lost (%s)", notifier, why.text);
	} else if (delivery->next_try) {
		clock_of(when, delivery->next_try);
		snprintf(text, size, "%s queued (%s), next try %s", notifier, why.text, when);
	} else {
		snprintf(text, size, "%s %s", notifier, delivery_state_names[delivery->state]);
	}
}

void deliveries_describe(const struct deliveries *deliveries, const char *incident, char *text, size_t size)
{
	size_t used = 0;
	*text = '\0';
	for (const struct lane *lane = deliveries->lanes; lane && used + 2 < size; lane = lane->next) {
		struct delivery *const *last =
			keyed_find(&deliveries->latest, whose(deliveries, incident, lane->notifier));
		if (!last)
			continue;
		if (used > 0)
			used += (size_t)snprintf(text + used, size - used, ", ");
		describe(*last, text + used, size - used);
		used += strlen(text + used);
	}
}
