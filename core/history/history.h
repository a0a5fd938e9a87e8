/* SPDX-License-Identifier: MIT
 *
 * History: what was, in `history.db` of the agent's state_dir (SQLite, WAL, synchronous=NORMAL: a power cut may cost
 * the last moments, never the file). An actor with its own thread. Private to the core.
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
struct mailbox;

struct history_options {
	const char *folder; /* copied */
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
/* `cells` for `columns`, as a query gives them, phones masked; NULL cells with `to` NULL: only that it ended. */
void history_row(struct history *history, const struct transition *transition, const struct cw_column *columns,
		 const struct cw_cell *cells, uint32_t count);
uint64_t history_dropped(const struct history *history);

#endif
