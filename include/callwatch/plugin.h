/* SPDX-License-Identifier: MIT
 *
 * The plugin contract: the one descriptor a plugin exports, and the host it is given.
 *
 * A plugin is a shared object that exports
 *
 *     const struct cw_plugin cw_plugin = { CW_PLUGIN_ABI, .name = "example", … };
 *
 * and needs no symbol of the core: everything it calls is in `struct cw_host`. So the same file works in callwatchd, in
 * a test and in a child process. An *instance* is a configured plugin. Each has its own thread, libuv loop and state;
 * all callbacks of an instance run on its thread, one at a time, in this order:
 *
 *     start → read/write/… → stop → (the loop runs until all the plugin's handles are closed) → release
 *
 * Except for check(): it is called before, for each configuration that is read, by whoever reads it (`callwatchd -t`
 * too), and there may be no start after it. After a failed start() stop() is not called: the core runs the loop until
 * the plugin's handles are closed, calls release() if a state was given, and later starts anew.
 *
 * Unless a comment says "any thread", a function of the host is called from the instance's own thread only.
 *
 * ABI. `abi_major` must equal the core's; a higher `abi_minor` than the core's is refused too. Within a major version
 * fields are only added, at the end of a struct, and `size` or the array's stride tells what the other side knows.
 * History:  1.0 first.
 *           1.1 lookups (look_up, lookup_*, answer), metrics and samples of run time (declare, sample), checks, what an
 *               output drops (dropped).
 *           1.2 actions (actions, act, cancel, task_*), endpoints, events, queries for every role (reader).
 *           1.3 notifiers (notify.h: notify, digest_max, notified), options that name columns (CW_OPTION_COLUMNS).
 */
#ifndef CALLWATCH_PLUGIN_H
#define CALLWATCH_PLUGIN_H

#include "metric.h"
#include "option.h"
#include "table.h"
#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CW_ABI_MAJOR  1
#define CW_ABI_MINOR  3
#define CW_PLUGIN_ABI .abi_major = CW_ABI_MAJOR, .abi_minor = CW_ABI_MINOR, .size = sizeof(struct cw_plugin)

struct uv_loop_s;
struct sockaddr_storage;
struct cw_instance; /* opaque: which instance is speaking */
struct cw_host;
struct cw_frontend; /* frontend.h */
struct cw_lookup;   /* opaque: a source's way to a lookup */
struct cw_reader;   /* query.h */
struct cw_task;     /* opaque: what somebody asked an instance to do */
struct cw_notice;   /* notify.h */
struct cw_delivered;

enum cw_role { CW_SOURCE = 0, CW_LOOKUP = 1, CW_OUTPUT = 2, CW_NOTIFIER = 3, CW_FRONTEND = 4 };

enum cw_state {
	CW_STARTING = 0,
	CW_UP = 1,
	CW_DEGRADED = 2,
	CW_DOWN = 3,
	CW_STUCK = 4
}; /* STUCK is the core's to say */

enum cw_level { CW_DEBUG = 0, CW_INFO = 1, CW_WARNING = 2, CW_ERROR = 3 };

/* A right that the plugin needs on a server, as the line an administrator types. */
struct cw_need {
	const char *what; /* `Redis user` */
	const char *line; /* `ACL SETUSER callwatch …` */
};

/* A rung of `callwatch doctor`: what has to hold for the instance to work. In order, each rests on those before. */
struct cw_check {
	const char *name; /* `name`, `tcp`, `auth` …: [a-z][a-z0-9_-]* */
	const char *help; /* one sentence: what holds if it holds */
};

enum cw_verdict { CW_CHECK_OK = 0, CW_CHECK_WARNING = 1, CW_CHECK_FAILED = 2, CW_CHECK_SKIPPED = 3 };

enum { CW_LOOKUP_KEYS_MAX = 1000, CW_LOOKUP_KEY_MAX = 255, CW_LOOKUP_VALUE_MAX = 4096 };

