/* SPDX-License-Identifier: MIT
 *
 * See common.h. A value that four in five subjects have is the only one of its column, so it is found among the alerts
 * first, by the majority vote of Boyer and Moore; the walk over the table then only counts the rows that have it. What
 * the subjects are like was frozen when they began to fire; what the table is like is as of now.
 */
#include "common.h"

#include "clock.h"
#include "rule.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_SUBJECTS = 3, COLUMNS_MAX = 32, NAME_SIZE = 128, TOLD_MAX = 3 };

static const double least_share = 0.8, least_lift = 1.5;
static const int64_t walk_ns = 200 * CW_MILLISECOND, slice_ns = 5 * CW_MILLISECOND;

/* What most subjects have in a column. */
struct candidate {
	char column[NAME_SIZE];
	const char *value;       /* an alert's */
	uint64_t subjects, rows; /* that have it */
	double lift;             /* how much more common it is among subjects than among rows */
};

struct finding {
	const struct rule *rule;
	const struct alert *alerts;
	uint64_t subjects, rows; /* rows: seen */
	struct candidate candidates[COLUMNS_MAX];
	uint32_t count;
	/* of the walk */
	const struct cw_column *columns;
	int32_t fields[COLUMNS_MAX]; /* of each candidate, in a row */
};

static bool is_subject(const struct alert *alert)
{
	return alert->state == ALERT_FIRING && !alert->silenced_by && !alert->inhibited_by;
}

static uint64_t count_subjects(const struct alert *alerts)
{
	uint64_t n = 0;
	for (const struct alert *alert = alerts; alert; alert = alert->next_in_group)
		n += is_subject(alert);
	return n;
}

/* ---- what most subjects have ---- */

static const char *value_of(const struct alert *alert, const char *column)
{
	const char *value = is_subject(alert) ? alert_text(alert, column) : NULL;
	return value && *value ? value : NULL;
}

/* If any value has more than half of the votes, it is this one. NULL: none has any. */
static const char *majority(const struct alert *alerts, const char *column)
{
	const char *leader = NULL;
	uint64_t votes = 0;
	for (const struct alert *alert = alerts; alert; alert = alert->next_in_group) {
		const char *value = value_of(alert, column);
		if (!value)
			continue;
		if (votes == 0)
			leader = value;
		votes = votes == 0 || strcmp(leader, value) == 0 ? votes + 1 : votes - 1;
	}
	return leader;
}

static uint64_t count_value(const struct alert *alerts, const char *column, const char *value)
{
	uint64_t n = 0;
	for (const struct alert *alert = alerts; alert; alert = alert->next_in_group) {
		const char *its = value_of(alert, column);
		n += its && strcmp(its, value) == 0;
	}
	return n;
}

/* Columns that the rule asks about say only why it holds. */
static bool is_asked_about(const struct rule *rule, const char *column)
{
	bool is_asked = false;
	for (uint32_t i = 0; i < rule->where.count && !is_asked; i++) {
		char error[EXPR_ERROR_MAX];
		struct expr *expr;
		if (expr_parse(rule->where.items[i], &expr, error) != 0)
			continue;
		is_asked = strcmp(expr_column(expr), column) == 0;
		expr_free(expr);
	}
	return is_asked;
}

/* `health_reason` says in words what the rule asked for: all subjects share it, and nobody is wiser. */
static bool says_why(const char *column)
{
	size_t length = strlen(column), tail = strlen("reason");
	return length >= tail && strcmp(column + length - tail, "reason") == 0;
}

static bool is_candidate(const struct rule *rule, const struct cw_column *column)
{
	bool repeats = column->type == CW_CHOICE || (column->type == CW_TEXT && column->flags & CW_COLUMN_REPEATS) ||
		       strcmp(column->name, "instance") == 0;
	return repeats && !(column->flags & (CW_COLUMN_KEY | CW_COLUMN_PHONE)) && !says_why(column->name) &&
	       !is_asked_about(rule, column->name);
}

static void consider(struct finding *finding, const struct cw_column *column)
{
	if (!is_candidate(finding->rule, column) || finding->count == COLUMNS_MAX || strlen(column->name) >= NAME_SIZE)
		return;
	const char *value = majority(finding->alerts, column->name);
	uint64_t subjects = value ? count_value(finding->alerts, column->name, value) : 0;
	if ((double)subjects < least_share * (double)finding->subjects)
		return;
	struct candidate *candidate = &finding->candidates[finding->count++];
	*candidate = (struct candidate){.value = value, .subjects = subjects};
	snprintf(candidate->column, sizeof candidate->column, "%s", column->name);
}

/* ---- how many rows have it ---- */

static int see_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct finding *finding = arg;
	char text[ALERT_FACT_SIZE];
	finding->rows++;
	for (uint32_t i = 0; i < finding->count; i++) {
		int32_t field = finding->fields[i];
		if (field >= 0 && (uint32_t)field < count &&
		    alert_fact_text(&finding->columns[field], &cells[field], text) &&
		    strcmp(text, finding->candidates[i].value) == 0)
			finding->candidates[i].rows++;
	}
	return 0;
}

static void find_fields(struct finding *finding, uint32_t columns)
{
	for (uint32_t i = 0; i < finding->count; i++) {
		finding->fields[i] = -1;
		for (uint32_t c = 0; c < columns; c++)
			if (strcmp(finding->columns[c].name, finding->candidates[i].column) == 0)
				finding->fields[i] = (int32_t)c;
	}
}

