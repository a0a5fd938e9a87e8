/* SPDX-License-Identifier: MIT
 *
 * The tables of an agent: which there are, which instances have parts in them, and what a table looks like as a whole.
 * The rows are in part.c.
 */
#include "clock.h"
#include "part.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct tables *tables_new(transition_fn on_transition, void *arg)
{
	struct tables *tables = sodium_init() < 0 ? NULL : calloc(1, sizeof(*tables));
	if (!tables)
		return NULL;
	pthread_mutex_init(&tables->lock, NULL);
	randombytes_buf(tables->cursor_key, sizeof(tables->cursor_key));
	tables->on_transition = on_transition;
	tables->arg = arg;
	return tables;
}

void tables_free(struct tables *tables)
{
	while (tables && tables->list) {
		struct table *table = tables->list;
		tables->list = table->next;
		while (table->parts) {
			struct cw_part *part = table->parts;
			table->parts = part->next;
			part_free(part);
		}
		free(table);
	}
	if (tables)
		pthread_mutex_destroy(&tables->lock);
	free(tables);
}

/* The lock is held. */
static struct table *find_table(const struct tables *tables, const char *name)
{
	struct table *table = tables->list;
	while (table && strcmp(table->decl->name, name) != 0)
		table = table->next;
	return table;
}

struct table *tables_find(struct tables *tables, const char *name)
{
	pthread_mutex_lock(&tables->lock);
	struct table *table = find_table(tables, name);
	pthread_mutex_unlock(&tables->lock);
	return table;
}

static struct table *find_or_make_table(struct tables *tables, const struct cw_table_decl *decl)
{
	struct table *table = find_table(tables, decl->name);
	if (table || !(table = calloc(1, sizeof(*table))))
		return table;
	table->decl = decl;
	table->tables = tables;
	table->next = tables->list;
	tables->list = table;
	return table;
}

/* The lock is held. Among the instance's parts, open or forgotten, the one with these columns. */
static struct cw_part *find_part(struct table *table, const char *instance, const struct cw_table_decl *decl,
				 const struct cw_array *extra)
{
	struct cw_part *part = table->parts;
	while (part && (strcmp(part->instance, instance) != 0 || !part_has_columns(part, decl, extra)))
		part = part->next;
	return part;
}

/* Closes the instance's parts, except one. That takes a while and tells transitions, so the lists are not locked
 * meanwhile; parts are never freed before the tables, so that they can be walked. */
static void close_parts(struct table *table, const char *instance, const struct cw_part *except, const char *why)
{
	pthread_mutex_lock(&table->tables->lock);
	struct cw_part *part = table->parts;
	pthread_mutex_unlock(&table->tables->lock);
	for (; part; part = part->next) {
		if (part == except || strcmp(part->instance, instance) != 0 || part_is_closed(part))
			continue;
		part_close(part, why);
		atomic_fetch_add(&table->version, 1);
		views_wake(table);
	}
}

/* The part, open; *ret_is_new if its rows begin now. The lock is held. */
static struct cw_part *open_part(struct table *table, const char *instance, const struct cw_table_decl *decl,
				 const struct cw_array *extra, bool *ret_is_new, int *ret_status)
{
	struct cw_part *part = find_part(table, instance, decl, extra);
	if (part) {
		*ret_status = part_reopen(part, ret_is_new);
		return *ret_status == 0 ? part : NULL;
	}
	part = part_new(table, instance, decl, extra, ret_status);
	if (!part)
		return NULL;
	part->next = table->parts;
	table->parts = part;
	*ret_is_new = true;
	return part;
}

int table_open(struct tables *tables, const char *instance, const struct cw_table_decl *decl,
	       const struct cw_array *extra, struct cw_part **ret_part)
{
	int status = -ENOMEM;
	bool is_new = false;
	pthread_mutex_lock(&tables->lock);
	struct table *table = find_or_make_table(tables, decl);
	struct cw_part *part = table ? open_part(table, instance, decl, extra, &is_new, &status) : NULL;
	if (is_new)
		atomic_fetch_add(&table->version, 1);
	pthread_mutex_unlock(&tables->lock);
	if (!part)
		return status;
	close_parts(table, instance, part, "columns changed");
	if (is_new)
		views_wake(table);
	*ret_part = part;
	return 0;
}

void tables_forget(struct tables *tables, const char *instance)
{
	pthread_mutex_lock(&tables->lock);
	struct table *table = tables->list;
	pthread_mutex_unlock(&tables->lock);
	for (; table; table = table->next)
		close_parts(table, instance, /* except */ NULL, "instance removed");
}

