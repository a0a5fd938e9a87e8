/* SPDX-License-Identifier: MIT
 *
 * See replay.h. The past has tables of its own, filled with what is told, and the agent's rows.c and engine look at
 * them just as they do there, deadlines included; only the actor around them is another. Between two things that are
 * told the clock goes from one due moment to the next.
 *
 * An instance sees until its state says otherwise. A table's watched column is found by its values, since a transition
 * does not name it.
 */
#include "replay.h"

#include "client.h"

#include "alerts/rows.h" /* not our own rows.h */
#include "clock.h"
#include "metric.h"
#include "text.h"
#include "vocabulary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MOST = 256, KEY_MOST = 4097 };
static const int64_t least_step = CW_MILLISECOND;
static const int64_t first_instant = 1000 * CW_SECOND;

/* The rows of one instance in one table. */
struct told_part {
	struct told_part *next;
	struct cw_part *part;
	const struct cw_table_decl *decl;
	struct cw_array extras; /* of struct cw_column: what options add */
	char *instance;
};

struct replay {
	const struct plan *plan;
	struct arena *arena;
	struct vocabulary vocabulary;
	struct tables *tables;
	struct engine *engine;
	struct rows *rows;
	struct told_part *parts;
	char **instances; /* that were told to see, or not to */
	uint32_t instances_count;
	int64_t unwatched; /* ns in which nobody watched */
	struct replayed *list;
	uint32_t count, room;
	struct tried *tried; /* of each rule of the plan */
};

/* ---- the clock: all of the process lives in the past ---- */

static int64_t past_wall, past_instant;

static int64_t turned_now(void)
{
	return past_instant;
}

static int64_t turned_wall(void)
{
	return past_wall;
}

static const struct clock_source turned = {turned_now, turned_wall, turned_now};

static void turn(int64_t instant)
{
	past_wall += instant - past_instant;
	past_instant = instant;
}

static struct moment moment_of(void *arg)
{
	const struct replay *replay = arg;
	return (struct moment){.watched = past_instant - replay->unwatched, .wall = past_wall, .instant = past_instant};
}

/* ---- what the engine says ---- */

static struct tried *tried_of(const struct replay *replay, const struct rule *rule)
{
	return &replay->tried[rule - ruleset_at(replay->plan->ruleset, 0)];
}

static struct replayed *find_fired(struct replay *replay, const struct alert *alert)
{
	for (uint32_t i = replay->count; i-- > 0;) {
		struct replayed *one = &replay->list[i];
		if (!one->resolved_at && one->rule == alert->rule && strcmp(one->instance, alert->instance) == 0 &&
		    strcmp(one->subject, alert->subject) == 0)
			return one;
	}
	return NULL;
}

static void note_fired(struct replay *replay, const struct alert *alert)
{
	if (replay->count == replay->room) {
		replay->room = replay->room ? 2 * replay->room : 64;
		replay->list = must(realloc(replay->list, replay->room * sizeof *replay->list));
	}
	replay->list[replay->count++] = (struct replayed){
		.rule = alert->rule,
		.instance = must(strdup(alert->instance)),
		.subject = must(strdup(alert->subject)),
		.summary = must(strdup(alert->summary ? alert->summary : "")),
		.pending_since = alert->pending_since,
		.firing_since = alert->firing_since,
	};
	tried_of(replay, alert->rule)->fired++;
}

static void on_change(void *arg, struct alert *alert, enum engine_change change)
{
	struct replay *replay = arg;
	struct replayed *fired;
	if (change == ENGINE_FIRES) {
		note_fired(replay, alert);
	} else if (change == ENGINE_ENDS && (fired = find_fired(replay, alert))) {
		fired->resolved_at = past_wall;
		fired->reason = alert->reason;
	} else if (change == ENGINE_GOES && alert->rule) {
		struct tried *tried = tried_of(replay, alert->rule);
		tried->ceased++;
		if (alert->held > tried->held_most)
			tried->held_most = alert->held;
	}
}

static void on_look(void *arg, struct alert *alert)
{
	struct replay *replay = arg;
	rows_look(replay->rows, alert);
}

static void on_transition(void *arg, const struct transition *transition)
{
	struct replay *replay = arg;
	if (ruleset_has_table(replay->plan->ruleset, transition->table))
		rows_hint(replay->rows, transition->table, transition->instance, transition->key);
}

