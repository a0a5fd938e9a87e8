/* SPDX-License-Identifier: MIT
 *
 * See rows.h. A pass has three steps: the rows that match; the alerts that were not met (their rows are asked for by
 * key, for a row may have changed between two slices); the deadlines.
 *
 * A deadline. `duration_seconds>4h` comes to hold by time alone. Of the rows for which the rule's other conditions hold
 * and this one does not yet, the one that is nearest to it is found by a query with the condition turned round, in
 * order, limit 1. Where time makes a row cease to match (`heartbeat_age_seconds<10s`), the same of those that match.
 */
#include "rows.h"

#include "clock.h"
#include "log.h"
#include "template.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	COLUMNS_KEPT = 64,
	CONDITIONS_MAX = 32,
	SHARE = 100,      /* passes take one in so many parts of the time … */
	SHARE_ASKED = 10, /* … and those that were asked for */
	LOOKS_A_STEP = 100,
	TIMED_MAX = 4,
	TIMED_TEXT_MAX = 300
};

static const int64_t slice_ns = CW_MILLISECOND;
static const int64_t between_ns = 30 * CW_SECOND, between_guarded_ns = 5 * CW_SECOND;
static const int64_t soon_after_ns = 5 * CW_MILLISECOND; /* a deadline, so that it is over for certain */

enum step { STEP_NONE, STEP_ROWS, STEP_ALERTS, STEP_DEADLINES };

/* A condition that time alone makes true, or untrue. */
struct timed {
	char nearest[TIMED_TEXT_MAX]; /* it turned round; "": of the rows that match the next one leaves */
	char sort[80];
	double limit;
	bool falls;      /* its column falls with time */
	uint32_t column; /* of those asked for */
};

/* A row rule, and how far its pass is. */
struct ruled {
	const struct rule *rule;
	const char *columns[COLUMNS_KEPT]; /* asked for; their texts are in `names` */
	char *names;
	uint32_t columns_count;
	int64_t due, ended; /* instants: of the next pass, of the end of the last */
	bool is_asked;      /* not only its time has come */
	enum step step;
	struct cw_query *query;
	struct timed timed[TIMED_MAX];
	uint32_t timed_count, timed_next;
	uint64_t timed_bits; /* conditions of `where` that are so */
	int64_t deadline, work;
	uint64_t pass;
	bool was_refused; /* said already */
};

struct hint {
	char *instance, *key;
};

struct hinted {
	struct hinted *next;
	char *table;
	struct hint hints[ROWS_HINTS_MAX];
	uint32_t count;
};

struct rows {
	struct rows_options options;
	struct ruled *ruled;
	uint32_t count;
	struct hinted *hinted;
};

static struct moment now_of(const struct rows *rows)
{
	return rows->options.now(rows->options.arg);
}

/* ---- asking ---- */

struct question {
	const struct ruled *ruled;
	const char *key;      /* NULL: all */
	const char *instance; /* NULL: any */
	const char *extra;    /* one more condition */
	bool any;             /* whatever the rule says */
	uint64_t without;     /* bits: conditions of the rule that are left out */
	const char *sort;
	uint64_t limit;
};

static bool is_of_instances(const struct rule *rule)
{
	return strcmp(rule->table, "instances") == 0;
}

static int open_query(struct rows *rows, const struct question *question, struct cw_query **ret_query,
		      char error[CW_QUERY_ERROR_MAX])
{
	const struct rule *rule = question->ruled->rule;
	const char *where[CONDITIONS_MAX + 2];
	char instance[160];
	uint32_t n = 0;
	for (uint32_t i = 0; !question->any && i < rule->where.count && i < CONDITIONS_MAX; i++)
		if (!(question->without >> i & 1))
			where[n++] = rule->where.items[i];
	if (question->extra)
		where[n++] = question->extra;
	if (question->instance && !is_of_instances(rule)) {
		snprintf(instance, sizeof instance, "instance=%s", question->instance);
		where[n++] = instance;
	}
	struct cw_query_spec spec = {
		.table = rule->table,
		.key = question->key,
		.where = where,
		.where_count = n,
		.sort = question->sort,
		.limit = question->limit,
		.columns = question->ruled->columns_count ? question->ruled->columns : NULL,
		.columns_count = question->ruled->columns_count,
	};
	return query_open(rows->options.tables, &spec, rows->options.phones_full, ret_query, error);
}

/* ---- conditions that time makes true ---- */