/* True: to the end. */
static bool walk(struct cw_query *query, struct finding *finding)
{
	uint32_t columns;
	int rc = CW_LATER;
	int64_t end = clock_now() + walk_ns;
	finding->columns = query_columns(query, &columns);
	find_fields(finding, columns);
	while (rc == CW_LATER && clock_now() < end)
		rc = query_step(query, slice_ns, see_row, finding);
	return rc == 0;
}

/* ---- what is told ---- */

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool is_telling(const struct finding *finding, bool is_whole, struct candidate *candidate)
{
	/* of what was frozen, some may be gone or changed by now */
	uint64_t least = is_whole ? candidate->subjects : 1;
	uint64_t rows = most(finding->rows, is_whole ? finding->subjects : 0);
	candidate->rows = most(candidate->rows, least);
	candidate->lift =
		(double)candidate->subjects / (double)finding->subjects * (double)rows / (double)candidate->rows;
	return candidate->lift >= least_lift;
}

static int by_lift(const void *a, const void *b)
{
	const struct candidate *one = a, *other = b;
	if (one->lift > other->lift || one->lift < other->lift)
		return one->lift > other->lift ? -1 : 1;
	if (one->subjects != other->subjects)
		return one->subjects > other->subjects ? -1 : 1;
	return strcmp(one->column, other->column);
}

static void append(char text[COMMON_TEXT_MAX], const char *piece)
{
	size_t length = strlen(text), more = strlen(piece) + (length ? 2 : 0);
	if (length + more < COMMON_TEXT_MAX)
		snprintf(text + length, COMMON_TEXT_MAX - length, "%s%s", length ? "; " : "", piece);
}

static void tell_values(struct finding *finding, bool is_whole, char text[COMMON_TEXT_MAX])
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < finding->count; i++)
		if (is_telling(finding, is_whole, &finding->candidates[i]))
			finding->candidates[kept++] = finding->candidates[i];
	qsort(finding->candidates, kept, sizeof finding->candidates[0], by_lift);
	for (uint32_t i = 0; i < kept && i < TOLD_MAX; i++) {
		const struct candidate *told = &finding->candidates[i];
		char piece[COMMON_TEXT_MAX], of[TEXT_NUMBER_SIZE + 8] = "";
		if (is_whole)
			snprintf(of, sizeof of, " of %" PRIu64, told->rows);
		snprintf(piece, sizeof piece, "%s=%s: %" PRIu64 "%s", told->column, told->value, told->subjects, of);
		append(text, piece);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* `12 different business_name`. */
static void tell_different(const struct finding *finding, const char *column, const char **room,
			   char text[COMMON_TEXT_MAX])
{
	char piece[COMMON_TEXT_MAX];
	uint64_t count = 0, different = 0;
	for (const struct alert *alert = finding->alerts; alert; alert = alert->next_in_group) {
		const char *value = value_of(alert, column);
		if (value)
			room[count++] = value;
	}
	qsort(room, count, sizeof *room, by_text);
	for (uint64_t i = 0; i < count; i++)
		different += i == 0 || strcmp(room[i - 1], room[i]) != 0;
	if (different < 2)
		return;
	snprintf(piece, sizeof piece, "%" PRIu64 " different %s", different, column);
	append(text, piece);
}

static void tell_all_different(const struct finding *finding, char text[COMMON_TEXT_MAX])
{
	const struct texts *columns = &finding->rule->summarize_by;
	const char **room = columns->count ? calloc(finding->subjects, sizeof *room) : NULL;
	for (uint32_t i = 0; room && i < columns->count; i++)
		tell_different(finding, columns->items[i], room, text);
	free(room);
}

/* ---- the whole ---- */

struct looking {
	const char *table;
	struct finding *finding;
	uint64_t rows;
};

static void see_table(void *arg, const struct cw_table_info *info)
{
	struct looking *looking = arg;
	if (strcmp(info->name, looking->table) != 0)
		return;
	looking->rows = info->rows;
	for (uint32_t i = 0; looking->finding->subjects >= LEAST_SUBJECTS && i < info->columns_count; i++)
		consider(looking->finding, &info->columns[i]);
}

static void find(struct tables *tables, struct finding *finding, uint64_t rows, char text[COMMON_TEXT_MAX])
{
	char error[CW_QUERY_ERROR_MAX], piece[64];
	const char *columns[COLUMNS_MAX];
	struct cw_query *query;
	for (uint32_t i = 0; i < finding->count; i++)
		columns[i] = finding->candidates[i].column;
	struct cw_query_spec spec = {
		.table = finding->rule->table, .columns = columns, .columns_count = finding->count};
	if (finding->count > 0 && query_open(tables, &spec, /* phones_full */ false, &query, error) == 0) {
		bool is_whole = walk(query, finding);
		tell_values(finding, is_whole, text);
		query_close(query);
		snprintf(piece, sizeof piece, "(%" PRIu64 " of %" PRIu64 " rows seen)", finding->rows, rows);
		if (!is_whole && *text)
			append(text, piece);
	}
	tell_all_different(finding, text);
}

void common_find(struct tables *tables, const struct rule *rule, const struct alert *alerts, char text[COMMON_TEXT_MAX],
		 uint64_t *ret_rows)
{
	struct finding finding = {.rule = rule, .alerts = alerts, .subjects = count_subjects(alerts)};
	struct looking looking = {.table = rule->table, .finding = &finding};
	text[0] = '\0';
	tables_each(tables, see_table, &looking);
	*ret_rows = looking.rows;
	if (finding.subjects >= LEAST_SUBJECTS)
		find(tables, &finding, looking.rows, text);
}