static void count_seen(struct replay *replay, const char *table, const char *metric)
{
	for (uint32_t i = 0; i < ruleset_count(replay->plan->ruleset); i++) {
		const struct rule *rule = ruleset_at(replay->plan->ruleset, i);
		const char *about = rule->kind == RULE_ROWS ? rule->table : rule->selector.metric;
		const char *told = rule->kind == RULE_ROWS ? table : metric;
		if (told && strcmp(about, told) == 0)
			replay->tried[i].seen++;
	}
}

/* ---- time ---- */

static void settle_ended(struct replay *replay)
{
	for (struct alert *alert = engine_first(replay->engine), *next; alert; alert = next) {
		next = alert->next;
		if (alert->state == ALERT_RESOLVED)
			engine_settle(replay->engine, alert);
	}
}

/* All that is due at this moment. The instant of what is due next. */
static int64_t work(struct replay *replay)
{
	while (rows_step(replay->rows))
		;
	int64_t tick = engine_tick(replay->engine, moment_of(replay));
	settle_ended(replay);
	int64_t due = rows_due(replay->rows);
	if (tick < INT64_MAX && tick + replay->unwatched < due)
		due = tick + replay->unwatched;
	return due;
}

/* Nothing is judged while a moment is still being told: of the samples of one reading, guards see all or none. */
void replay_until(struct replay *replay, int64_t wall, bool is_watched)
{
	int64_t end = past_instant + (wall > past_wall ? wall - past_wall : 0);
	if (end == past_instant)
		return;
	int64_t due = work(replay);
	for (; is_watched && due < end; due = work(replay))
		turn(due > past_instant + least_step ? due : past_instant + least_step);
	replay->unwatched += is_watched ? 0 : end - past_instant;
	if (end > past_instant)
		turn(end);
}

void replay_end(struct replay *replay)
{
	work(replay);
}

/* ---- who sees ---- */

static bool note_instance(struct replay *replay, const char *instance)
{
	for (uint32_t i = 0; i < replay->instances_count; i++)
		if (strcmp(replay->instances[i], instance) == 0)
			return false;
	replay->instances = must(realloc(replay->instances, (replay->instances_count + 1) * sizeof *replay->instances));
	replay->instances[replay->instances_count++] = must(strdup(instance));
	return true;
}

static void see(struct replay *replay, const char *instance)
{
	if (note_instance(replay, instance))
		engine_sight(replay->engine, instance, /* sees */ true, moment_of(replay));
}

/* ---- rows ---- */

static const struct known_plugin *plugin_of(const struct replay *replay, const char *instance)
{
	for (uint32_t i = 0; i < replay->vocabulary.plugins_count; i++)
		if (strcmp(replay->vocabulary.plugins[i].instance, instance) == 0)
			return &replay->vocabulary.plugins[i];
	return NULL;
}

/* As the instance's own plugin declares it, else as anybody does. */
static const struct cw_table_decl *decl_of(const struct replay *replay, const char *table, const char *instance)
{
	const struct known_plugin *known = plugin_of(replay, instance);
	for (uint32_t i = 0; known && known->plugin && i < known->plugin->decl.tables.count; i++) {
		const struct cw_table_decl *decl = cw_at(&known->plugin->decl.tables, i);
		if (strcmp(decl->name, table) == 0)
			return decl;
	}
	for (uint32_t i = 0; i < replay->vocabulary.tables_count; i++)
		if (replay->vocabulary.tables[i].decl && strcmp(replay->vocabulary.tables[i].name, table) == 0)
			return replay->vocabulary.tables[i].decl;
	return NULL;
}

/* What options add to the table. */
static struct cw_array extras_of(const struct replay *replay, const char *table)
{
	struct cw_column *columns = arena_alloc(replay->arena, (replay->vocabulary.extras_count + 1) * sizeof *columns);
	uint32_t count = 0;
	for (uint32_t i = 0; i < replay->vocabulary.extras_count; i++)
		if (strcmp(replay->vocabulary.extras[i].table, table) == 0)
			columns[count++] = replay->vocabulary.extras[i].column;
	return (struct cw_array){columns, count, sizeof *columns};
}

