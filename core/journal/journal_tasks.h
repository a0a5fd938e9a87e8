/* SPDX-License-Identifier: MIT
 *
 * Tasks in the journal: what somebody asked an instance to do, the rows it was to act on, and what became of each.
 * Private to the core.
 *
 *     task      who asked for what, when, and how it ended
 *     task_row  one for each row chosen, in order; `outcome` is null until one is told
 *
 * Tasks that were asked for more than 90 days ago are forgotten when the journal is opened, and when another one comes.
 */
#ifndef CALLWATCH_CORE_JOURNAL_TASKS_H
#define CALLWATCH_CORE_JOURNAL_TASKS_H

#include "callwatch/plugin.h"
#include "journal.h"

extern const char journal_tasks_schema[]; /* step 1 */

enum { JOURNAL_REQUEST_BYTES = 16 };

struct journal_task {
	const char *id, *instance, *action, *arguments, *by;
	const char *idempotency_key;               /* NULL: none */
	uint8_t request[JOURNAL_REQUEST_BYTES];    /* a hash of what was asked for */
	int64_t asked_at, started_at, finished_at; /* wall times; 0: not (yet) */
	enum cw_task_state state;
	uint64_t done, failed, gone, unknown, total;
	const char *text, *reason; /* never NULL */
};

/* What became of row `number` of a task. */
struct journal_outcome {
	uint32_t number;
	enum cw_outcome outcome;
	int64_t told_at;
	const char *key, *text; /* text never NULL */
};

/* The two below copy. 0, -ENOMEM or as journal_post(). A journal that is NULL keeps nothing. told() is called exactly
 * once, if they return 0 and there is a journal. */

/* The whole of the task as it is now, and with `keys` the rows it was made for. */
int journal_task(struct journal *journal, const struct journal_task *task, const char *const *keys, uint32_t keys_count,
		 void (*told)(void *arg, bool on_disk), void *arg);
int journal_outcomes(struct journal *journal, const char *task_id, const struct journal_outcome *outcomes,
		     uint32_t count);

/* What an earlier life left, for journal_options.opened(): the last tasks, the newest first, each followed by its
 * outcomes in order, as long as those of all together are no more than `most_outcomes`. Borrowed for the calls. */
struct journal_tasks_reader {
	void (*task)(void *arg, const struct journal_task *task);
	void (*outcome)(void *arg, const struct journal_outcome *outcome);
	void *arg;
};
void journal_tasks_read(struct sqlite3 *db, uint32_t most_tasks, uint32_t most_outcomes,
			const struct journal_tasks_reader *reader);
void journal_tasks_fold(struct sqlite3 *db); /* after that */

#endif