static bool is_order(enum expr_op op)
{
	return op == EXPR_GT || op == EXPR_GE || op == EXPR_LT || op == EXPR_LE;
}

static const char *turned_round(enum expr_op op)
{
	return op == EXPR_GT ? "<=" : op == EXPR_GE ? "<" : op == EXPR_LT ? ">=" : ">";
}

static void note_timed(struct ruled *ruled, uint32_t condition, const struct cw_column *column, struct expr *expr)
{
	char error[EXPR_ERROR_MAX];
	double limit = (double)NAN;
	enum expr_op op = expr_op(expr);
	bool falls = column->type == CW_UNTIL, enters = (op == EXPR_GT || op == EXPR_GE) != falls;
	ruled->timed_bits |= (uint64_t)1 << condition;
	if (ruled->timed_count == TIMED_MAX || !is_order(op) || !expr_value(expr) ||
	    expr_number(column, expr_value(expr), &limit, error) < 0)
		return;
	struct timed *timed = &ruled->timed[ruled->timed_count];
	*timed = (struct timed){.limit = limit, .falls = falls};
	while (timed->column < ruled->columns_count && strcmp(ruled->columns[timed->column], column->name) != 0)
		timed->column++;
	snprintf(timed->sort, sizeof timed->sort, "%s%s", falls ? "" : "-", column->name);
	int length = enters ? snprintf(timed->nearest, sizeof timed->nearest, "%s%s%s", column->name, turned_round(op),
				       expr_value(expr))
			    : 0;
	if (isfinite(timed->limit) && (size_t)length < sizeof timed->nearest && timed->column < ruled->columns_count)
		ruled->timed_count++;
}

static const struct cw_column *column_of(const struct cw_column *columns, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(columns[i].name, name) == 0)
			return &columns[i];
	return NULL;
}

static void find_timed(struct ruled *ruled, const struct cw_column *columns, uint32_t count)
{
	const struct texts *where = &ruled->rule->where;
	char error[EXPR_ERROR_MAX];
	ruled->timed_count = 0;
	ruled->timed_bits = 0;
	for (uint32_t i = 0; i < where->count && i < CONDITIONS_MAX; i++) {
		struct expr *expr = NULL;
		if (expr_parse(where->items[i], &expr, error) == 0) {
			const struct cw_column *column = column_of(columns, count, expr_column(expr));
			if (column && (column->type == CW_AGE || column->type == CW_UNTIL))
				note_timed(ruled, i, column, expr);
		}
		expr_free(expr);
	}
}

/* ---- which columns are asked for ---- */

struct naming {
	struct ruled *ruled;
	const struct cw_column *columns; /* all of the table */
	uint32_t count;
	uint32_t named;
	char names[COLUMNS_KEPT][64];
};

static void name_column(struct naming *naming, const char *name)
{
	for (uint32_t i = 0; i < naming->named; i++)
		if (strcmp(naming->names[i], name) == 0)
			return;
	if (naming->named < COLUMNS_KEPT && strlen(name) < sizeof naming->names[0] &&
	    column_of(naming->columns, naming->count, name))
		snprintf(naming->names[naming->named++], sizeof naming->names[0], "%s", name);
}

static void name_texts(struct naming *naming, const struct texts *texts)
{
	for (uint32_t i = 0; i < texts->count; i++)
		name_column(naming, texts->items[i]);
}

static void name_template(struct naming *naming, const struct template *template)
{
	const char *name;
	for (uint32_t i = 0; template && (name = template_name(template, i)); i++)
		name_column(naming, name);
}

static void name_conditions(struct naming *naming, const struct texts *where)
{
	char error[EXPR_ERROR_MAX];
	for (uint32_t i = 0; i < where->count; i++) {
		struct expr *expr = NULL;
		if (expr_parse(where->items[i], &expr, error) == 0)
			name_column(naming, expr_column(expr));
		expr_free(expr);
	}
}

static void keep_names(struct ruled *ruled, const struct naming *naming)
{
	size_t size = 1;
	for (uint32_t i = 0; i < naming->named; i++)
		size += strlen(naming->names[i]) + 1;
	char *names = malloc(size), *at = names;
	if (!names)
		return;
	free(ruled->names);
	ruled->names = names;
	ruled->columns_count = naming->named;
	for (uint32_t i = 0; i < naming->named; i++) {
		ruled->columns[i] = at;
		at = stpcpy(at, naming->names[i]) + 1;
	}
}