/* What a lookup says about a key. Texts are borrowed for the call. */
struct cw_answer {
	const char *key;
	const char *value; /* as it may be shown to anybody: a number in it is masked, unless info->phones_full. NULL:
			      there is no such key */
	int64_t as_of;     /* wall time at which the server said so */
};

/* An action: what a person may ask an instance to do. Who asks is an operator; that, the arguments and the choice of
 * rows are checked before act() hears of it, and the task is on disk. */
enum {
	CW_ACTION_SINGLE = 1 << 0 /* one task of it at a time: who asks meanwhile is told of that one */
};

struct cw_action {
	const char *name;   /* [a-z][a-z0-9_]*, imperative: `retry` */
	const char *help;   /* one sentence */
	const char *danger; /* what it changes and nobody can undo: shown before it is confirmed; NULL: harmless */
	uint32_t flags;
	const char *table; /* acts on rows of this table of the instance, chosen by key, by `where`, or all; NULL: on
			      none */
	struct cw_array arguments; /* of struct cw_option: types that take one value, and no secrets; checked and filled
				      in as options are */
	const char *allowed_by;    /* a boolean option (of the first level) that has to be true, else nobody may; NULL:
				      always */
};

/* A path of somebody else's API that maps to this plugin, so that what was made for that API may ask here. Frontends
 * answer it; a path of their own goes first. */
enum cw_endpoint_kind { CW_ENDPOINT_ACTION = 0, CW_ENDPOINT_ROW = 1 };

struct cw_member {
	const char *name;   /* in the JSON object of the answer */
	const char *column; /* whose value it has; not known: null */
};

struct cw_endpoint {
	const char *method; /* `POST` for an action, `GET` for a row */
	const char *path;   /* `/api/v1/internal/…` */
	enum cw_endpoint_kind kind;
	const char *action; /* ACTION: without a table; it takes its arguments' defaults. The members' columns are those
			       of table `tasks`: task_id, state, text … */
	const char *table, *where, *sort; /* ROW: the first row of this query, of the instance; where, sort may be NULL.
					     No row: every member is null */
	struct cw_array members;          /* of struct cw_member */
	const char *key_option; /* a secret option that takes a text: who asks says the same as X-API-Key. Not set: the
				   endpoint is not there */
	int32_t wait_ms;        /* ACTION: answer when the task has a text, or has ended, at most so much later */
};

enum cw_task_state {
	CW_TASK_QUEUED = 0, /* the core's to say, as is RUNNING */
	CW_TASK_RUNNING = 1,
	CW_TASK_SUCCESS = 2,
	CW_TASK_ERROR = 3,
	CW_TASK_CANCELLED = 4,
	CW_TASK_LOST = 5 /* nobody knows how it ended */
};

/* What became of a row. */
enum cw_outcome {
	CW_ITEM_DONE = 0,
	CW_ITEM_FAILED = 1, /* it is as it was */
	CW_ITEM_GONE = 2,   /* it was not there any more */
	CW_ITEM_UNKNOWN = 3 /* it may or may not have happened */
};

/* What is asked for. Lives until task_end(). */
struct cw_request {
	uint32_t size;
	uint32_t action;                  /* index in plugin->actions */
	const struct cw_value *arguments; /* a group: cw_get_string(request->arguments, "mode") */
	const char *id;                   /* of the task: unique, for ever */
	const char *by;                   /* who asked */
	const char *const *keys;          /* rows chosen, frozen when they were shown; NULL: the action has no table */
	uint32_t keys_count;
};

struct cw_plugin {
	uint16_t abi_major, abi_minor;
	uint32_t size;

	const char *name;    /* [a-z][a-z0-9-]*, the name of its folder and file */
	const char *summary; /* one sentence */
	enum cw_role role;

	struct cw_array options; /* of struct cw_option */
	struct cw_array tables;  /* of struct cw_table_decl */
	struct cw_array metrics; /* of struct cw_metric; the index is what gauge() and the like take */
	struct cw_array needs;   /* of struct cw_need */

