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

/* An argument as it was written: `50`, `true`, `10s`. */
struct cw_argument {
	const char *name, *text;
};

/* What somebody asks an instance to do. The rows of an action with a table are chosen in one of four ways: by keys,
 * by `where`, all of them, or by the plan that a dry run made. A plan has its arguments too: none may be said then. */
struct cw_action_spec {
	const char *instance, *action;
	const struct cw_argument *arguments;
	uint32_t arguments_count;
	const char *const *keys; /* NULL: none are said */
	uint32_t keys_count;
	const char *const *where; /* expressions, all must hold */
	uint32_t where_count;
	bool all;
	const char *plan;            /* its id, for 15 min; NULL: none */
	bool dry_run;                /* only say what would be done, and make a plan of it */
	const char *idempotency_key; /* asked again within a day, with the same words, it is the same task, if that is
					still in table `tasks`; NULL: none */
	const char *by;              /* who asks */
};

/* Borrowed for the call. */
struct cw_action_answer {
	/* 0, or what is wrong, `text` says more: -EINVAL an argument, an expression, a contradiction; -EACCES an option
	 * does not allow it; -ENOENT no such instance, action, plan, task, or no row matches; -EBUSY it runs already:
	 * `task`; -EEXIST the idempotency key belongs to another question; -EFBIG too many rows; -EAGAIN not now;
	 * -ENOTSUP it cannot be cancelled. */
	int status;
	const char *text; /* of a dry run: `acts on 312 of 10,000 rows` */
	const char *task; /* id; NULL: none */
	bool is_again;    /* the task is one of an earlier question with this idempotency key */
	bool on_disk;     /* the task is in the journal */

	/* of a dry run */
	const char *plan;        /* id; NULL: nothing would be done, or it was no dry run */
	const char *danger;      /* of the action; NULL: harmless */
	const char *table;       /* of the action; NULL: none */
	uint64_t rows;           /* how many are chosen */
	const char *const *keys; /* of the first of them */
	uint32_t keys_count;
};

/* An action of an instance that runs. Borrowed for the call, but for `action`, which lives as long as the process. */
struct cw_action_info {
	const char *instance, *plugin;
	const struct cw_action *action;
	bool allowed; /* by the option that it names */
	bool can_cancel;
};

/* Who answers for a path of somebody else's API. */
struct cw_endpoint_found {
	const struct cw_endpoint *endpoint; /* lives as long as the process */
	char instance[72];
};

/* A silence that somebody wants. */
struct cw_silence_spec {
	const char *id;              /* NULL: a new one */
	const char *const *matchers; /* expressions over alertname, severity, instance, subject, the rule's labels and
					the columns of the row; all must hold */
	uint32_t matchers_count;
	bool all;                   /* said on purpose: no matchers, everything */
	int64_t starts_at, ends_at; /* wall; starts_at 0: now */
	const char *every;          /* `Sun 02:00-04:00`; NULL: all the time */
	const char *timezone;       /* of `every`: `Europe/Berlin`; NULL: UTC */
	const char *comment;        /* required */
	const char *by;             /* who asks */
	bool dry_run;               /* only say what it would mute now */
};

struct cw_ack_spec {
	const char *alert;    /* the rule's name */
	const char *subject;  /* NULL: all that fire now */
	const char *instance; /* NULL: any */
	const char *note;     /* required */
	const char *by;
};

/* Borrowed for the call. */
struct cw_alerts_answer {
	int status;             /* 0, or -EINVAL, -ENOENT, -ENOSPC, -EAGAIN; `text` says more */
	const char *text;       /* one line for people: what was done, or what is wrong */
	const char *id;         /* of the silence, of the incident of a test notice; NULL: none */
	bool on_disk;           /* it is in the journal */
	uint32_t count;         /* alerts that it mutes now, or that were acknowledged */
	const char *const *ids; /* the first of them, at most 100, as `call-stale/CA123` */
	uint32_t ids_count;
};

/* A question about what was: the event log, or a table as it was. */
struct cw_log_spec {
	/* `table` NULL: the event log, whose columns are those of table `events`; its order is that of time, and `sort`
	 * and `cursor` are not for it. With `at` the table as it was then. */
	struct cw_query_spec query;
	int64_t at;           /* wall; 0: the event log */
	int64_t since, until; /* of the event log: wall, from (included) and to (not); 0: no bound */
	bool oldest_first;    /* of the event log; else the newest first */
};