/* On a table that is there: those the rule speaks of, then all others that are not wide. */
static void on_table(void *arg, const struct cw_table_info *info)
{
	struct naming *naming = arg;
	const struct rule *rule = naming->ruled->rule;
	if (strcmp(info->name, rule->table) != 0)
		return;
	naming->columns = info->columns;
	naming->count = info->columns_count;
	name_conditions(naming, &rule->where);
	name_texts(naming, &rule->group_by);
	name_texts(naming, &rule->summarize_by);
	name_template(naming, rule->summary);
	name_template(naming, rule->description);
	for (uint32_t i = 0; i < info->columns_count; i++)
		if (!(info->columns[i].flags & CW_COLUMN_WIDE))
			name_column(naming, info->columns[i].name);
	keep_names(naming->ruled, naming);
	find_timed(naming->ruled, info->columns, info->columns_count);
}

static void choose_columns(struct rows *rows, struct ruled *ruled)
{
	struct naming naming = {.ruled = ruled};
	tables_each(rows->options.tables, on_table, &naming);
}

/* ---- a row ---- */

/* What rows are given to. */
struct taking {
	struct rows *rows;
	const struct rule *rule;
	const struct cw_column *columns;
	uint32_t key; /* its index */
	bool holds;
	uint32_t taken;
};

static int take_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct taking *taking = arg;
	char subject[ALERT_SUBJECT_SIZE], instance[160] = "agent";
	if (cells[taking->key].type != CW_CELL_TEXT || cells[0].type != CW_CELL_TEXT)
		return 0;
	alert_subject(subject, cells[taking->key].text, cells[taking->key].length);
	if (!is_of_instances(taking->rule))
		snprintf(instance, sizeof instance, "%.*s", (int)cells[0].length, cells[0].text);
	taking->taken++;
	engine_row(taking->rows->options.engine, taking->rule, instance, subject, taking->holds, taking->columns, cells,
		   count, now_of(taking->rows));
	return 0;
}

static struct taking taking_of(struct rows *rows, const struct rule *rule, struct cw_query *query, bool holds)
{
	struct taking taking = {.rows = rows, .rule = rule, .holds = holds};
	uint32_t count;
	taking.columns = query_columns(query, &count);
	while (taking.key < count && !(taking.columns[taking.key].flags & CW_COLUMN_KEY))
		taking.key++;
	if (taking.key == count)
		taking.key = 0; /* cannot be: a table has a key */
	return taking;
}

/* How many rows came; negative: nobody knows. */
static int ask_for_key(struct rows *rows, struct ruled *ruled, const char *instance, const char *key, bool any)
{
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query *query = NULL;
	struct question question = {.ruled = ruled, .key = key, .instance = instance, .any = any};
	int rc = open_query(rows, &question, &query, error);
	struct taking taking = {.taken = 0};
	if (rc == 0)
		taking = taking_of(rows, ruled->rule, query, !any);
	while (rc == 0 && (rc = query_step(query, slice_ns, take_row, &taking)) == CW_LATER)
		rc = 0;
	query_close(query);
	return rc < 0 ? rc : (int)taking.taken;
}

static int take_since(void *arg, const struct cw_cell *cells, uint32_t count)
{
	const struct cw_cell *since = &cells[1]; /* after the instance */
	(void)count;
	*(int64_t *)arg = since->type == CW_CELL_INTEGER && since->integer ? since->integer : 1;
	return 0;
}

/* Since when an instance is in a state that says how it is; 0: it is in none; 1: nobody says since when. A row of table
 * `instances` that is not there yet, or says `starting`, says nothing: after a restart of the agent, or of the
 * instance, what was down is not known to be well. An instance that is gone for good ends its alerts by another way
 * (engine_instance_gone()). */
static int64_t settled_since(struct rows *rows, const char *instance)
{
	static const char *const column = "since", *const told = "state!=starting";
	char error[CW_QUERY_ERROR_MAX];
	int64_t since = 0;
	struct cw_query *query = NULL;
	struct cw_query_spec spec = {.table = "instances",
				     .key = instance,
				     .where = (const char *const *)&told,
				     .where_count = 1,
				     .columns = (const char *const *)&column,
				     .columns_count = 1};
	int rc = query_open(rows->options.tables, &spec, /* phones_full */ false, &query, error);
	while (rc == 0 && (rc = query_step(query, slice_ns, take_since, &since)) == CW_LATER)
		rc = 0;
	query_close(query);
	return rc >= 0 ? since : 0;
}