static struct told_part *part_of(struct replay *replay, const char *table, const char *instance)
{
	for (struct told_part *told = replay->parts; told; told = told->next)
		if (strcmp(told->decl->name, table) == 0 && strcmp(told->instance, instance) == 0)
			return told;
	const struct cw_table_decl *decl = decl_of(replay, table, instance);
	struct cw_array extras = extras_of(replay, table);
	struct cw_part *part;
	if (!decl || table_open(replay->tables, instance, decl, &extras, &part) < 0)
		return NULL;
	struct told_part *told = must(calloc(1, sizeof *told));
	*told = (struct told_part){.next = replay->parts,
				   .part = part,
				   .decl = decl,
				   .extras = extras,
				   .instance = must(strdup(instance))};
	struct cw_coverage all = {.from = past_wall, .to = past_wall, .complete = true, .ratio = 1};
	part_coverage(part, &all);
	see(replay, instance);
	rows_pass_soon(replay->rows, table); /* it is there only now */
	return replay->parts = told;
}

static int64_t choice_index(const struct cw_column *column, const char *name)
{
	for (int64_t i = 0; name && column->choices && column->choices[i]; i++)
		if (strcmp(column->choices[i], name) == 0)
			return i;
	return -1;
}

static struct cw_cell cell_of_text(const struct cw_column *column, const json_t *value)
{
	const char *text = json_string_value(value);
	int64_t wall, choice = choice_index(column, text);
	switch (column->type) {
	case CW_TEXT:
		return cw_text_cell(text, json_string_length(value));
	case CW_CHOICE:
		return choice < 0 ? cw_null_cell() : cw_integer_cell(choice);
	case CW_TIME:
		return text_parse_time(text, strlen(text), &wall, NULL) == 0 ? cw_integer_cell(wall) : cw_null_cell();
	default:
		return cw_null_cell();
	}
}

static struct cw_cell cell_of_number(const struct cw_column *column, const json_t *value)
{
	double number = json_number_value(value);
	double ns = fmin(fmax(number, -1e9), 1e9) * (double)CW_SECOND;
	switch (column->type) {
	case CW_INT:
		return json_is_integer(value) ? cw_integer_cell(json_integer_value(value)) : cw_null_cell();
	case CW_REAL:
		return cw_real_cell(number);
	case CW_AGE:
		return cw_integer_cell(past_instant - (int64_t)ns);
	case CW_UNTIL:
		return cw_integer_cell(past_instant + (int64_t)ns);
	default:
		return cw_null_cell();
	}
}

static struct cw_cell cell_of(const struct cw_column *column, const json_t *row)
{
	const json_t *value = json_object_get(row, column->name);
	if (json_is_string(value))
		return cell_of_text(column, value);
	if (json_is_number(value))
		return cell_of_number(column, value);
	if (json_is_boolean(value) && column->type == CW_BOOL)
		return cw_integer_cell(json_is_true(value));
	return cw_null_cell();
}

/* One cell for each column of the part; how many, 0: too many. */
static uint32_t cells_of(const struct told_part *told, const json_t *row, struct cw_cell cells[COLUMNS_MOST])
{
	uint32_t declared = told->decl->columns.count, count = declared + told->extras.count;
	if (count > COLUMNS_MOST)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		cells[i] = cell_of(i < declared ? cw_at(&told->decl->columns, i) : cw_at(&told->extras, i - declared),
				   row);
	return count;
}

bool replay_row(struct replay *replay, const char *table, const json_t *row)
{
	const char *instance = json_string_value(json_object_get(row, "instance"));
	struct cw_cell cells[COLUMNS_MOST];
	bool is_instances = strcmp(table, "instances") == 0;
	struct told_part *told = instance ? part_of(replay, table, is_instances ? "agent" : instance) : NULL;
	int64_t number = told && cells_of(told, row, cells) ? row_put(told->part, cells) : -1;
	char key[KEY_MOST];
	if (number < 0)
		return false;
	if (row_key(told->part, (uint32_t)number, key, sizeof key) >= 0) /* what is not watched has changed, too */
		rows_hint(replay->rows, table, told->instance, key);
	count_seen(replay, table, /* metric */ NULL);
	return true;
}

void replay_full_begin(struct replay *replay, const char *table)
{
	for (struct told_part *told = replay->parts; told; told = told->next)
		if (strcmp(told->decl->name, table) == 0)
			full_begin(told->part);
}

