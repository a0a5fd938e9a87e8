/* SPDX-License-Identifier: MIT
 *
 * What the host gives to frontends beyond plugin.h: queries (query.h) and live views over every table, the list of
 * tables, readiness and reload, the actions of all instances.
 *
 * A view is a query of at most 500 rows kept up to date: a first reset with all its rows, then what changed, pulled
 * when the reader has room. Rows that come to match, or cease to, by time alone (`heartbeat_age_seconds>60`) have no
 * change to tell of it: such a view looks again in view_next(), at most once a second; call it once a second, asked or
 * not. All callbacks run on the instance's thread.
 */
#ifndef CALLWATCH_FRONTEND_H
#define CALLWATCH_FRONTEND_H

#include "plugin.h"
#include "query.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CW_VIEW_ROWS_MAX = 500 };

struct cw_view;

enum cw_view_op { CW_VIEW_RESET = 0, CW_VIEW_PUT = 1, CW_VIEW_REMOVE = 2, CW_VIEW_SYNC = 3 };

/* RESET: forget all rows (cells NULL). PUT: a row is new or changed. REMOVE: `cells` has only `instance` and the key
 * columns set, the rest is CW_CELL_NULL. SYNC: what came before is consistent (cells NULL). `sequence` grows by one
 * with each call. Non-zero pauses. */
typedef int (*cw_view_fn)(void *arg, enum cw_view_op op, uint64_t sequence, const struct cw_cell *cells,
			  uint32_t count);

/* A table as people see it: the columns of all instances that opened it. */
struct cw_table_info {
	const char *name, *help, *sort;
	const struct cw_column *columns;
	uint32_t columns_count;
	uint64_t rows;
	struct cw_coverage coverage;
	double age_seconds;
	int32_t watched_column;       /* first watched column, -1: none */
	const uint64_t *counts;       /* its rows per choice */
	const char *const *instances; /* whose rows are in it; NULL-terminated */
};

/* One rung of one instance, for `callwatch doctor`. Borrowed for the call. */
struct cw_examined {
	const char *instance, *plugin, *check, *help;
	enum cw_verdict verdict;
	const char *text; /* what was seen; for a rung after a failed one: that it was not tried */
};

struct cw_frontend {
	uint32_t size;

	/* As those of struct cw_reader. */
	int (*query_open)(struct cw_instance *self, const struct cw_query_spec *spec, struct cw_query **ret_query,
			  char error[CW_QUERY_ERROR_MAX]);
	const struct cw_column *(*query_columns)(struct cw_query *query, uint32_t *ret_count);
	int (*query_step)(struct cw_query *query, int64_t budget_ns, cw_row_fn row, void *arg);
	void (*query_info)(struct cw_query *query, struct cw_query_info *ret_info);
	void (*query_close)(struct cw_query *query);

	/* `ready` is called when there is something to pull, and not again until view_next() returned 0. */
	int (*view_open)(struct cw_instance *self, const struct cw_query_spec *spec, void (*ready)(void *arg),
			 void *arg, struct cw_view **ret_view, char error[CW_QUERY_ERROR_MAX]);
	const struct cw_column *(*view_columns)(struct cw_view *view, uint32_t *ret_count);
	/* CW_LATER: more is there; 0: all taken; negative: it cannot go on (-ENOMEM). */
	int (*view_next)(struct cw_view *view, cw_view_fn change, void *arg);
	void (*view_close)(struct cw_view *view); /* NULL is fine */

	void (*tables)(struct cw_instance *self, void (*table)(void *arg, const struct cw_table_info *info), void *arg);

	bool (*ready)(void);      /* every source has had its first reading or failed it */
	int64_t (*started)(void); /* wall time of the agent's start */
	/* Asks for a reload; done() tells the outcome: text is one line, or one `file:line:column: message` per line.
	 * It is not called if the reload ends this very instance. */
	void (*reload)(struct cw_instance *self, const char *by, void (*done)(void *arg, bool ok, const char *text),
		       void *arg);

	/* ---- since 1.1 ---- */

	/* What a reload would do, without doing it: one line for each instance that would be started, restarted (with
	 * the options that changed) or stopped, `calls: restarted: warning_after: 60s → 90s`, then what a reload cannot
	 * do; "" if nothing; or the errors as with reload(). Secrets are ***. */
	void (*reload_preview)(struct cw_instance *self, void (*done)(void *arg, bool ok, const char *text), void *arg);

	/* Examines an instance, or all with NULL: result() for each rung, in order, one instance after the other, then
	 * done() once. The core's own rungs (loop, state, readings or queue) come first, then the plugin's; those after
	 * a failed one are not tried. But state, readings and queue are symptoms: if they failed, the plugin's are
	 * tried all the same, to find the cause. Who asks while an examination is under way hears of that one. 0, or
	 * negative and nothing is called: -ENOENT no such instance, -ENOMEM, -EPIPE. Not called any more after the
	 * asking instance has stopped. */
	int (*doctor)(struct cw_instance *self, const char *instance,
		      void (*result)(void *arg, const struct cw_examined *examined), void (*done)(void *arg),
		      void *arg);
};

#ifdef __cplusplus
}
#endif
#endif