/* What a row is now, for one rule. */
static void look_at(struct rows *rows, struct ruled *ruled, const char *instance, const char *key)
{
	char subject[ALERT_SUBJECT_SIZE];
	const struct rule *rule = ruled->rule;
	alert_subject(subject, key, strlen(key));
	int64_t since = is_of_instances(rule) ? settled_since(rows, key) : 0;
	if (ask_for_key(rows, ruled, instance, key, /* any */ false) != 0 ||
	    !engine_find(rows->options.engine, rule->name, instance, subject))
		return;
	/* Each question is about another moment: only of a state that was there all the time it is known not to fit. */
	if (is_of_instances(rule) && (since == 0 || settled_since(rows, key) != since))
		return;
	if (ask_for_key(rows, ruled, instance, key, /* any */ true) == 0)
		engine_row_gone(rows->options.engine, rule->table, instance, subject, now_of(rows));
}

static struct ruled *find_ruled(struct rows *rows, const struct rule *rule)
{
	for (uint32_t i = 0; i < rows->count; i++)
		if (rows->ruled[i].rule == rule)
			return &rows->ruled[i];
	return NULL;
}

/* A key that no query can name is as the pass saw it (`holds`). The alert may be freed by what is found, so it is
 * copied. */
static void look(struct rows *rows, const struct alert *alert, bool holds)
{
	struct ruled *ruled = find_ruled(rows, alert->rule);
	char *instance = strdup(alert->instance), *subject = strdup(alert->subject);
	if (ruled && instance && subject && alert_is_subject_strange(subject))
		engine_row(rows->options.engine, ruled->rule, instance, subject, holds, NULL, NULL, 0, now_of(rows));
	else if (ruled && instance && subject)
		look_at(rows, ruled, instance, subject);
	free(instance);
	free(subject);
}

void rows_look(struct rows *rows, const struct alert *alert)
{
	look(rows, alert, /* holds */ true);
}

/* ---- hints ---- */

static struct hinted *find_hinted(struct rows *rows, const char *table)
{
	struct hinted *hinted = rows->hinted;
	while (hinted && strcmp(hinted->table, table) != 0)
		hinted = hinted->next;
	return hinted;
}

static void drop_hints(struct hinted *hinted)
{
	while (hinted->count > 0) {
		struct hint *hint = &hinted->hints[--hinted->count];
		free(hint->instance);
		free(hint->key);
	}
}

void rows_hint(struct rows *rows, const char *table, const char *instance, const char *key)
{
	struct hinted *hinted = find_hinted(rows, table);
	if (!hinted)
		return;
	struct hint hint = {strdup(instance), strdup(key)};
	if (hinted->count < ROWS_HINTS_MAX && hint.instance && hint.key) {
		hinted->hints[hinted->count++] = hint;
		return;
	}
	free(hint.instance);
	free(hint.key);
	drop_hints(hinted);
	rows_pass_soon(rows, table);
}

static void ask_for_pass(struct ruled *ruled)
{
	ruled->is_asked = true;
	ruled->due = 0;
}

void rows_pass_soon(struct rows *rows, const char *table)
{
	for (uint32_t i = 0; i < rows->count; i++)
		if (!table || strcmp(rows->ruled[i].rule->table, table) == 0)
			ask_for_pass(&rows->ruled[i]);
}

/* True: there was one. */
static bool take_hint(struct rows *rows)
{
	for (struct hinted *hinted = rows->hinted; hinted; hinted = hinted->next) {
		if (hinted->count == 0)
			continue;
		struct hint hint = hinted->hints[--hinted->count];
		for (uint32_t i = 0; i < rows->count; i++)
			if (strcmp(rows->ruled[i].rule->table, hinted->table) == 0)
				look_at(rows, &rows->ruled[i],
					is_of_instances(rows->ruled[i].rule) ? "agent" : hint.instance, hint.key);
		free(hint.instance);
		free(hint.key);
		return true;
	}
	return false;
}

/* ---- a pass ---- */

/* When another is due, whatever happens; INT64_MAX: never. */
static int64_t next_pass(const struct rows *rows, const struct ruled *ruled, int64_t now)
{
	if (ruled->rule->guards_count)
		return now + between_guarded_ns;
	bool is_needed = !rows->options.is_all_told || ruled->timed_count > 0; /* a pass finds deadlines */
	return is_needed ? now + between_ns : INT64_MAX;
}

