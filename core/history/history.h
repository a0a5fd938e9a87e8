/* SPDX-License-Identifier: MIT
 *
 * History: what was, in `history.db` of the agent's state_dir (SQLite, WAL, synchronous=NORMAL: a power cut may cost
 * the last moments, never the file). Private to the core.
 *
 *     event    the event log: transitions, alerts, notifications, silences, acknowledgements, actions, reloads …
 *     row_log  a row of a table that has a watched column, as it was when it began, when a watched column changed, and
 *              when it ended: from these follows what a table was at any time (`callwatch calls --at 02:10`)
 *
 * Kept for 30 days and at most 1 GiB together; the oldest go first, in small steps. Roll-ups of samples will be more
 * tables of the same file. Whoever posts never waits; what cannot be taken is counted (events_dropped_total). Trouble
 * with the disk is told as the journal tells it; the last 10,000 events are in table `events` all the same.
 */
#ifndef CALLWATCH_CORE_HISTORY_H
#define CALLWATCH_CORE_HISTORY_H

#include "callwatch/frontend.h"
#include "table.h"

struct history;

struct history_options {
	const char *folder;    /* copied */
	struct tables *tables; /* as they are now; borrowed */
	bool phones_full;      /* numbers are kept in full */
	int64_t most_age;      /* ns; 0: 30 days */
	int64_t most_bytes;    /* 0: 1 GiB */
	/* A trouble, or its end, as a sentence; any thread. */
	void (*said)(void *arg, const char *text);
	void *arg;
};

struct history *history_new(const struct history_options *options); /* NULL: no memory */
int history_start(struct history *history);
void history_stop(struct history *history, int64_t deadline);
bool history_was_left(const struct history *history);
void history_free(struct history *history); /* NULL is fine; not one that was left */

/* Any thread, waits for nobody; a NULL history is fine. Texts may be NULL. */
struct history_event {
	const char *id, *kind, *subject, *from, *to, *by, *text;
	int64_t wall;
};
void history_event(struct history *history, const struct history_event *event);
/* The first one that is told of a change (table.h), with copies of the row. */
void history_transition(struct history *history, const struct transition *transition);
uint64_t history_dropped(const struct history *history);

/* Questions: struct cw_frontend, log_open and the rest. `tables`: as they are now. `history` may be NULL: then there is
 * only what table `events` has. ready() is called on any thread, at most once until history_log_step() has asked for
 * more; not after history_log_close(). */
int history_log_open(struct history *history, struct tables *tables, bool phones_full, const struct cw_log_spec *spec,
		     void (*ready)(void *arg), void (*release)(void *arg), void *arg, struct cw_log **ret_log);
const struct cw_column *history_log_columns(struct cw_log *log, uint32_t *ret_count);
int history_log_step(struct cw_log *log, int64_t budget_ns, cw_row_fn row, void *arg);
void history_log_info(struct cw_log *log, struct cw_log_info *ret_info);
const char *history_log_error(struct cw_log *log);
void *history_log_arg(const struct cw_log *log);
void history_log_close(struct cw_log *log); /* NULL is fine */

#endif