	/* What the option table cannot say. No I/O, no memory kept. Any thread. May be NULL. */
	void (*check)(const struct cw_value *options, struct cw_problems *problems);

	/* Sets up handles on host->loop(self) and gives its state, or closes them again. An absent server is no
	 * failure: return 0, say so by host->state(), and retry from the loop. Negative: cannot work at all; the core
	 * says the reason last given to host->state() and acts on `on_start_error`. `options` and `host` stay valid
	 * until release(). */
	int (*start)(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		     void **ret_state);

	/* Sources: called on the schedule. Give samples by host->gauge() and so on. 0: done; CW_LATER:
	 * host->read_done() will be called from the loop; negative: failed, counted, the samples given are still sent.
	 * One that outlasts info->timeout is counted as an error and waited for. A source that cannot see gives no
	 * gauges. With info->once the first reading must be complete before it is done. May be NULL. */
	int (*read)(void *state);

	/* Outputs, and frontends that show samples: takes a batch. 0: sent; CW_LATER: kept, host->write_done() tells
	 * the outcome, and no other batch comes before; negative: not sent, the core keeps the batch and offers it
	 * again after a pause. It may come hours late, from the spool (its samples have their own times); and one
	 * that was sent just before the process was killed comes again. May be NULL for a frontend. */
	int (*write)(void *state, const struct cw_batch *batch);

	/* Outputs: push out what is buffered (USR1, stop). May be NULL. */
	void (*flush)(void *state);

	/* Closes every handle on the loop and begins to let go. Must not block. May be NULL if start() leaves nothing
	 * on the loop. */
	void (*stop)(void *state);

	/* Frees the state, when the loop has nothing of the plugin left. May be NULL. */
	void (*release)(void *state);

	/* ---- since 1.1 ---- */

	struct cw_array checks; /* of struct cw_check */

	/* Climbs one rung for `callwatch doctor`: tries it afresh if that costs little, else says what is known. The
	 * verdict is told by host->examined(), from within or later from the loop; none within 5 s is a failed rung.
	 * One at a time. Must not disturb the instance's work. NULL if there are no checks. */
	void (*examine)(void *state, uint32_t check);

	/* Lookups: somebody wants to know the values of these keys; at most CW_LOOKUP_KEYS_MAX, borrowed. What is
	 * known is told by host->answer(), from within or later, in any order. What cannot be known now is not
	 * answered: it will be asked for again. Must not block. */
	void (*look_up)(void *state, const char *const *keys, uint32_t n);

	/* ---- since 1.2 ---- */

	struct cw_array actions;   /* of struct cw_action */
	struct cw_array endpoints; /* of struct cw_endpoint */

	/* Begins what is asked. Must not block: it goes on from the loop, and ends, sooner or later, with
	 * host->task_end(), which may be called from within. Several tasks may be under way at once, unless their
	 * action is CW_ACTION_SINGLE. A row of request->keys may be gone or changed by now. NULL if there are no
	 * actions. */
	void (*act)(void *state, struct cw_task *task, const struct cw_request *request);

	/* Somebody wants it to end early: stop soon and task_end() as CANCELLED, or as what it came to. NULL: tasks
	 * cannot be cancelled. By stop() a plugin ends its tasks; those that it leaves end as LOST after it. */
	void (*cancel)(void *state, struct cw_task *task);

	/* ---- since 1.3 ---- */

	/* Notifiers: tell the receiver. `notices` are n, borrowed until it is settled: 0: the receiver has said yes to
	 * all; CW_LATER: host->notified() says what became of them, and no others come before; negative: try again.
	 * n is 1, or up to digest_max when more than ten wait: then one message tells of all of them, in order. Must
	 * not block. The deadline is the core's: after 2 min without a word it was doubtful. NULL: a notifier that
	 * tells nobody by itself (a dead man's switch, or one that reads table `alerts`): no rule is routed to it. */
	int (*notify)(void *state, const struct cw_notice *const *notices, uint32_t n);
	uint32_t digest_max; /* at most CW_NOTICE_DIGEST_MAX; 0 and 1: no digests */
};