static void end_pass(const struct rows *rows, struct ruled *ruled)
{
	int64_t now = clock_now();
	query_close(ruled->query);
	ruled->query = NULL;
	ruled->step = STEP_NONE;
	if (!ruled->is_asked) /* else another one was asked for meanwhile */
		ruled->due = next_pass(rows, ruled, now);
	if (ruled->deadline < ruled->due)
		ruled->due = ruled->deadline;
	ruled->ended = now;
}

static void begin_pass(struct rows *rows, struct ruled *ruled)
{
	char error[CW_QUERY_ERROR_MAX] = "";
	struct question question = {.ruled = ruled};
	ruled->due = clock_now();
	ruled->is_asked = false;
	ruled->work = 0;
	ruled->deadline = INT64_MAX;
	choose_columns(rows, ruled);
	ruled->pass = engine_pass(rows->options.engine);
	int rc = open_query(rows, &question, &ruled->query, error);
	ruled->step = STEP_ROWS;
	if (rc == 0)
		return;
	if (rc != -ENOENT && !ruled->was_refused) /* a table that is not there yet has no rows */
		log_line(NULL, CW_ERROR, "rule %s cannot look at table %s: %s", ruled->rule->name, ruled->rule->table,
			 error);
	ruled->was_refused = rc != -ENOENT;
	end_pass(rows, ruled);
}

static void step_rows(struct rows *rows, struct ruled *ruled)
{
	struct taking taking = taking_of(rows, ruled->rule, ruled->query, /* holds */ true);
	int rc = query_step(ruled->query, slice_ns, take_row, &taking);
	if (rc == CW_LATER)
		return;
	query_close(ruled->query);
	ruled->query = NULL;
	ruled->step = STEP_ALERTS;
	if (rc < 0) /* not all were seen: who was not met is asked for the next time */
		end_pass(rows, ruled);
}

/* Those that the pass has not met: their rows are asked for. */
static void step_alerts(struct rows *rows, struct ruled *ruled)
{
	struct engine *engine = rows->options.engine;
	uint32_t looks = 0;
	for (struct alert *alert = engine_first(engine), *next; alert; alert = next) {
		next = alert->next;
		if (!alert->is_open || alert->rule != ruled->rule || alert->pass >= ruled->pass ||
		    !engine_sees(engine, alert->instance, ruled->rule->table))
			continue;
		if (looks++ == LOOKS_A_STEP)
			return;
		alert->pass = ruled->pass;
		look(rows, alert, /* holds */ false);
	}
	ruled->step = STEP_DEADLINES;
	ruled->timed_next = 0;
}

/* ---- deadlines ---- */

/* The value of the row that is nearest. */
struct nearest {
	uint32_t column; /* of the query */
	double value;    /* NaN: there is none */
};

static int take_nearest(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct nearest *nearest = arg;
	if (nearest->column < count && cells[nearest->column].type == CW_CELL_REAL)
		nearest->value = cells[nearest->column].real;
	return 0;
}

static void note_deadline(struct ruled *ruled, const struct timed *timed, double value)
{
	double seconds = timed->falls ? value - timed->limit : timed->limit - value;
	if (!isfinite(seconds) || seconds > 86400)
		return; /* there are passes enough until then */
	int64_t at = clock_now() + (int64_t)((seconds > 0 ? seconds : 0) * 1e9) + soon_after_ns;
	if (at < ruled->deadline)
		ruled->deadline = at;
}

static void end_timed(struct ruled *ruled)
{
	query_close(ruled->query);
	ruled->query = NULL;
	ruled->timed_next++;
}

static void step_deadlines(struct rows *rows, struct ruled *ruled)
{
	char error[CW_QUERY_ERROR_MAX];
	if (ruled->timed_next >= ruled->timed_count) {
		end_pass(rows, ruled);
		return;
	}
	const struct timed *timed = &ruled->timed[ruled->timed_next];
	bool enters = *timed->nearest != '\0';
	struct question question = {.ruled = ruled,
				    .extra = enters ? timed->nearest : NULL,
				    .without = enters ? ruled->timed_bits : 0,
				    .sort = timed->sort,
				    .limit = 1};
	if (!ruled->query && open_query(rows, &question, &ruled->query, error) < 0) {
		end_timed(ruled);
		return;
	}
	struct nearest nearest = {.value = (double)NAN};
	uint32_t count;
	const struct cw_column *columns = query_columns(ruled->query, &count);
	while (nearest.column < count && strcmp(columns[nearest.column].name, ruled->columns[timed->column]) != 0)
		nearest.column++;
	int rc = query_step(ruled->query, slice_ns, take_nearest, &nearest);
	note_deadline(ruled, timed, nearest.value);
	if (rc != CW_LATER)
		end_timed(ruled);
}

