/* SPDX-License-Identifier: MIT
 *
 * The tables `tasks` and `outcomes`. Their rows belong to the acting instance's parts, so that `instance=dlq` finds
 * them, and go when it is taken out of the configuration; what is told after that opens the part anew. So no row number
 * is kept here: a row is found by its key.
 */
#include "tasks_private.h"

#include "clock.h"
#include "hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const task_state_names[] = {"queued", "running", "success", "error", "cancelled", "lost", NULL};
static const char *const outcome_names[] = {"done", "failed", "gone", "unknown", NULL};

enum {
	T_TASK_ID,
	T_ACTION,
	T_ARGUMENTS,
	T_REQUESTED_BY,
	T_STATE,
	T_DONE,
	T_FAILED,
	T_GONE,
	T_UNKNOWN,
	T_TOTAL,
	T_ASKED_AT,
	T_STARTED_AT,
	T_FINISHED_AT,
	T_TEXT,
	T_REASON,
	T_COLUMNS
};

static const struct cw_column task_columns[T_COLUMNS] = {
	[T_TASK_ID] = {.name = "task_id", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Grows with time"},
	[T_ACTION] = {.name = "action",
		      .type = CW_TEXT,
		      .flags = CW_COLUMN_REPEATS,
		      .help = "What the instance was asked to do"},
	[T_ARGUMENTS] = {.name = "arguments", .type = CW_TEXT, .help = "How, defaults included"},
	[T_REQUESTED_BY] = {.name = "requested_by", .type = CW_TEXT, .help = "Who asked"},
	[T_STATE] = {.name = "state",
		     .type = CW_CHOICE,
		     .flags = CW_COLUMN_WATCHED,
		     .choices = task_state_names,
		     .help = "How it is; lost: nobody knows how it ended"},
	[T_DONE] = {.name = "done", .type = CW_INT, .help = "Rows it was done to, or how far it is"},
	[T_FAILED] = {.name = "failed", .type = CW_INT, .help = "Rows it failed for: they are as they were"},
	[T_GONE] = {.name = "gone", .type = CW_INT, .help = "Rows that were not there any more"},
	[T_UNKNOWN] = {.name = "unknown", .type = CW_INT, .help = "Rows it may or may not have been done to"},
	[T_TOTAL] = {.name = "total", .type = CW_INT, .help = "Of how many; rows without an outcome were not touched"},
	[T_ASKED_AT] = {.name = "asked_at", .type = CW_TIME, .help = "When it was asked for"},
	[T_STARTED_AT] = {.name = "started_at", .type = CW_TIME, .help = "When the instance began"},
	[T_FINISHED_AT] = {.name = "finished_at", .type = CW_TIME, .help = "When it ended"},
	[T_TEXT] = {.name = "text", .type = CW_TEXT, .help = "What the instance last said about it"},
	[T_REASON] = {.name = "reason", .type = CW_TEXT, .help = "Why it ended as it did"},
};

const struct cw_table_decl tasks_decl = {
	.name = "tasks",
	.help = "What people asked instances to do",
	.columns = CW_ARRAY(task_columns),
	.sort = "-task_id",
};

enum { O_OUTCOME_ID, O_TASK_ID, O_ROW, O_OUTCOME, O_TIME, O_TEXT, O_COLUMNS };

static const struct cw_column outcome_columns[O_COLUMNS] = {
	[O_OUTCOME_ID] = {.name = "outcome_id", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "TASK/NUMBER"},
	[O_TASK_ID] = {.name = "task_id", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "The task"},
	[O_ROW] = {.name = "row", .type = CW_TEXT, .help = "Key of the row it was to act on"},
	[O_OUTCOME] = {.name = "outcome",
		       .type = CW_CHOICE,
		       .choices = outcome_names,
		       .help = "What became of it; unknown: it may or may not have been done"},
	[O_TIME] = {.name = "time", .type = CW_TIME, .help = "When that was certain"},
	[O_TEXT] = {.name = "text", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "Why"},
};

const struct cw_table_decl outcomes_decl = {
	.name = "outcomes",
	.help = "What became of each row that a task acted on",
	.columns = CW_ARRAY(outcome_columns),
	.sort = "outcome_id",
};

/* ---- the parts ---- */

/* All of its tasks are here, always. */
static void confirm(const struct shown *shown)
{
	int64_t wall = clock_wall();
	struct cw_coverage all = {.from = wall, .to = wall, .complete = true, .ratio = 1};
	part_coverage(shown->tasks, &all);
	part_coverage(shown->outcomes, &all);
}

/* What was forgotten with its instance is opened again. */
static int open_parts(struct tasks *tasks, struct shown *shown)
{
	int rc = table_open(hub_tables(tasks->hub), shown->instance, &tasks_decl, /* extra */ NULL, &shown->tasks);
	if (rc == 0)
		rc = table_open(hub_tables(tasks->hub), shown->instance, &outcomes_decl, /* extra */ NULL,
				&shown->outcomes);
	if (rc == 0)
		confirm(shown);
	return rc;
}

/* NULL: no memory. */
static struct shown *find_shown(struct tasks *tasks, const char *instance)
{
	struct shown *shown = tasks->shown;
	while (shown && strcmp(shown->instance, instance) != 0)
		shown = shown->next;
	if (shown || !(shown = calloc(1, sizeof *shown)))
		return shown;
	shown->instance = strdup(instance);
	if (!shown->instance || open_parts(tasks, shown) < 0) {
		free(shown->instance);
		free(shown);
		return NULL;
	}
	shown->next = tasks->shown;
	tasks->shown = shown;
	return shown;
}

void tasks_confirm(struct tasks *tasks)
{
	for (const struct shown *shown = tasks->shown; shown; shown = shown->next)
		confirm(shown);
}

void tasks_release_rows(struct tasks *tasks)
{
	while (tasks->shown) {
		struct shown *next = tasks->shown->next;
		free(tasks->shown->instance);
		free(tasks->shown);
		tasks->shown = next;
	}
}

/* ---- the rows ---- */

/* Of a task that has no rows and said no numbers, none are known. */
static struct cw_cell count_cell(const struct journal_task *record, uint64_t count)
{
	bool is_known = record->total > 0 || record->done > 0 || record->failed > 0;
	return is_known ? cw_integer_cell((int64_t)(count & INT64_MAX)) : cw_null_cell();
}

void tasks_show(struct tasks *tasks, const struct kept *kept)
{
	const struct journal_task *record = &kept->record;
	struct shown *shown = find_shown(tasks, record->instance);
	struct cw_cell cells[T_COLUMNS] = {
		[T_TASK_ID] = cw_string_cell(record->id),
		[T_ACTION] = cw_string_cell(record->action),
		[T_ARGUMENTS] = cw_string_cell(record->arguments),
		[T_REQUESTED_BY] = cw_string_cell(record->by),
		[T_STATE] = cw_integer_cell(record->state),
		[T_DONE] = count_cell(record, record->done),
		[T_FAILED] = count_cell(record, record->failed),
		[T_GONE] = count_cell(record, record->gone),
		[T_UNKNOWN] = count_cell(record, record->unknown),
		[T_TOTAL] = record->total ? count_cell(record, record->total) : cw_null_cell(),
		[T_ASKED_AT] = cw_time_cell(record->asked_at),
		[T_STARTED_AT] = cw_time_cell(record->started_at),
		[T_FINISHED_AT] = cw_time_cell(record->finished_at),
		[T_TEXT] = cw_string_cell(record->text),
		[T_REASON] = cw_string_cell(record->reason),
	};
	if (shown && row_put(shown->tasks, cells) == -EPIPE && open_parts(tasks, shown) == 0)
		row_put(shown->tasks, cells);
}

static size_t outcome_id(char id[TASK_ID_SIZE + 16], const char *task_id, uint32_t number)
{
	return (size_t)snprintf(id, TASK_ID_SIZE + 16, "%s/%06u", task_id, number);
}

void tasks_show_outcome(struct tasks *tasks, struct kept *kept, const struct journal_outcome *outcome)
{
	struct shown *shown = find_shown(tasks, kept->record.instance);
	char id[TASK_ID_SIZE + 16];
	outcome_id(id, kept->record.id, outcome->number);
	struct cw_cell cells[O_COLUMNS] = {
		[O_OUTCOME_ID] = cw_string_cell(id),       [O_TASK_ID] = cw_string_cell(kept->record.id),
		[O_ROW] = cw_string_cell(outcome->key),    [O_OUTCOME] = cw_integer_cell(outcome->outcome),
		[O_TIME] = cw_time_cell(outcome->told_at), [O_TEXT] = cw_string_cell(outcome->text),
	};
	kept->told++;
	if (shown && row_put(shown->outcomes, cells) == -EPIPE && open_parts(tasks, shown) == 0)
		row_put(shown->outcomes, cells);
}

static void remove_row(struct cw_part *part, const char *key, size_t length)
{
	int64_t row = row_find(part, key, length);
	if (row >= 0)
		row_remove(part, (uint32_t)row, "old");
}

void tasks_hide(struct tasks *tasks, const struct kept *kept)
{
	struct shown *shown = find_shown(tasks, kept->record.instance);
	char id[TASK_ID_SIZE + 16];
	if (!shown)
		return;
	for (uint32_t number = 0; kept->told > 0 && number < kept->record.total; number++)
		remove_row(shown->outcomes, id, outcome_id(id, kept->record.id, number));
	remove_row(shown->tasks, kept->record.id, strlen(kept->record.id));
}