/* What start() may want to know about itself. Lives until release(). */
struct cw_info {
	uint32_t size;
	const char *name;      /* of the instance */
	const char *host;      /* what is watched: option `host`, else the agent's hostname */
	const char *state_dir; /* own folder `<state_dir>/<instance>` for files, made on demand by the plugin; NULL with
				  once, or if the agent has none */
	const char *version;   /* of callwatch */
	int64_t interval;      /* ns */
	int64_t timeout;       /* ns: of a reading */
	bool once;             /* one complete reading, then the end */
	bool phones_full;      /* agent option `phones: full` */
};

struct cw_resolve;
/* status 0 and n ≥ 1 addresses (port filled in, in the order to try), or a negative errno: -ENOENT no such name,
 * -ETIMEDOUT, -EAGAIN. Runs on the instance's thread; never from within resolve(). */
typedef void (*cw_resolved)(void *arg, int status, const struct sockaddr_storage *addresses, uint32_t n);

struct cw_host {
	uint16_t abi_major, abi_minor;
	uint32_t size;

	struct uv_loop_s *(*loop)(struct cw_instance *self);
	const struct cw_info *(*info)(struct cw_instance *self);
	int64_t (*now)(void);  /* instant; any thread */
	int64_t (*wall)(void); /* wall time; any thread */

	/* One line, without newline; what is not printable is escaped. Repeats are folded. Any thread. */
	void (*log)(struct cw_instance *self, enum cw_level level, const char *format, ...) CW_PRINTF(3, 4);

	/* UP, DEGRADED or DOWN, with the reason a person can act on (no secret, no row's content), and the instant of
	 * the next try (0: none). Saying the same again costs nothing. A change is logged, counted and an event: do not
	 * log it too. Who says nothing is judged by the outcome of read() and write(); who says STARTING is not, until
	 * it says more. An output that was DOWN and is not any more is offered its batch at once. */
	void (*state)(struct cw_instance *self, enum cw_state state, int64_t next_try, const char *reason, ...)
		CW_PRINTF(4, 5);
	/* Counted in table `instances`: failed operations, and things read that were not as they should be. */
	void (*count_error)(struct cw_instance *self, uint64_t n);
	void (*count_malformed)(struct cw_instance *self, uint64_t n);

	/* Samples for the reading under way. `metric` is an index in plugin->metrics; `labels` has one value for each
	 * of its labels (NULL if none), copied. A value that is not finite, that comes when no reading is under way, or
	 * is the second of its series in the reading, is dropped and counted. With info->once counters and histograms
	 * are left out: each run would begin at 0. */
	void (*gauge)(struct cw_instance *self, uint32_t metric, const char *const *labels, double value);
	void (*counter)(struct cw_instance *self, uint32_t metric, const char *const *labels, uint64_t value);
	void (*histogram)(struct cw_instance *self, uint32_t metric, const char *const *labels,
			  const struct cw_histogram *value);
	void (*read_done)(struct cw_instance *self, int status); /* after CW_LATER */

	/* Outputs. */
	void (*write_done)(struct cw_instance *self, int status); /* after CW_LATER: 0 sent, negative: offer again */
	const struct cw_batch *(*batch_ref)(const struct cw_batch *batch);
	void (*batch_unref)(const struct cw_batch *batch); /* NULL is fine */