/* ---- turns ---- */

static void step_pass(struct rows *rows, struct ruled *ruled)
{
	int64_t began = clock_awake();
	switch (ruled->step) {
	case STEP_NONE:
		begin_pass(rows, ruled);
		break;
	case STEP_ROWS:
		step_rows(rows, ruled);
		break;
	case STEP_ALERTS:
		step_alerts(rows, ruled);
		break;
	case STEP_DEADLINES:
		step_deadlines(rows, ruled);
		break;
	}
	ruled->work += clock_awake() - began;
}

static int64_t due_of(const struct ruled *ruled)
{
	int64_t not_before = ruled->ended + ruled->work * (ruled->is_asked ? SHARE_ASKED : SHARE);
	return ruled->due > not_before ? ruled->due : not_before;
}

/* The one whose pass is under way; else one whose pass is due; NULL: none. */
static struct ruled *next_ruled(struct rows *rows, int64_t now)
{
	struct ruled *due = NULL;
	for (uint32_t i = 0; i < rows->count; i++) {
		struct ruled *ruled = &rows->ruled[i];
		if (ruled->step != STEP_NONE)
			return ruled;
		if (due_of(ruled) <= now && (!due || due_of(ruled) < due_of(due)))
			due = ruled;
	}
	return due;
}

bool rows_step(struct rows *rows)
{
	int64_t now = clock_now(), end = clock_awake() + slice_ns;
	while (take_hint(rows))
		if (clock_awake() >= end)
			return true;
	struct ruled *ruled = next_ruled(rows, now);
	if (!ruled)
		return false;
	step_pass(rows, ruled);
	return ruled->step != STEP_NONE || next_ruled(rows, now);
}

int64_t rows_due(const struct rows *rows)
{
	int64_t due = INT64_MAX;
	for (uint32_t i = 0; i < rows->count; i++) {
		int64_t one = rows->ruled[i].step != STEP_NONE ? 0 : due_of(&rows->ruled[i]);
		due = one < due ? one : due;
	}
	return due;
}

/* ---- the whole ---- */

static void release_rules(struct rows *rows)
{
	for (uint32_t i = 0; i < rows->count; i++) {
		query_close(rows->ruled[i].query);
		free(rows->ruled[i].names);
	}
	free(rows->ruled);
	rows->ruled = NULL;
	rows->count = 0;
	while (rows->hinted) {
		struct hinted *next = rows->hinted->next;
		drop_hints(rows->hinted);
		free(rows->hinted->table);
		free(rows->hinted);
		rows->hinted = next;
	}
}

static int watch_table(struct rows *rows, const char *table)
{
	if (find_hinted(rows, table))
		return 0;
	struct hinted *hinted = calloc(1, sizeof *hinted);
	if (!hinted || !(hinted->table = strdup(table))) {
		free(hinted);
		return -ENOMEM;
	}
	hinted->next = rows->hinted;
	rows->hinted = hinted;
	return 0;
}

int rows_use(struct rows *rows, const struct ruleset *ruleset)
{
	release_rules(rows);
	uint32_t count = ruleset ? ruleset_count(ruleset) : 0;
	rows->ruled = calloc(count + 1, sizeof *rows->ruled);
	if (!rows->ruled)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const struct rule *rule = ruleset_at(ruleset, i);
		if (rule->kind != RULE_ROWS || rule->sleeps)
			continue;
		rows->ruled[rows->count++].rule = rule;
		if (watch_table(rows, rule->table) < 0)
			return -ENOMEM;
	}
	return 0;
}

void rows_show_phones(struct rows *rows, bool in_full)
{
	rows->options.phones_full = in_full;
}

struct rows *rows_new(const struct rows_options *options)
{
	struct rows *rows = calloc(1, sizeof *rows);
	if (rows)
		rows->options = *options;
	return rows;
}

void rows_free(struct rows *rows)
{
	if (!rows)
		return;
	release_rules(rows);
	free(rows);
}
