/* SPDX-License-Identifier: MIT
 *
 * The hub's two tables: `instances`, a row for each configured plugin, and `events`, the last 10,000 things worth
 * remembering. Both are parts of instance `agent` and written by the hub's thread only.
 *
 * An instance's row is put when its state changes; its counters are touched once a second, and only those that changed,
 * so that views of a quiet agent are quiet.
 */
#include "hub_private.h"

#include "clock.h"
#include "loader.h"
#include "log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

const char *const hub_state_names[] = {"starting", "up", "degraded", "down", "stuck", NULL};
const char *const hub_event_kinds[] = {"transition", "alert",  "notification", "silence", "ack", "action",
				       "reload",     "source", "reveal",       "note",    NULL};

enum {
	I_INSTANCE,
	I_PLUGIN,
	I_ROLE,
	I_STATE,
	I_REASON,
	I_SINCE,
	I_NEXT_TRY,
	I_LAST_OK,
	I_READS,
	I_ERRORS,
	I_OVERRUNS,
	I_QUEUE,
	I_SPOOLED_BYTES,
	I_DROPPED,
	I_MALFORMED,
	I_LAST_DROP,
	I_COLUMNS
};

static const struct cw_column instance_columns[I_COLUMNS] = {
	[I_INSTANCE] = {.name = "instance", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Name of the instance"},
	[I_PLUGIN] = {.name = "plugin", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "Its plugin"},
	[I_ROLE] = {.name = "role", .type = CW_CHOICE, .choices = role_names, .help = "What kind of plugin it is"},
	[I_STATE] = {.name = "state",
		     .type = CW_CHOICE,
		     .flags = CW_COLUMN_WATCHED,
		     .choices = hub_state_names,
		     .help = "Whether it works"},
	[I_REASON] = {.name = "reason", .type = CW_TEXT, .help = "Why it is in this state"},
	[I_SINCE] = {.name = "since", .type = CW_TIME, .help = "When this state began"},
	[I_NEXT_TRY] = {.name = "next_try", .type = CW_TIME, .help = "When it tries again"},
	[I_LAST_OK] = {.name = "last_ok", .type = CW_TIME, .help = "Last good reading or write"},
	[I_READS] = {.name = "reads", .type = CW_INT, .help = "Readings begun"},
	[I_ERRORS] = {.name = "errors", .type = CW_INT, .help = "Operations that failed"},
	[I_OVERRUNS] = {.name = "overruns", .type = CW_INT, .help = "Readings skipped, the last one was not done"},
	[I_QUEUE] = {.name = "queue", .type = CW_INT, .unit = "samples", .help = "Samples waiting for this output"},
	[I_SPOOLED_BYTES] = {.name = "spooled_bytes",
			     .type = CW_INT,
			     .unit = "bytes",
			     .help = "Waiting on disk for this output"},
	[I_DROPPED] = {.name = "dropped", .type = CW_INT, .unit = "samples", .help = "Samples lost, for any reason"},
	[I_MALFORMED] = {.name = "malformed", .type = CW_INT, .help = "Things read that were not as they should be"},
	[I_LAST_DROP] = {.name = "last_drop", .type = CW_TIME, .help = "When a sample was last lost"},
};

const struct cw_table_decl hub_instances_decl = {
	.name = "instances",
	.help = "The configured plugins and how they are",
	.columns = CW_ARRAY(instance_columns),
};

enum { E_ID, E_TIME, E_KIND, E_SUBJECT, E_FROM, E_TO, E_BY, E_TEXT, E_COLUMNS };

static const struct cw_column event_columns[E_COLUMNS] = {
	[E_ID] = {.name = "id", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Grows with time"},
	[E_TIME] = {.name = "time", .type = CW_TIME, .help = "When it happened"},
	[E_KIND] = {.name = "kind", .type = CW_CHOICE, .choices = hub_event_kinds, .help = "What kind of event"},
	[E_SUBJECT] = {.name = "subject", .type = CW_TEXT, .help = "What it happened to: table/key, an instance …"},
	[E_FROM] = {.name = "from", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "State before"},
	[E_TO] = {.name = "to", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "State after"},
	[E_BY] = {.name = "by", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "Who did or saw it"},
	[E_TEXT] = {.name = "text", .type = CW_TEXT, .help = "More about it"},
};

const struct cw_table_decl hub_events_decl = {
	.name = "events",
	.help = "What happened lately",
	.columns = CW_ARRAY(event_columns),
	.sort = "-id",
};

static struct cw_cell count_cell(uint64_t count)
{
	return cw_integer_cell(count > INT64_MAX ? INT64_MAX : (int64_t)count);
}

/* All that these tables are about is here, always. */
void hub_tables_confirm(struct hub *hub, int64_t wall)
{
	struct cw_coverage all = {.from = wall, .to = wall, .complete = true, .ratio = 1};
	part_coverage(hub->instances_part, &all);
	part_coverage(hub->events_part, &all);
}

int hub_tables_open(struct hub *hub)
{
	hub->last_event = (uint64_t)(clock_wall() / CW_MILLISECOND); /* so that ids grow over restarts too */
	int status = table_open(hub->tables, "agent", &hub_instances_decl, /* extra */ NULL, &hub->instances_part);
	if (status < 0)
		return status;
	status = table_open(hub->tables, "agent", &hub_events_decl, /* extra */ NULL, &hub->events_part);
	if (status == 0)
		hub_tables_confirm(hub, clock_wall());
	return status;
}

static uint64_t dropped(const struct counters *counters)
{
	return counters->hub_full + counters->invalid + counters->collided + outqueue_dropped(&counters->queue);
}

/* The counters' cells, as they were last taken; the others are left alone. */
static void fill_counters(struct cw_cell cells[I_COLUMNS], const struct hub_instance *instance)
{
	const struct counters *now = &instance->shown;
	cells[I_LAST_OK] = cw_time_cell(instance->shown_ok);
	cells[I_LAST_DROP] = cw_time_cell(instance->shown_drop);
	cells[I_READS] = count_cell(now->reads);
	cells[I_ERRORS] = count_cell(now->errors);
	cells[I_OVERRUNS] = count_cell(now->overruns);
	cells[I_QUEUE] = instance->queue ? count_cell(now->queue.queued) : cw_null_cell();
	cells[I_SPOOLED_BYTES] =
		now->queue.spool.limit || now->queue.spool.held ? count_cell(now->queue.spool.bytes) : cw_null_cell();
	cells[I_DROPPED] = count_cell(dropped(now));
	cells[I_MALFORMED] = count_cell(now->malformed);
}

static int64_t last_ok(const struct hub_instance *instance)
{
	return instance->stats ? atomic_load_explicit(&instance->stats->last_ok, memory_order_relaxed) : 0;
}

static void take_counters(struct hub *hub, struct hub_instance *instance)
{
	uint64_t before = dropped(&instance->shown);
	instance->shown = hub_counters(hub, instance);
	instance->shown_ok = last_ok(instance);
	if (dropped(&instance->shown) > before)
		instance->shown_drop = clock_wall();
	if (instance->stats)
		atomic_store_explicit(&instance->stats->last_drop, instance->shown_drop, memory_order_relaxed);
}

void hub_show_instance(struct hub *hub, struct hub_instance *instance)
{
	struct cw_cell cells[I_COLUMNS] = {
		[I_INSTANCE] = cw_string_cell(instance->name),   [I_PLUGIN] = cw_string_cell(instance->plugin),
		[I_ROLE] = cw_integer_cell(instance->role),      [I_STATE] = cw_integer_cell(instance->state),
		[I_REASON] = cw_string_cell(instance->reason),   [I_SINCE] = cw_time_cell(instance->since),
		[I_NEXT_TRY] = cw_time_cell(instance->next_try),
	};
	take_counters(hub, instance);
	fill_counters(cells, instance);
	instance->row = row_put(hub->instances_part, cells);
	if (instance->row < 0)
		log_line(/* agent */ NULL, CW_ERROR, "cannot show instance %s in table instances: %s", instance->name,
			 strerror((int)-instance->row));
}

void hub_hide_instance(struct hub *hub, struct hub_instance *instance)
{
	if (instance->row >= 0)
		row_remove(hub->instances_part, (uint32_t)instance->row, "removed");
	instance->row = -1;
}

void hub_show_counters(struct hub *hub, struct hub_instance *instance)
{
	static const uint32_t columns[] = {I_LAST_OK,       I_READS,   I_ERRORS,    I_OVERRUNS, I_QUEUE,
					   I_SPOOLED_BYTES, I_DROPPED, I_MALFORMED, I_LAST_DROP};
	enum { N = sizeof(columns) / sizeof(columns[0]) };
	if (instance->row < 0)
		return;
	struct cw_cell before[I_COLUMNS], after[I_COLUMNS];
	fill_counters(before, instance);
	take_counters(hub, instance);
	fill_counters(after, instance);
	struct cw_change changes[N];
	uint32_t n = 0;
	for (size_t i = 0; i < N; i++) {
		const struct cw_cell *was = &before[columns[i]], *is = &after[columns[i]];
		if (was->type != is->type || (is->type == CW_CELL_INTEGER && was->integer != is->integer))
			changes[n++] = (struct cw_change){.column = columns[i], .cell = *is};
	}
	if (n)
		row_touch(hub->instances_part, (uint32_t)instance->row, changes, n);
}

static int64_t kind_index(const char *kind)
{
	int64_t i = 0;
	while (hub_event_kinds[i] && strcmp(hub_event_kinds[i], kind) != 0)
		i++;
	return i;
}

static void forget_oldest(struct hub *hub)
{
	row_remove(hub->events_part, hub->event_rows[hub->events_first], "old");
	hub->events_first = (hub->events_first + 1) % EVENTS_MAX;
	hub->events_count--;
}

void hub_keep_event(struct hub *hub, const struct event *event)
{
	char id[24];
	snprintf(id, sizeof(id), "%016llu", (unsigned long long)++hub->last_event);
	int64_t kind = event->kind ? kind_index(event->kind) : 0;
	history_event(hub->history, &(struct history_event){id, event->kind, event->subject, event->from, event->to,
							    event->by, event->text, event->wall});
	struct cw_cell cells[E_COLUMNS] = {
		[E_ID] = cw_string_cell(id),
		[E_TIME] = cw_integer_cell(event->wall),
		[E_KIND] = hub_event_kinds[kind] ? cw_integer_cell(kind) : cw_null_cell(),
		[E_SUBJECT] = cw_string_cell(event->subject),
		[E_FROM] = cw_string_cell(event->from),
		[E_TO] = cw_string_cell(event->to),
		[E_BY] = cw_string_cell(event->by),
		[E_TEXT] = cw_string_cell(event->text),
	};
	if (hub->events_count == EVENTS_MAX)
		forget_oldest(hub);
	int64_t row = row_put(hub->events_part, cells);
	if (row < 0) {
		atomic_fetch_add_explicit(&hub->events_dropped, 1, memory_order_relaxed);
		return;
	}
	hub->event_rows[(hub->events_first + hub->events_count++) % EVENTS_MAX] = (uint32_t)row;
}

/* A change between two values is an event. A birth is none, nor is the end of a row that was well (its last value was
 * the column's first choice): with calls, thousands of these a minute are the normal course of things. */
bool hub_is_event(const struct transition *transition)
{
	if (strcmp(transition->table, "instances") == 0)
		return false; /* told as `source`, with the reason */
	if (strcmp(transition->table, "tasks") == 0)
		return false; /* told as `action`, with who and why */
	if (strcmp(transition->table, "alerts") == 0 || strcmp(transition->table, "notifications") == 0)
		return false; /* told as `alert` and `notification`, about their subjects */
	if (!transition->from)
		return false;
	return transition->to || strcmp(transition->from, transition->choices[0]) != 0;
}