/* A part that came in between has no full generation under way: its rows are those of now. */
void replay_full_end(struct replay *replay, const char *table)
{
	for (struct told_part *told = replay->parts; told; told = told->next)
		if (strcmp(told->decl->name, table) == 0)
			full_end(told->part, /* missing */ NULL, /* arg */ NULL);
}

bool replay_has_row(struct replay *replay, const char *table, const char *instance, const char *key)
{
	struct told_part *told = part_of(replay, table, instance);
	return told && row_find(told->part, key, strlen(key)) >= 0;
}

/* The watched column that this can be a value of; -1: none. */
static int64_t watched_column(const struct cw_table_decl *decl, const char *value)
{
	for (uint32_t i = 0; i < decl->columns.count; i++) {
		const struct cw_column *column = cw_at(&decl->columns, i);
		if (column->flags & CW_COLUMN_WATCHED && (!*value || choice_index(column, value) >= 0))
			return i;
	}
	return -1;
}

static bool put_change(struct told_part *told, const char *key, uint32_t watched, const char *to)
{
	const struct cw_column *column = cw_at(&told->decl->columns, watched);
	int64_t choice = choice_index(column, to), row = row_find(told->part, key, strlen(key));
	struct cw_cell cells[COLUMNS_MOST] = {{0}};
	struct cw_change change = {.column = watched, .cell = choice < 0 ? cw_null_cell() : cw_integer_cell(choice)};
	if (row >= 0)
		return row_touch(told->part, (uint32_t)row, &change, 1) == 0;
	for (uint32_t i = 0; i < told->decl->columns.count && i < COLUMNS_MOST; i++)
		if (((const struct cw_column *)cw_at(&told->decl->columns, i))->flags & CW_COLUMN_KEY)
			cells[i] = cw_text_cell(key, strlen(key));
	cells[watched] = change.cell;
	return row_put(told->part, cells) >= 0;
}

bool replay_change(struct replay *replay, const char *table, const char *instance, const char *key, const char *to)
{
	struct told_part *told = part_of(replay, table, instance);
	int64_t watched = told ? watched_column(told->decl, to ? to : "") : -1;
	if (watched < 0)
		return false;
	count_seen(replay, table, /* metric */ NULL);
	if (to)
		return put_change(told, key, (uint32_t)watched, to);
	int64_t row = row_find(told->part, key, strlen(key));
	return row >= 0 && row_remove(told->part, (uint32_t)row, "gone") == 0;
}

/* ---- instances ---- */

static void show_state(struct replay *replay, const char *instance, const char *state, const char *reason)
{
	const struct known_plugin *known = plugin_of(replay, instance);
	json_t *row = must(json_pack("{s:s, s:s, s:s?, s:s?, s:s?}", "instance", instance, "state", state, "reason",
				     reason, "plugin", known ? known->name : NULL, "role",
				     known && known->plugin ? role_names[known->plugin->decl.role] : NULL));
	replay_row(replay, "instances", row);
	json_decref(row);
}

void replay_state(struct replay *replay, const char *instance, const char *state, const char *reason)
{
	bool sees = strcmp(state, "up") == 0 || strcmp(state, "degraded") == 0;
	note_instance(replay, instance);
	engine_sight(replay->engine, instance, sees, moment_of(replay));
	if (sees)
		rows_pass_soon(replay->rows, /* table */ NULL);
	show_state(replay, instance, state, reason);
}

/* ---- samples ---- */

/* A metric that no plugin declares is what its samples say. */
static const struct cw_metric *metric_of_line(const struct replay *replay, const char *name, const json_t *line,
					      const json_t *labels)
{
	const struct cw_metric *known = vocabulary_metric(&replay->vocabulary, name);
	const char *kind = json_string_value(json_object_get(line, "kind")), *label;
	const json_t *value;
	uint32_t count = 0;
	if (known)
		return known;
	struct cw_metric metric = {.name = name, .unit = "", .help = "of a record"};
	metric.kind = kind && strcmp(kind, "counter") == 0 ? CW_COUNTER : CW_GAUGE;
	json_object_foreach((json_t *)(uintptr_t)labels, label, value)
	{
		if (count == CW_LABELS_MAX)
			return NULL;
		metric.labels[count++].name = label;
	}
	return metric_keep(&metric);
}

