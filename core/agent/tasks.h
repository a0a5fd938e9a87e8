/* SPDX-License-Identifier: MIT
 *
 * What people asked instances to do: the actor that decides whether it may begin, chooses its rows, keeps it in the
 * journal, follows it to its end and shows it in the tables `tasks` and `outcomes`. One thread of its own, so that
 * neither the asking frontend nor the acting instance waits for a walk over a table. Private to the core.
 *
 * The way of a task:
 *
 *     asked ─▶ checked (asking.h: who, what, arguments) ─▶ rows chosen, in slices ─▶ [plan] ─▶ journaled
 *           ─▶ act() on the instance's thread (acting.h) ─▶ news (task.h) ─▶ rows, journal, event ─▶ ended
 *
 * - A dry run stops before the journal: its plan keeps arguments and keys for 15 min, and acts on exactly these.
 * - The answer to who asked comes when the journal has spoken; the plugin hears of it no sooner.
 * - The same idempotency key within 24 h is the same task.
 * - What an earlier life of the agent left unfinished is lost: nobody knows how it ended. It is shown so, with the
 *   outcomes that were told.
 *
 * The last 1000 tasks are shown; the journal knows those of 90 days.
 */
#ifndef CALLWATCH_CORE_TASKS_H
#define CALLWATCH_CORE_TASKS_H

#include "callwatch/frontend.h"
#include "mailbox.h"

struct hub;
struct journal;
struct roster;
struct sqlite3;
struct tasks;

extern const struct cw_table_decl tasks_decl, outcomes_decl;

struct tasks *tasks_new(struct hub *hub, struct roster *roster); /* NULL: no memory */
/* `journal` NULL: nothing is kept. It reads by tasks_read() before, or soon after, anything is asked. */
int tasks_start(struct tasks *tasks, struct journal *journal);
void tasks_stop(struct tasks *tasks); /* takes in what was told, then ends; the instances have */
void tasks_free(struct tasks *tasks); /* NULL is fine */

/* On the journal's thread: what it holds. NULL: it cannot be read yet; nobody is answered for 10 s without it, for who
 * repeats a question (idempotency key) is not to act twice. */
void tasks_read(struct tasks *tasks, struct sqlite3 *db);

/* Any thread; as frontend.h: act(), cancel(). done() is called by mail to `asker`. A NULL `tasks` refuses. */
int tasks_act(struct tasks *tasks, struct mailbox *asker, const struct cw_action_spec *spec,
	      void (*done)(void *arg, const struct cw_action_answer *answer), void *arg);
int tasks_cancel(struct tasks *tasks, struct mailbox *asker, const char *task, const char *by,
		 void (*done)(void *arg, const struct cw_action_answer *answer), void *arg);
/* The instance with this mailbox did not end in time: what it had under way is lost. NULL is fine. */
void tasks_left_behind(struct tasks *tasks, struct mailbox *box);

#endif