	/* Tables. `table` is an index in plugin->tables; `extra` are columns known only from the options, after the
	 * declared ones; copied. The rows of an earlier life are still there. -EEXIST: an extra column is called like
	 * a declared one; -EINVAL: no such table, or one that cannot be; -ENOMEM; -EPIPE: see below. */
	int (*table_open)(struct cw_instance *self, uint32_t table, const struct cw_array *extra,
			  struct cw_part **ret_part);
	/* Row number of a key, or -ENOENT. */
	int64_t (*row_find)(struct cw_part *part, const char *key, size_t length);
	/* Copies the key into buffer (NUL-terminated, cut at size); its length, or -ENOENT if the row is free. */
	int64_t (*row_key)(struct cw_part *part, uint32_t row, char *buffer, size_t size);
	/* Adds or replaces the row whose key is among the cells; `cells` has one for each column, SINCE columns are
	 * ignored. Marks it for the full generation under way. Row number, or negative: -EINVAL no key, -ENOSPC more
	 * than 2^31 rows, -ENOMEM, -EPIPE the instance was left behind because it did not stop in time, and may do
	 * nothing any more. */
	int64_t (*row_put)(struct cw_part *part, const struct cw_cell *cells);
	/* Changes some columns of a row; does not mark. 0, -ENOENT or -ENOMEM. */
	int (*row_touch)(struct cw_part *part, uint32_t row, const struct cw_change *changes, uint32_t n);
	void (*row_mark)(struct cw_part *part, uint32_t row); /* seen by the full generation under way */
	/* `why` ends up in the row's timeline: `ended`, `reset`. 0 or -ENOENT. */
	int (*row_remove)(struct cw_part *part, uint32_t row, const char *why);
	/* A full generation: all that exists is put or marked between begin and end. */
	void (*full_begin)(struct cw_part *part);
	/* Calls missing() for each row that was there at begin and was neither put nor marked since; it may remove the
	 * row. With missing NULL they are removed, `why` "gone". Works in slices: other threads are not kept waiting.
	 */
	void (*full_end)(struct cw_part *part, void (*missing)(void *arg, uint32_t row), void *arg);
	void (*full_abort)(struct cw_part *part);
	void (*coverage)(struct cw_part *part, const struct cw_coverage *coverage);
	/* Rows now in the part, and for a watched column the rows with each choice (counts[i] for choice i, up to n).
	 */
	uint64_t (*row_count)(struct cw_part *part);
	void (*choice_counts)(struct cw_part *part, uint32_t column, uint64_t *counts, uint32_t n);

	/* Name look-up without blocking: 3 s at most, cached. `host` may be an address. *ret_resolve is for
	 * resolve_cancel() and is valid until the callback; cancelling means no callback. 0, or negative and no
	 * callback: -EINVAL no host name, -ENOMEM, -EPIPE. */
	int (*resolve)(struct cw_instance *self, const char *host, uint16_t port, cw_resolved done, void *arg,
		       struct cw_resolve **ret_resolve);
	void (*resolve_cancel)(struct cw_resolve *resolve);

	const struct cw_frontend *frontend; /* NULL unless the plugin's role is CW_FRONTEND */

	/* ---- since 1.1 ---- */

	/* A metric that is known only now, copied; its index, to be used like those of plugin->metrics. The same again
	 * gives the same index. All its labels may take free values: the source bounds them. Its name need not end in
	 * `_total`. -EINVAL what a descriptor may not have either; -EEXIST this name has another kind, labels or
	 * bounds, or is one that it may not have (metric.h); -ENOSPC more than 4096 of an instance; -ENOMEM. */
	int64_t (*declare)(struct cw_instance *self, const struct cw_metric *metric);
	/* One sample with a time of its own (wall time; 0: that of the reading under way, else now), at any time, not
	 * only during a reading. `metric` is an index; sample->metric is not looked at. What cannot be taken is dropped
	 * and counted, as with gauge(); so is a sample of a time that one of the last few of its series had. With
	 * info->once all has to come during the one reading. Sources. */
	void (*sample)(struct cw_instance *self, uint32_t metric, const struct cw_sample *sample);