/* ---- a table as a whole ---- */

static int by_instance(const void *a, const void *b)
{
	const struct cw_part *const *left = a, *const *right = b;
	return strcmp((*left)->instance, (*right)->instance);
}

static int collect_parts(struct scope *scope, struct table *table)
{
	uint32_t n = 0;
	for (struct cw_part *part = table->parts; part; part = part->next)
		n++;
	scope->parts = calloc(n + 1, sizeof(struct cw_part *));
	if (!scope->parts)
		return -ENOMEM;
	for (struct cw_part *part = table->parts; part; part = part->next)
		if (!part_is_closed(part))
			scope->parts[scope->parts_count++] = part;
	qsort(scope->parts, scope->parts_count, sizeof(struct cw_part *), by_instance);
	return 0;
}

int32_t scope_column(const struct scope *scope, const char *name)
{
	for (uint32_t i = 0; i < scope->columns_count; i++)
		if (strcmp(scope->columns[i].name, name) == 0)
			return (int32_t)i;
	return -1;
}

static bool same_choices(const char *const *a, const char *const *b)
{
	uint32_t i = 0;
	for (; a && b && a[i] && b[i]; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return a == b || (a && b && a[i] == b[i]);
}

int32_t scope_part_column(const struct cw_part *part, const struct cw_column *column)
{
	for (uint32_t i = 0; i < part->columns_count; i++) {
		const struct cw_column *own = &part->columns[i];
		if (strcmp(own->name, column->name) == 0)
			return own->type == column->type && same_choices(own->choices, column->choices) ? (int32_t)i
													: -1;
	}
	return -1;
}

static void add_columns(struct scope *scope, const struct cw_part *part, bool keys)
{
	for (uint32_t i = 0; i < part->columns_count; i++) {
		const struct cw_column *column = &part->columns[i];
		int32_t known = scope_column(scope, column->name);
		if (!(column->flags & CW_COLUMN_KEY) == !keys && known < 0)
			scope->columns[scope->columns_count++] = *column;
		else if (keys && known == 0 && (column->flags & CW_COLUMN_KEY))
			scope->columns[0] = *column;
	}
}

/* A table about instances (`instances`) has a key column of that name: it takes this one's place. */
static const struct cw_column instance_column = {.name = "instance",
						 .type = CW_TEXT,
						 .flags = CW_COLUMN_REPEATS,
						 .unit = "",
						 .help = "the source instance that the row comes from"};

static int collect_columns(struct scope *scope)
{
	uint32_t room = 1;
	for (uint32_t i = 0; i < scope->parts_count; i++)
		room += scope->parts[i]->columns_count;
	scope->columns = calloc(room, sizeof(*scope->columns));
	if (!scope->columns)
		return -ENOMEM;
	scope->columns[scope->columns_count++] = instance_column;
	for (uint32_t i = 0; i < scope->parts_count; i++)
		add_columns(scope, scope->parts[i], /* keys */ true);
	for (uint32_t i = 0; i < scope->parts_count; i++)
		add_columns(scope, scope->parts[i], /* keys */ false);
	return 0;
}

int scope_init(struct scope *scope, struct table *table)
{
	*scope = (struct scope){0};
	pthread_mutex_lock(&table->tables->lock);
	int status = collect_parts(scope, table);
	pthread_mutex_unlock(&table->tables->lock);
	if (status == 0)
		status = collect_columns(scope);
	if (status < 0)
		scope_release(scope);
	return status;
}

void scope_release(struct scope *scope)
{
	free(scope->parts);
	free(scope->columns);
	*scope = (struct scope){0};
}

static bool says_nothing(const struct cw_coverage *coverage, uint64_t rows)
{
	return rows == 0 && coverage->to == 0 && !coverage->complete;
}

static void add_coverage(struct cw_coverage *sum, double *confirmed, uint64_t *rows, const struct cw_coverage *one,
			 uint64_t one_rows)
{
	sum->complete &= one->complete;
	sum->from = one->from < sum->from ? one->from : sum->from;
	sum->to = one->to < sum->to ? one->to : sum->to;
	*confirmed += one_rows > 0 ? one->ratio * (double)one_rows : 0; /* NaN stays NaN: not known */
	*rows += one_rows;
	if (*rows == 0)
		sum->ratio = one->ratio;
}

struct cw_coverage scope_coverage(const struct scope *scope, uint64_t *ret_rows)
{
	struct cw_coverage sum = {.from = INT64_MAX, .to = INT64_MAX, .complete = true, .ratio = (double)NAN};
	double confirmed = 0;
	uint64_t rows = 0;
	for (uint32_t i = 0; i < scope->parts_count; i++) {
		struct cw_coverage one;
		uint64_t one_rows;
		part_look(scope->parts[i], &one, &one_rows);
		if (scope->parts_count == 1 || !says_nothing(&one, one_rows))
			add_coverage(&sum, &confirmed, &rows, &one, one_rows);
	}
	if (rows > 0)
		sum.ratio = confirmed / (double)rows;
	if (sum.to == INT64_MAX) /* nobody said anything */
		sum = (struct cw_coverage){.ratio = (double)NAN};
	*ret_rows = rows;
	return sum;
}

double coverage_age(const struct cw_coverage *coverage)
{
	if (coverage->to == 0)
		return (double)NAN;
	double age = (double)(clock_wall() - coverage->to) / (double)CW_SECOND;
	return age < 0 ? 0 : age;
}

static int32_t first_watched(const struct scope *scope)
{
	for (uint32_t i = 0; i < scope->columns_count; i++)
		if (scope->columns[i].flags & CW_COLUMN_WATCHED)
			return (int32_t)i;
	return -1;
}

static void count_choices(const struct scope *scope, const struct cw_column *column, uint64_t counts[UINT8_MAX])
{
	uint64_t one[UINT8_MAX];
	for (uint32_t i = 0; i < scope->parts_count; i++) {
		int32_t own = scope_part_column(scope->parts[i], column);
		if (own < 0)
			continue;
		part_choice_counts(scope->parts[i], (uint32_t)own, one, UINT8_MAX);
		for (uint32_t k = 0; k < UINT8_MAX; k++)
			counts[k] += one[k];
	}
}

/* Their names, NULL at the end; borrowed from the parts. */
static const char **name_instances(const struct scope *scope)
{
	const char **names = calloc(scope->parts_count + 1, sizeof(*names));
	for (uint32_t i = 0; names && i < scope->parts_count; i++)
		names[i] = scope->parts[i]->instance;
	return names;
}

static void describe(struct table *table, void (*give)(void *arg, const struct cw_table_info *info), void *arg)
{
	struct scope scope;
	if (scope_init(&scope, table) < 0)
		return;
	uint64_t counts[UINT8_MAX] = {0};
	const char **instances = name_instances(&scope);
	struct cw_table_info info = {.name = table->decl->name,
				     .help = table->decl->help,
				     .sort = table->decl->sort,
				     .columns = scope.columns,
				     .columns_count = scope.columns_count,
				     .watched_column = first_watched(&scope),
				     .counts = counts,
				     .instances = instances};
	info.coverage = scope_coverage(&scope, &info.rows);
	info.age_seconds = coverage_age(&info.coverage);
	if (info.watched_column >= 0)
		count_choices(&scope, &scope.columns[info.watched_column], counts);
	if (scope.parts_count > 0 && instances)
		give(arg, &info);
	free(instances);
	scope_release(&scope);
}

/* Tables that no instance has any more are left out. In the order of their names. */
void tables_each(struct tables *tables, void (*give)(void *arg, const struct cw_table_info *info), void *arg)
{
	const char *last = NULL;
	for (;;) {
		struct table *next = NULL;
		pthread_mutex_lock(&tables->lock);
		for (struct table *table = tables->list; table; table = table->next)
			if ((!last || strcmp(table->decl->name, last) > 0) &&
			    (!next || strcmp(table->decl->name, next->decl->name) < 0))
				next = table;
		pthread_mutex_unlock(&tables->lock);
		if (!next)
			return;
		last = next->decl->name;
		describe(next, give, arg);
	}
}

int tables_look(struct tables *tables, const char *table, const char *instance, struct cw_coverage *ret_coverage,
		uint64_t *ret_rows)
{
	struct scope scope;
	struct table *found = tables_find(tables, table);
	int status = found ? scope_init(&scope, found) : -ENOENT;
	if (status < 0)
		return status;
	status = -ENOENT;
	for (uint32_t i = 0; i < scope.parts_count; i++)
		if (strcmp(scope.parts[i]->instance, instance) == 0) {
			part_look(scope.parts[i], ret_coverage, ret_rows);
			status = 0;
		}
	scope_release(&scope);
	return status;
}