struct cw_log_info {
	int64_t reach;              /* wall: what happened since is known; 0: not known */
	struct cw_query_info query; /* of a table as it was */
};

struct cw_log;

struct cw_frontend {
	uint32_t size;

	/* As those of struct cw_reader. */
	int (*query_open)(struct cw_instance *self, const struct cw_query_spec *spec, struct cw_query **ret_query,
			  char error[CW_QUERY_ERROR_MAX]);
	const struct cw_column *(*query_columns)(struct cw_query *query, uint32_t *ret_count);
	int (*query_step)(struct cw_query *query, int64_t budget_ns, cw_row_fn row, void *arg);
	void (*query_info)(struct cw_query *query, struct cw_query_info *ret_info);
	void (*query_close)(struct cw_query *query);

	/* `ready` is called when there is something to pull, and not again until view_next() returned 0. With very much
	 * mail under way it may fail to come: call view_next() once a second, asked or not. */
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

	/* ---- since 1.2 ---- */

	/* Asks for an action; done() is called once, later: the task was made (and is in the journal, or cannot be), or
	 * why not. How it goes is in table `tasks`, what became of each row in `outcomes`. 0, or negative and nothing
	 * is called: -ENOMEM, -EPIPE. Not called any more after the asking instance has stopped. */
	int (*act)(struct cw_instance *self, const struct cw_action_spec *spec,
		   void (*done)(void *arg, const struct cw_action_answer *answer), void *arg);
	/* Asks a task to end early. The answer says that it was asked: how it ends is in its row. The rest as act(). */
	int (*cancel)(struct cw_instance *self, const char *task, const char *by,
		      void (*done)(void *arg, const struct cw_action_answer *answer), void *arg);
	/* Of all instances that run, in order. seen() does nothing that waits. */
	void (*actions)(struct cw_instance *self, void (*seen)(void *arg, const struct cw_action_info *info),
			void *arg);
	/* Who answers `path`? 0; -ENOENT nobody; -ENOTSUP not by this method; -EACCES not with this key (which is
	 * compared in constant time; NULL: none was said). */
	int (*endpoint)(struct cw_instance *self, const char *method, const char *path, const char *key,
			struct cw_endpoint_found *ret_found);

	/* ---- since 1.3 ---- */

	/* What people do about alerts. done() is called once, later, when the journal has spoken (or cannot, or has
	 * taken 2 s). 0, or negative and nothing is called: -ENOMEM, -EPIPE. Not called any more after the asking
	 * instance has stopped. */
	int (*silence)(struct cw_instance *self, const struct cw_silence_spec *spec,
		       void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg);
	int (*expire)(struct cw_instance *self, const char *silence, const char *by,
		      void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg);
	int (*ack)(struct cw_instance *self, const struct cw_ack_spec *spec,
		   void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg);
	/* A notice of kind TEST for this rule, on the way that its alerts would take: group labels, routes, journal. */
	int (*try_rule)(struct cw_instance *self, const char *rule, const char *by,
			void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg);
	/* A mark in the event log: kind `note`. */
	void (*note)(struct cw_instance *self, const char *text, const char *by);

	/* What was. It is read on a thread of its own, in pages: log_step() gives what is there, as query_step() does;
	 * -EAGAIN: nothing is there now, and ready() will be called. Before the first row, or the end, there are no
	 * columns. Negative: log_error() says what is wrong: -EINVAL, -ENOENT as query_open(); -ERANGE the log does not
	 * reach back so far, or nobody watched then; -ENOTSUP nothing is kept, for there is no state_dir; -EIO it
	 * cannot be read; -EFBIG, -ENOMEM. log_open(): 0 or -ENOMEM. */
	int (*log_open)(struct cw_instance *self, const struct cw_log_spec *spec, void (*ready)(void *arg), void *arg,
			struct cw_log **ret_log);
	const struct cw_column *(*log_columns)(struct cw_log *log, uint32_t *ret_count); /* NULL: not yet */
	int (*log_step)(struct cw_log *log, int64_t budget_ns, cw_row_fn row, void *arg);
	void (*log_info)(struct cw_log *log, struct cw_log_info *ret_info);
	const char *(*log_error)(struct cw_log *log); /* a sentence; lives as long as the log */
	void (*log_close)(struct cw_log *log);        /* NULL is fine */
};

#ifdef __cplusplus
}
#endif
#endif
