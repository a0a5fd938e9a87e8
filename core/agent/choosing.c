/* SPDX-License-Identifier: MIT
 *
 * The rows that a question chooses (asking.h), found by the same queries that show them, in slices: `tasks` goes on
 * with its other work in between. They come in the table's own order, that in which people see them.
 *
 * Whoever may ask is an operator, and what is chosen by is what there is, not what is shown: nothing is masked here.
 */
#include "asking.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_KEYS = 64 };

static const char *key_column(const struct wish *wish)
{
	for (uint32_t i = 0; i < wish->decl->tables.count; i++) {
		const struct cw_table_decl *table = cw_at(&wish->decl->tables, i);
		for (uint32_t j = 0; strcmp(table->name, wish->action->table) == 0 && j < table->columns.count; j++) {
			const struct cw_column *column = cw_at(&table->columns, j);
			if (column->flags & CW_COLUMN_KEY)
				return column->name;
		}
	}
	return NULL; /* cannot be: the descriptor was looked at */
}

/* -ENOENT, -EINVAL with a sentence, -ENOMEM. */
static int open_query(struct asking *asking, struct tables *tables, const char *key, struct cw_query **ret_query,
		      char error[CW_QUERY_ERROR_MAX])
{
	const struct cw_action_spec *spec = &asking->spec;
	const char **where = calloc(spec->where_count + 1, sizeof *where), *column = key_column(asking->wish);
	char instance[96];
	if (!where)
		return -ENOMEM;
	for (uint32_t i = 0; i < spec->where_count; i++)
		where[i] = spec->where[i];
	snprintf(instance, sizeof instance, "instance=%s", asking->wish->instance);
	where[spec->where_count] = instance;
	struct cw_query_spec query = {
		.table = asking->wish->action->table,
		.key = key,
		.where = where,
		.where_count = spec->where_count + 1,
		.sort = key ? NULL : "",
		.limit = CHOSEN_MAX + 1,
		.columns = &column,
		.columns_count = 1,
	};
	int rc = query_open(tables, &query, /* phones_full */ true, ret_query, error);
	free(where);
	return rc;
}

bool asking_choose(struct asking *asking, struct tables *tables)
{
	char error[CW_QUERY_ERROR_MAX] = "";
	int rc = 0;
	asking->chosen = chosen_new();
	if (!asking->chosen)
		rc = -ENOMEM;
	else if (!asking->spec.keys)
		rc = open_query(asking, tables, /* key */ NULL, &asking->query, error);
	if (rc == 0)
		return true;
	asking_answer(asking, rc, "%s", *error ? error : strerror(-rc));
	return false;
}

struct taking {
	struct chosen *chosen;
	uint32_t column; /* the key's: `instance` is among the columns too */
	int status;
};

static struct taking taking_of(const struct asking *asking, struct cw_query *query)
{
	struct taking taking = {.chosen = asking->chosen};
	const char *key = key_column(asking->wish);
	uint32_t count;
	const struct cw_column *columns = query_columns(query, &count);
	while (taking.column < count && strcmp(columns[taking.column].name, key) != 0)
		taking.column++;
	return taking;
}

static int take_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct taking *taking = arg;
	if (taking->column >= count || cells[taking->column].type != CW_CELL_TEXT)
		return 0;
	int rc = chosen_add(taking->chosen, cells[taking->column].text, cells[taking->column].length);
	taking->status = rc == -EINVAL ? 0 : rc; /* a key that nobody could name is left out */
	return taking->status;
}

/* CW_LATER, 0: all are there, negative. */
static int step_query(struct asking *asking)
{
	struct cw_query_info info;
	struct taking taking = taking_of(asking, asking->query);
	int rc = query_step(asking->query, CW_MILLISECOND, take_row, &taking);
	if (taking.status < 0)
		return taking.status;
	if (rc != 0)
		return rc;
	query_info(asking->query, &info);
	asking->looked_for = info.total;
	return 0;
}

static int take_key(struct asking *asking, struct tables *tables, const char *key)
{
	char error[CW_QUERY_ERROR_MAX] = "";
	struct cw_query *query = NULL;
	int rc = open_query(asking, tables, key, &query, error);
	struct taking taking = {.column = 0};
	if (rc == 0)
		taking = taking_of(asking, query);
	while (rc == 0 && (rc = query_step(query, CW_MILLISECOND, take_row, &taking)) == CW_LATER)
		rc = taking.status;
	query_close(query);
	return rc == -ENOENT ? 0 : rc; /* a table that is not there yet has no rows */
}

static int step_keys(struct asking *asking, struct tables *tables)
{
	const struct cw_action_spec *spec = &asking->spec;
	for (uint32_t i = 0; i < SLICE_KEYS && asking->next_key < spec->keys_count; i++) {
		int rc = take_key(asking, tables, spec->keys[asking->next_key++]);
		if (rc < 0)
			return rc;
	}
	asking->looked_for = spec->keys_count;
	return asking->next_key < spec->keys_count ? CW_LATER : 0;
}

static int answer_failure(struct asking *asking, int rc)
{
	if (rc == -EFBIG)
		asking_answer(asking, rc,
			      "more than %d rows match, which is more than one task takes: choose fewer by where",
			      CHOSEN_MAX);
	else if (rc == -ENOBUFS)
		asking_answer(asking, -EAGAIN, "too many whole tables are being put in order at this moment");
	else
		asking_answer(asking, rc, "%s", strerror(-rc));
	return rc;
}

int asking_choose_step(struct asking *asking, struct tables *tables)
{
	int rc = asking->spec.keys ? step_keys(asking, tables) : step_query(asking);
	if (rc == 0)
		rc = chosen_seal(asking->chosen);
	if (rc < 0)
		return answer_failure(asking, rc);
	if (rc == 0) {
		query_close(asking->query);
		asking->query = NULL;
		asking->wish->chosen = asking->chosen;
		asking->chosen = NULL;
	}
	return rc;
}

/* 194681 → 194,681 */
static const char *thousands(char buffer[32], uint64_t count)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%" PRIu64, count), at = 0;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			buffer[at++] = ',';
		buffer[at++] = digits[i];
	}
	buffer[at] = '\0';
	return buffer;
}

/* What a table does not hold is said: its ratio tells of how many there are. */
void asking_scope(const struct asking *asking, struct tables *tables, char text[ASKING_TEXT_MAX])
{
	const struct wish *wish = asking->wish;
	char chosen[32], rows[32], all[32];
	struct cw_coverage coverage = {.complete = true};
	uint64_t count = 0;
	*text = '\0';
	if (!wish->chosen)
		return;
	tables_look(tables, wish->action->table, wish->instance, &coverage, &count);
	double exist = coverage.ratio > 0 ? (double)count / coverage.ratio : NAN;
	thousands(chosen, wish->chosen->count);
	thousands(rows, count);
	if (coverage.complete)
		snprintf(text, ASKING_TEXT_MAX, "acts on %s of %s row%s", chosen, rows, count == 1 ? "" : "s");
	else if (isfinite(exist) && exist < 1e15 && (uint64_t)llround(exist) > count)
		snprintf(text, ASKING_TEXT_MAX, "acts on %s row%s of the latest %s of %s", chosen,
			 wish->chosen->count == 1 ? "" : "s", rows, thousands(all, (uint64_t)llround(exist)));
	else
		snprintf(text, ASKING_TEXT_MAX,
			 "acts on %s of %s rows, which are not all there are: the table is not complete", chosen, rows);
}