	/* A source's way to a lookup, by its instance's name (option type CW_OPTION_INSTANCE). answered() is called
	 * from the loop with what the lookup comes to know, also what nobody here asked for: look at the keys. The
	 * lookup may be absent, come, go and be restarted meanwhile; what was asked and not answered is to be asked
	 * again, some seconds later. -ENOMEM, -EPIPE. */
	int (*lookup_open)(struct cw_instance *self, const char *instance,
			   void (*answered)(void *arg, const struct cw_answer *answers, uint32_t n), void *arg,
			   struct cw_lookup **ret_lookup);
	/* Asks and does not wait. At most CW_LOOKUP_KEYS_MAX keys, copied; one longer than CW_LOOKUP_KEY_MAX is left
	 * out. -EAGAIN: the lookup is not there or has too much to do: again later; -EINVAL: too many. */
	int (*lookup_ask)(struct cw_lookup *lookup, const char *const *keys, uint32_t n);
	void (*lookup_close)(struct cw_lookup *lookup); /* no answered() after it; NULL is fine */
	/* Lookups: what is known, to all instances that look here. Copied; a value is cut at CW_LOOKUP_VALUE_MAX bytes.
	 * Who does not keep up misses some, and asks again. */
	void (*answer)(struct cw_instance *self, const struct cw_answer *answers, uint32_t n);

	/* The verdict on the check that examine() was called for, with a sentence: what was seen; if it failed, what to
	 * do. No secret. A verdict that nobody waits for is dropped. */
	void (*examined)(struct cw_instance *self, enum cw_verdict verdict, const char *text, ...) CW_PRINTF(3, 4);

	/* Outputs: n samples of the batch that write() was given last, and that is not settled yet, are not sent and
	 * will not be. When it is settled as sent they count as dropped instead, for this reason; if it is offered
	 * again, all is forgotten: say it again. */
	void (*dropped)(struct cw_instance *self, enum cw_drop reason, uint64_t n);

	/* ---- since 1.2 ---- */

	/* How far a task is. The text is one line that tells a person where it stands, or by which name it goes
	 * elsewhere; NULL leaves what there is. The numbers are shown for an action without a table (total 0: not
	 * known); of one with rows the core counts the items. Call it as often as you like. No secret, no row's
	 * content. A task is valid from act() to task_end(); what is said of another is left out and logged. */
	void (*task_progress)(struct cw_task *task, uint64_t done, uint64_t failed, uint64_t total, const char *text,
			      ...) CW_PRINTF(5, 6);
	/* What became of the row with this key of the request: kept on disk, a row of table `outcomes`. Say it as soon
	 * as it is certain, once; a second word on it is left out. `text` (NULL: none) says why. */
	void (*task_item)(struct cw_task *task, const char *key, enum cw_outcome outcome, const char *text, ...)
		CW_PRINTF(4, 5);
	/* It has ended; the reason (NULL: none) is a sentence for whoever asked. SUCCESS means that it did what it was
	 * for: rows that failed one by one may be part of that. Rows without an outcome were not touched. */
	void (*task_end)(struct cw_task *task, enum cw_task_state state, const char *reason, ...) CW_PRINTF(3, 4);

	/* Something that was done, worth to be remembered: an event of kind `action` by this instance. `subject` is
	 * what it was done to: `dlq/KEY`, the instance. */
	void (*event)(struct cw_instance *self, const char *subject, const char *text, ...) CW_PRINTF(3, 4);

	const struct cw_reader *reader; /* queries over all tables */

	/* ---- since 1.3 ---- */

	/* Notifiers, after CW_LATER: what became of the notices of the last notify(). `reason` is a sentence without a
	 * secret: the receiver's answer, or what is wrong and what to do; NULL if it was DELIVERED without a remark. */
	void (*notified)(struct cw_instance *self, const struct cw_delivered *delivered, const char *reason, ...)
		CW_PRINTF(3, 4);
};

#if defined(__GNUC__)
#define CW_EXPORT __attribute__((visibility("default")))
#else
#define CW_EXPORT
#endif

extern CW_EXPORT const struct cw_plugin cw_plugin;

#ifdef __cplusplus
}
#endif
#endif
