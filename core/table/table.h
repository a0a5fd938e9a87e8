/* SPDX-License-Identifier: MIT
 *
 * Tables: rows that sources write and everybody may read. Private to the core; plugins see it as the row_* functions of
 * struct cw_host.
 *
 * A table is the union of parts; a part holds the rows of one instance under one lock, taken for slices of 1 ms at
 * most. A row is one packed block (fixed-width cells, then texts), found by key through open addressing with a keyed
 * hash, and named by its row number. Columns that repeat share their texts. How it is kept, and which file does what:
 * part.h.
 *
 * Every change stamps its row with the part's next sequence number. A view looks at what is newer than it has seen; it
 * cannot fall behind. A change of a watched column is also told as a transition, by the thread that made it.
 *
 * Limits and what happens to a cell that does not fit its column: callwatch/table.h.
 */
#ifndef CALLWATCH_CORE_TABLE_H
#define CALLWATCH_CORE_TABLE_H

#include "callwatch/frontend.h"

struct tables; /* all tables of an agent */

/* A row as it was at a moment, for who wants to keep it (tables_keep_rows). */
struct row_copy;
struct row_copy *row_copy_ref(struct row_copy *copy);
void row_copy_unref(struct row_copy *copy); /* NULL is fine */
/* Its table; and its columns, which live as long as the tables: they also tell two shapes of one table apart. */
const struct cw_table_decl *row_copy_decl(const struct row_copy *copy);
const struct cw_column *row_copy_columns(const struct row_copy *copy, uint32_t *ret_count);
/* As they were stored: instants, numbers in full. */
const struct cw_cell *row_copy_cells(const struct row_copy *copy);

/* A watched column of a row changed. from NULL: the row is new; to NULL: it was removed, `why` says; "": the row is
 * there, the value not known. All borrowed for the call. */
struct transition {
	const char *table, *instance, *key;
	const char *column, *from, *to, *why;
	const char *const *choices; /* of the column */
	int64_t wall;
	bool is_first; /* of those that are told of one change of a row */
	/* With tables_keep_rows(), the row just before and just after; NULL: there was none, there is none, or no
	 * memory. */
	struct row_copy *was, *is;
};
typedef void (*transition_fn)(void *arg, const struct transition *transition);

/* on_transition is called by the writing thread after it let go of the lock; may be NULL. Queries and views are closed
 * before the tables are freed, and nobody writes any more. NULL: no memory. */
struct tables *tables_new(transition_fn on_transition, void *arg);
void tables_free(struct tables *tables);
/* Transitions carry copies of the row from now on. It costs the writing thread about a microsecond for each. */
void tables_keep_rows(struct tables *tables);
/* For tables of what was: ages and what is left of times are as at this instant. Before anything is asked of them. */
void tables_freeze(struct tables *tables, int64_t now);

/* Finds the part of this instance (rows of its earlier life included) or makes it. Columns must agree with the earlier
 * life's, else the rows begin anew. `decl` and what it points at must outlive the tables, `extra` is copied. 0,
 * -EEXIST (twin columns), -EINVAL (not exactly one key column, a text; a watched column that is no choice), -ENOMEM. */
int table_open(struct tables *tables, const char *instance, const struct cw_table_decl *decl,
	       const struct cw_array *extra, struct cw_part **ret_part);
/* The instance was taken out of the configuration: its rows go, views hear of it. Who still holds the part (a thread
 * that was abandoned) gets -EPIPE from row_put(). */
void tables_forget(struct tables *tables, const char *instance);

int64_t row_find(struct cw_part *part, const char *key, size_t length);
int64_t row_key(struct cw_part *part, uint32_t row, char *buffer, size_t size);
/* The row with this key as it is now; NULL: there is none. */
struct row_copy *tables_copy_row(struct tables *tables, const char *table, const char *instance, const char *key);
int64_t row_put(struct cw_part *part, const struct cw_cell *cells);
int row_touch(struct cw_part *part, uint32_t row, const struct cw_change *changes, uint32_t n);
void row_mark(struct cw_part *part, uint32_t row);
int row_remove(struct cw_part *part, uint32_t row, const char *why);
void full_begin(struct cw_part *part);
void full_end(struct cw_part *part, void (*missing)(void *arg, uint32_t row), void *arg);
void full_abort(struct cw_part *part);
void part_coverage(struct cw_part *part, const struct cw_coverage *coverage);
uint64_t part_rows(struct cw_part *part);
/* What the rows of this instance in this table cover, and how many they are; -ENOENT: it has none. */
int tables_look(struct tables *tables, const char *table, const char *instance, struct cw_coverage *ret_coverage,
		uint64_t *ret_rows);
void part_choice_counts(struct cw_part *part, uint32_t column, uint64_t *counts, uint32_t n);

/* Queries and views: contracts in callwatch/frontend.h. `notify` runs on the writing thread, at most once until
 * view_next() returned 0, with only the list of views locked: it wakes the reader and calls nothing of this header. */
int query_open(struct tables *tables, const struct cw_query_spec *spec, bool phones_full, struct cw_query **ret_query,
	       char error[CW_QUERY_ERROR_MAX]);
const struct cw_column *query_columns(struct cw_query *query, uint32_t *ret_count);
int query_step(struct cw_query *query, int64_t budget_ns, cw_row_fn row, void *arg);
void query_info(struct cw_query *query, struct cw_query_info *ret_info);
void query_close(struct cw_query *query);
int view_open(struct tables *tables, const struct cw_query_spec *spec, bool phones_full, void (*notify)(void *arg),
	      void *arg, struct cw_view **ret_view, char error[CW_QUERY_ERROR_MAX]);
const struct cw_column *view_columns(struct cw_view *view, uint32_t *ret_count);
int view_next(struct cw_view *view, cw_view_fn change, void *arg);
void view_close(struct cw_view *view);
void tables_each(struct tables *tables, void (*table)(void *arg, const struct cw_table_info *info), void *arg);

#endif