bool replay_sample(struct replay *replay, const json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "metric"));
	const char *instance = json_string_value(json_object_get(line, "instance"));
	const char *host = json_string_value(json_object_get(line, "host"));
	const json_t *labels = json_object_get(line, "labels"), *value = json_object_get(line, "value");
	const char *texts[CW_LABELS_MAX] = {0};
	if (!name || !instance || !json_is_number(value)) /* a histogram has no value, and no rule looks at it */
		return name && instance && json_object_get(line, "buckets");
	const struct cw_metric *metric = metric_of_line(replay, name, line, labels);
	if (!metric || metric->kind == CW_HISTOGRAM)
		return metric;
	for (uint32_t i = 0; i < cw_label_count(metric); i++)
		if (!(texts[i] = json_string_value(json_object_get(labels, metric->labels[i].name))))
			return false;
	struct cw_sample sample = {
		.metric = metric, .labels = texts, .time = past_wall, .real = json_number_value(value)};
	see(replay, instance);
	count_seen(replay, /* table */ NULL, name);
	engine_sample(replay->engine, host ? host : "", instance, &sample, moment_of(replay));
	return true;
}

/* ---- the whole ---- */

/* Of whom samples are expected, so that it is seen that they do not come. */
static void expect_samples(struct replay *replay)
{
	for (uint32_t r = 0; r < ruleset_count(replay->plan->ruleset); r++) {
		const struct rule *rule = ruleset_at(replay->plan->ruleset, r);
		for (uint32_t p = 0; p < replay->vocabulary.plugins_count; p++) {
			const struct known_plugin *known = &replay->vocabulary.plugins[p];
			for (uint32_t m = 0; known->plugin && m < known->plugin->decl.metrics.count; m++) {
				const struct cw_metric *metric = cw_at(&known->plugin->decl.metrics, m);
				if (!rule->sleeps && rule->kind == RULE_SAMPLES && rule->test == RULE_ABSENT &&
				    strcmp(metric->name, rule->selector.metric) == 0)
					engine_expect(replay->engine, rule, known->instance, moment_of(replay));
			}
		}
	}
}

struct replay *replay_new(const struct plan *plan, int64_t began)
{
	struct replay *replay = must(calloc(1, sizeof *replay));
	past_wall = began;
	past_instant = first_instant;
	clock_set_source(&turned);
	replay->plan = plan;
	replay->arena = arena_new();
	vocabulary_make(&replay->vocabulary, plan, /* is_whole */ true, replay->arena);
	replay->tried = must(calloc(ruleset_count(plan->ruleset) + 1, sizeof *replay->tried));
	replay->tables = must(tables_new(on_transition, replay));
	replay->engine =
		must(engine_new(&(struct engine_options){.changed = on_change, .look = on_look, .arg = replay}));
	replay->rows = must(rows_new(&(struct rows_options){.tables = replay->tables,
							    .engine = replay->engine,
							    .is_all_told = true,
							    .now = moment_of,
							    .arg = replay}));
	engine_use(replay->engine, plan->ruleset, moment_of(replay));
	if (rows_use(replay->rows, plan->ruleset) < 0)
		must(NULL);
	expect_samples(replay);
	return replay;
}

static void free_list(struct replay *replay)
{
	for (uint32_t i = 0; i < replay->count; i++) {
		free(replay->list[i].instance);
		free(replay->list[i].subject);
		free(replay->list[i].summary);
	}
	free(replay->list);
	for (uint32_t i = 0; i < replay->instances_count; i++)
		free(replay->instances[i]);
	free(replay->instances);
	for (struct told_part *told = replay->parts, *next; told; told = next) {
		next = told->next;
		free(told->instance);
		free(told);
	}
}

void replay_free(struct replay *replay)
{
	if (!replay)
		return;
	rows_free(replay->rows);
	engine_free(replay->engine);
	tables_free(replay->tables);
	free_list(replay);
	free(replay->tried);
	arena_free(replay->arena);
	free(replay);
	clock_set_source(NULL);
}

uint32_t replay_count(const struct replay *replay)
{
	return replay->count;
}

const struct replayed *replay_at(const struct replay *replay, uint32_t i)
{
	return &replay->list[i];
}

const struct tried *replay_tried(const struct replay *replay, const struct rule *rule)
{
	return tried_of(replay, rule);
}
