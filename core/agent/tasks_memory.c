/* SPDX-License-Identifier: MIT
 *
 * What an earlier life of the agent left in the journal: read on the journal's thread, carried to `tasks` as mail, and
 * taken in there. What was not finished is lost: whoever worked on it is no more.
 */
#include "tasks_private.h"

#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct remembered_outcome {
	struct remembered_outcome *next;
	struct journal_outcome outcome; /* its texts follow it */
};

struct remembered {
	struct remembered *next;
	struct kept *kept; /* NULL: was taken in */
	struct remembered_outcome *outcomes, **last;
};

struct memory {
	struct mail mail; /* first */
	struct remembered *tasks, **last;
	struct remembered *current; /* the last that was read */
};

/* ---- on the journal's thread ---- */

static void remember_task(void *arg, const struct journal_task *task)
{
	struct memory *memory = arg;
	struct remembered *remembered = calloc(1, sizeof *remembered);
	struct kept *kept = calloc(1, sizeof *kept);
	memory->current = NULL;
	if (!remembered || !kept) {
		free(remembered);
		free(kept);
		return;
	}
	const char **texts[] = {&kept->record.id,        &kept->record.instance, &kept->record.action,
				&kept->record.arguments, &kept->record.by,       &kept->record.idempotency_key,
				&kept->record.text,      &kept->record.reason};
	const char *const said[] = {task->id, task->instance,        task->action, task->arguments,
				    task->by, task->idempotency_key, task->text,   task->reason};
	kept->record = *task;
	bool is_whole = true;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		*texts[i] = said[i] ? strdup(said[i]) : NULL;
		is_whole &= !said[i] || *texts[i];
	}
	if (!is_whole) {
		kept_free(kept);
		free(remembered);
		return;
	}
	kept->is_sent = kept->on_disk = true;
	remembered->kept = kept;
	remembered->last = &remembered->outcomes;
	*memory->last = memory->current = remembered;
	memory->last = &remembered->next;
}

static void remember_outcome(void *arg, const struct journal_outcome *outcome)
{
	struct remembered *current = ((struct memory *)arg)->current;
	size_t key = strlen(outcome->key) + 1, text = strlen(outcome->text) + 1;
	struct remembered_outcome *copy = current ? malloc(sizeof *copy + key + text) : NULL;
	if (!copy)
		return;
	char *end = (char *)(copy + 1);
	*copy = (struct remembered_outcome){.outcome = *outcome};
	copy->outcome.key = memcpy(end, outcome->key, key);
	copy->outcome.text = memcpy(end + key, outcome->text, text);
	*current->last = copy;
	current->last = &copy->next;
}

static void memory_free(struct memory *memory)
{
	while (memory->tasks) {
		struct remembered *remembered = memory->tasks;
		memory->tasks = remembered->next;
		while (remembered->outcomes) {
			struct remembered_outcome *next = remembered->outcomes->next;
			free(remembered->outcomes);
			remembered->outcomes = next;
		}
		kept_free(remembered->kept);
		free(remembered);
	}
	free(memory);
}

/* ---- on the thread of `tasks` ---- */

static void lose(struct tasks *tasks, struct kept *kept)
{
	char reason[TASK_TEXT_MAX];
	const struct journal_task *record = &kept->record;
	if (record->total > 0)
		snprintf(reason, sizeof reason,
			 "callwatchd ended while it ran: %" PRIu64 " of %" PRIu64 " rows have an outcome", kept->told,
			 record->total);
	else
		snprintf(reason, sizeof reason, "callwatchd ended while it ran: nobody knows how it ended");
	log_line(record->instance, CW_WARNING, "task %s (%s) is lost: %s", record->id, record->action, reason);
	tasks_end(tasks, kept, CW_TASK_LOST, /* at: nobody knows */ 0, reason);
}

/* The line of a task that ran is as old as its beginning: the outcomes say how far it came. */
static void count(struct journal_task *record, const struct remembered *remembered)
{
	uint64_t counts[CW_ITEM_UNKNOWN + 1] = {0};
	for (const struct remembered_outcome *one = remembered->outcomes; one; one = one->next)
		counts[one->outcome.outcome]++;
	record->done = counts[CW_ITEM_DONE];
	record->failed = counts[CW_ITEM_FAILED];
	record->gone = counts[CW_ITEM_GONE];
	record->unknown = counts[CW_ITEM_UNKNOWN];
}

static void take_in(struct tasks *tasks, struct remembered *remembered)
{
	struct kept *kept = tasks_keep(tasks, remembered->kept);
	if (!kept)
		return;
	remembered->kept = NULL;
	bool is_unfinished = kept->record.state == CW_TASK_QUEUED || kept->record.state == CW_TASK_RUNNING;
	if (is_unfinished && remembered->outcomes)
		count(&kept->record, remembered);
	for (const struct remembered_outcome *one = remembered->outcomes; one; one = one->next)
		tasks_show_outcome(tasks, kept, &one->outcome);
	tasks->outcomes_count += kept->told;
	if (is_unfinished)
		lose(tasks, kept);
	else
		tasks_show(tasks, kept);
}

static void on_memory(struct mail *mail, void *owner)
{
	struct tasks *tasks = owner;
	struct memory *memory = (struct memory *)mail;
	for (struct remembered *remembered = memory->tasks; remembered; remembered = remembered->next)
		take_in(tasks, remembered);
	tasks->is_read = true;
	tasks_forget_old(tasks);
	memory_free(memory);
}

static void on_memory_dropped(struct mail *mail)
{
	memory_free((struct memory *)mail);
}

void tasks_read(struct tasks *tasks, struct sqlite3 *db)
{
	struct memory *memory = db ? calloc(1, sizeof *memory) : NULL;
	if (!memory)
		return; /* it is not waited for for ever */
	memory->mail = (struct mail){.deliver = on_memory, .drop = on_memory_dropped};
	memory->last = &memory->tasks;
	struct journal_tasks_reader reader = {remember_task, remember_outcome, memory};
	journal_tasks_read(db, TASKS_KEPT, OUTCOMES_KEPT, &reader);
	if (mailbox_post(tasks->box, &memory->mail) < 0)
		on_memory_dropped(&memory->mail);
}
