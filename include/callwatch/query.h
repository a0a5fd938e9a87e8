/* SPDX-License-Identifier: MIT
 *
 * Queries over every table, for any role: host->reader.
 *
 * A query runs in slices, so that neither the table's writers nor the asking loop wait: query_step() works for at most
 * the given time and gives rows to a callback, which may pause it (credit). A row that was there and matching
 * throughout appears exactly once. Expressions are those of the one grammar (`health_status=stale`,
 * `duration_seconds>4h`).
 *
 * Order: not known comes last in both directions; equal ones go by instance, then key. Texts compare bytewise, by their
 * first 96 bytes. A cursor belongs to one table, `where`, `key` and `sort`, and ends with the agent's process.
 *
 * What a query holds is its asker's: close all of them by release() at the latest.
 */
#ifndef CALLWATCH_QUERY_H
#define CALLWATCH_QUERY_H

#include "table.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CW_QUERY_ERROR_MAX = 256 };

struct cw_instance;

struct cw_query_spec {
	const char *table;
	const char *key;          /* only the row(s) with this key; NULL: all */
	const char *const *where; /* expressions, all must hold */
	uint32_t where_count;
	const char *sort; /* `col` or `-col`; NULL: any order (rows come as they are found); "": the table's default */
	uint64_t limit;   /* 0: all */
	const char *cursor;         /* of an earlier page; NULL: from the start */
	const char *const *columns; /* NULL: all that are not wide */
	uint32_t columns_count;
	bool reveal;    /* full phone numbers; an event (`by`) */
	bool viewer;    /* phone columns: only a complete number or its last four digits may be asked for */
	const char *by; /* who asks; named by the event that it is to reveal numbers; NULL: not known */
};

struct cw_query_info {
	uint64_t total;             /* rows that match; known when the query has scanned to the end, else rows so far */
	uint64_t given;             /* rows given to the callback */
	int64_t scan_from, scan_to; /* wall time during which the rows were looked at */
	struct cw_coverage coverage; /* of the parts asked, taken together */
	double age_seconds;          /* since coverage.to; NaN: never confirmed */
	char next_cursor[512];       /* "" when there is no more */
};

struct cw_query;

/* One cell for each of the query's columns. Return 0 to go on; anything else pauses after this row. */
typedef int (*cw_row_fn)(void *arg, const struct cw_cell *cells, uint32_t count);

struct cw_reader {
	uint32_t size;

	/* 0, or negative with a sentence in `error` that names the place: -ENOENT no such table, -EINVAL an expression,
	 * a column, a sort. A table is there once an instance that declares it has opened it. */
	int (*query_open)(struct cw_instance *self, const struct cw_query_spec *spec, struct cw_query **ret_query,
			  char error[CW_QUERY_ERROR_MAX]);
	const struct cw_column *(*query_columns)(struct cw_query *query,
						 uint32_t *ret_count); /* lives as long as the query */
	/* CW_LATER: call again; 0: finished; negative: it cannot go on (-ENOMEM; -ENOBUFS: too many
	 * whole tables are being put in order at this moment). */
	int (*query_step)(struct cw_query *query, int64_t budget_ns, cw_row_fn row, void *arg);
	void (*query_info)(struct cw_query *query, struct cw_query_info *ret_info);
	void (*query_close)(struct cw_query *query); /* NULL is fine */
};

#ifdef __cplusplus
}
#endif
#endif
